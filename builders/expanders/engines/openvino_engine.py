"""Generates with OpenVINO GenAI on a CPU, where a GGUF file can be written of the model."""

import functools
import hashlib
import importlib.util
import json
import logging
import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from builders.artifacts.cache import cache_dir
from builders.artifacts.download import download
from builders.artifacts.files import cached_folder, file_hash
from builders.artifacts.model_folder import adapter_name
from builders.errors import KitError
from builders.expanders.checkpoint import loading, without_bars
from builders.expanders.engines.generation_engine import AUTO, Engine, LocalModel
from builders.expanders.engines.signal_stack import own_signal_stack
from builders.expanders.expander import Sampling
from builders.exporting.gguf_file import About, known_vocabulary, unknown_shape, write_gguf
from builders.exporting.merged import merged_weights


logger = logging.getLogger(__name__)


# Of the weights, 8 bits in groups of 32. OpenVINO reads 4-bit files, too, but rounds the zero points of their groups.
WEIGHTS = "q8_0"
GROUP = 32
# Of the arithmetic: the same on every machine.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
# Prompt tokens that are read in one step, and sequences that go on together.
TOKENS, SEQUENCES = 4096, 4096


class OpenVINOEngine(Engine):
    """Runs a model with OpenVINO GenAI, from a GGUF file that is written into the kit's cache once.

    An adapter is merged into that file. Nothing is kept from one call to the next, neither prefixes nor random
    numbers: answers depend on nothing that went before.
    """

    name = "openvino"
    help = "OpenVINO GenAI on a CPU; weights in 8 bits, architectures llama and qwen3"
    # More are no faster, and a killed run loses a block.
    block = 400

    @classmethod
    def refusal(cls, model: LocalModel) -> str | None:
        """See [`Engine.refusal`]."""
        if importlib.util.find_spec("openvino_genai") is None:
            return "openvino_genai is missing: pip install 'query-expansion-kit[openvino]'"
        if model.load_in_4bit:
            return "it has no NF4; leave --load_in_4bit, or give --engine transformers"
        if model.dtype != AUTO:
            return f"--dtype {model.dtype} is an arithmetic of transformers; give --dtype {AUTO}"
        try:
            with loading(model.checkpoint.path):  # Its settings may be of any type.
                config = _config(model)
                other = unknown_shape(config)
                if other is None:
                    known_vocabulary(model.checkpoint, model.checkpoint.path)
                    if any(width % GROUP for width in (config.hidden_size, config.intermediate_size)):
                        other = f"rows that are no multiples of {GROUP}"
        except KitError as error:
            other = str(error)
        return other and f"{model.checkpoint.model_id}: {other}; give --engine transformers"

    @classmethod
    def suits(cls, model: LocalModel) -> bool:
        """See [`Engine.suits`]: it does not use a GPU."""
        if cls.refusal(model) is not None:
            return False
        import torch

        return not torch.cuda.is_available()

    @property
    def settings(self) -> dict[str, Any]:
        """See [`Engine.settings`]. Whoever asks with the recorded dtype is answered by this engine again."""
        return {"dtype": AUTO, "load_in_4bit": False, "engine": self.name, "weights": WEIGHTS}

    @functools.cached_property
    def _defaults(self) -> Any:
        """How the model is to be asked, as it says itself."""
        from transformers import GenerationConfig

        path = self.local.checkpoint.path
        if (Path(path) / "generation_config.json").is_file():
            return GenerationConfig.from_pretrained(path)
        return GenerationConfig.from_model_config(_config(self.local))

    @property
    def end_tokens(self) -> AbstractSet[int]:
        """See [`Engine.end_tokens`]."""
        ends = self._defaults.eos_token_id
        return {ends} if isinstance(ends, int) else set(ends or ())

    @functools.cached_property
    def _pipeline(self) -> Any:
        import openvino_genai

        scheduler = openvino_genai.SchedulerConfig()
        scheduler.max_num_batched_tokens, scheduler.max_num_seqs = TOKENS, SEQUENCES
        # A prefix that is there already is read with other neighbours: answers would depend on what went before.
        scheduler.enable_prefix_caching = False
        file = self._file()
        with loading(file), own_signal_stack():
            return openvino_genai.ContinuousBatchingPipeline(str(file), scheduler, "CPU", PRECISION)

    def __del__(self) -> None:
        try:
            with own_signal_stack():
                vars(self).pop("_pipeline", None)
        except TypeError:  # The interpreter ends, and what is imported is gone already.
            pass

    @property
    def is_loaded(self) -> bool:
        """See [`Engine.is_loaded`]."""
        return "_pipeline" in vars(self)

    def load(self) -> None:
        """See [`Engine.load`]."""
        _ = self._pipeline

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samples: int,
        sampling: Sampling,
        ends: AbstractSet[int],
        seed: int,
    ) -> list[list[list[int]]]:
        """See [`Engine.generate`]."""
        import numpy as np
        from openvino import Tensor

        seeds = [(seed + number) % 2**32 for number in range(len(prompts))]
        asked = [self._asked(samples, sampling, ends, one) for one in seeds]
        tensors = [Tensor(np.array([ids], dtype=np.int64)) for ids in prompts]
        with own_signal_stack():
            found = [one.m_generation_ids for one in self._pipeline.generate(tensors, asked)]
        for answers, one in zip(found, seeds, strict=True):
            # They come in the order of their likelihood, which samples have not.
            random.Random(one).shuffle(answers)
        # Greedy answers to one prompt are all the same.
        return [list(answers) * (samples // len(answers)) for answers in found]

    def _asked(self, samples: int, sampling: Sampling, ends: AbstractSet[int], seed: int) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = sampling.max_new_tokens
        config.stop_token_ids = set(ends)
        config.repetition_penalty = self._defaults.repetition_penalty or 1.0
        if sampling.temperature > 0:
            config.do_sample, config.num_return_sequences, config.rng_seed = True, samples, seed
            config.temperature, config.top_p = sampling.temperature, sampling.top_p
            if sampling.top_k > 0:
                config.top_k = sampling.top_k
        return config

    def _file(self) -> Path:
        """The model as a GGUF file, the adapter merged in."""
        checkpoint, adapter = self.local.checkpoint, _local(self.local.adapter)
        folder = Path(checkpoint.path)
        parts = [folder / "config.json", *(Path(adapter) / name for name in ADAPTER_FILES if adapter)]
        known = [checkpoint.model_id, checkpoint.revision, WEIGHTS, *map(file_hash, parts)]
        key = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
        file = cache_dir("gguf") / f"{checkpoint.model_id.split('/')[-1]}-{key}" / "model.gguf"
        if not file.is_file():
            adapted = f" with {adapter_name(adapter)}" if adapter else ""
            logger.info(f"{checkpoint.model_id}{adapted}: written in {WEIGHTS} for OpenVINO, once")
            with cached_folder(file.parent) as work, without_bars():
                model, vocabulary = merged_weights(checkpoint, adapter), known_vocabulary(checkpoint, folder)
                write_gguf(work / file.name, model, folder, vocabulary, WEIGHTS, About(file.parent.name, None, (), ()))
        return file


def _config(model: LocalModel) -> Any:
    from transformers import AutoConfig

    with loading(model.checkpoint.path):
        return AutoConfig.from_pretrained(model.checkpoint.path, trust_remote_code=False)


def _local(adapter: str | None) -> str | None:
    """The folder of an adapter, downloaded if need be."""
    if adapter is None or Path(adapter).is_dir():
        return adapter
    return str(download(f"adapter {adapter!r} cannot be had from the Hub", adapter, allow=list(ADAPTER_FILES)))

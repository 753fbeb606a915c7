"""Expands with a language model on this machine, with or without a LoRA adapter."""

import functools
import hashlib
import json
import logging
from collections.abc import Collection, Generator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.artifacts.model_folder import adapter_name
from builders.errors import KitError
from builders.expanders.adapter import check_adapter_base
from builders.expanders.checkpoint import loading, resolve_checkpoint
from builders.expanders.engines.generation_engine import AUTO, LocalModel
from builders.expanders.engines.load import engine_help, load_engine
from builders.expanders.expander import Expander, ExpanderInputs, Expansion, Identity, Request, Sampling
from builders.prompts.answer_text import whole_characters
from builders.prompts.chat import conversation_text
from builders.prompts.prompt import Prompt


logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class LocalOptions:
    """Settings of `--expander local`."""

    adapter: str | None = field(default=None, metadata={"help": "LoRA adapter of that model: folder or Hub id."})
    engine: str = field(default=AUTO, metadata={"help": engine_help()})
    dtype: str = field(
        default=AUTO,
        metadata={"help": f"float32, bfloat16, float16; `{AUTO}`: the faster of the first two on this machine."},
    )
    load_in_4bit: bool = field(default=False, metadata={"help": "NF4 with double quantization."})
    block: int | None = field(
        default=None, metadata={"help": "Sequences generated together; by default as many as suit the engine."}
    )


class LocalExpander(Expander):
    """Generates on this machine.

    Args:
        model (`str`):
            Base model: see [`resolve_checkpoint`].
        adapter (`str`, *optional*):
            Folder or Hub id of a LoRA adapter of that base model.
        dtype (`str`, *optional*, defaults to `"auto"`):
            torch dtype of the arithmetic, and of the weights in transformers; `auto`: the faster one here, see
            [`fastest_dtype`].
        load_in_4bit (`bool`, *optional*, defaults to `False`):
            NF4 with double quantization (bitsandbytes).
        block (`int`, *optional*):
            Sequences generated together; by default as many as suit the engine. Part of what makes a run repeatable.
        revision (`str`, *optional*):
            Revision of a Hub base model.
        engine (`str`, *optional*, defaults to `"auto"`):
            What runs the model: see [`load_engine`].

    Raises:
        KitError: a missing package, an unknown model or engine, an engine that cannot run it, or an adapter that
            belongs to another base model.
    """

    name = "local"
    help = "a language model on this machine, with or without a LoRA adapter"
    Options = LocalOptions
    reads_prompt = True

    @classmethod
    def make(cls, inputs: ExpanderInputs) -> list[tuple[Prompt, Expander]]:
        """See [`Expander.make`]."""
        local = cls(inputs.model, **vars(inputs.options), revision=inputs.model_revision)
        return [(prompt, local) for prompt in inputs.prompts]

    def __init__(
        self,
        model: str,
        adapter: str | None = None,
        dtype: str = AUTO,
        load_in_4bit: bool = False,
        block: int | None = None,
        revision: str | None = None,
        engine: str = AUTO,
    ) -> None:
        checkpoint = resolve_checkpoint(model, revision)
        if adapter is not None:
            check_adapter_base(adapter, checkpoint)
        self.identity = Identity(
            model_id=checkpoint.model_id,
            revision=checkpoint.revision,
            weights=checkpoint.weights,
            provider="local",
            adapter=None if adapter is None else adapter_name(adapter),
        )
        self.engine = load_engine(engine, LocalModel(checkpoint, adapter, dtype, load_in_4bit))
        self.block = block or self.engine.block
        self.settings = {**self.engine.settings, "block": self.block}
        self._path = checkpoint.path
        self._warned = False

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The base model's tokenizer."""
        from transformers import AutoTokenizer

        with loading(self._path):
            return AutoTokenizer.from_pretrained(self._path, trust_remote_code=False)

    def load(self) -> None:
        """Load the model now, so that what follows can be timed without it."""
        self.engine.load()

    def blocks(self, requests: Sequence[Request]) -> list[list[Request]]:
        """What is generated together: at most `block` sequences that ask for the same number of samples.

        The longest conversations come first: neighbours need little padding, and what does not fit into memory fails
        at once.
        """
        blocks: list[list[Request]] = []
        for request in sorted(requests, key=lambda request: (request.samples, -_length(request))):
            block = blocks[-1] if blocks else []
            if not block or request.samples != block[0].samples or (len(block) + 1) * request.samples > self.block:
                blocks.append([request])
            else:
                block.append(request)
        return blocks

    def share(self, requests: Sequence[Request], process: int, processes: int) -> set[str]:
        """Keys of the requests that fall to one of several processes; see [`Expander.share`].

        Blocks are cut from the whole list and dealt out whole, so that any number of processes gives the same answers.
        """
        return {request.key for block in self.blocks(requests)[process::processes] for request in block}

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Collection[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Answer requests block by block; see [`Expander.expand`].

        Blocks are cut from the whole list, and each block seeds the generator anew from its own keys: a block gives
        the same answers whether or not the blocks before it were run in this process.
        """
        for block in self.blocks(requests):
            if all(request.key in done for request in block):
                continue
            answers = self._generate(block, sampling)
            for request, expansions in zip(block, answers, strict=True):
                if request.key not in done:
                    yield request.key, expansions

    def _generate(self, block: Sequence[Request], sampling: Sampling) -> list[list[Expansion]]:
        samples = block[0].samples
        rendered = [conversation_text(self.tokenizer, request.messages, enable_thinking=False) for request in block]
        # A chat template writes the token at the beginning itself.
        bare = not self.tokenizer.chat_template
        prompts = self.tokenizer(rendered, add_special_tokens=bare)["input_ids"]
        self.engine.load()
        self._warn_of_length(max(map(len, prompts)), sampling.max_new_tokens)
        keys = "\n".join(request.key for request in block)
        digest = hashlib.sha256(f"{sampling.seed}\n{keys}".encode()).digest()
        ends = self.engine.end_tokens or {self.tokenizer.eos_token_id} - {None}
        found = self.engine.generate(prompts, samples, sampling, ends, int.from_bytes(digest[:7], "big"))
        return [
            [self._expansion(len(prompt), ids, ends) for ids in answers]
            for prompt, answers in zip(prompts, found, strict=True)
        ]

    def _warn_of_length(self, prompt: int, answer: int) -> None:
        config = json.loads((Path(self._path) / "config.json").read_text(encoding="utf-8"))
        longest = config.get("max_position_embeddings")
        if longest and prompt > longest:
            raise KitError(
                f"{self.identity.model_id}: a prompt of {prompt} tokens is longer than the {longest} that the model "
                "was made for: shorten the query, or what the prompt shows"
            )
        if longest and prompt + answer > longest and not self._warned:
            self._warned = True
            logger.warning(
                f"{self.identity.model_id}: a prompt of {prompt} tokens and {answer} of an answer are more than the "
                f"{longest} that the model was made for: answers will be poor; give a shorter prompt"
            )

    def _expansion(self, prompt_tokens: int, ids: Sequence[int], ends: AbstractSet[int]) -> Expansion:
        """An answer up to its first end token, which counts as written."""
        stop = next((number for number, token in enumerate(ids) if token in ends), None)
        text = " ".join(self.tokenizer.decode(ids[:stop], skip_special_tokens=True).split())
        if stop is None:
            return Expansion(whole_characters(text), prompt_tokens, len(ids), "length").cleaned()
        return Expansion(whole_characters(text), prompt_tokens, stop + 1, "stop").cleaned()


def _length(request: Request) -> int:
    return sum(len(message["content"]) for message in request.messages)

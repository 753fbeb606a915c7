"""Generates with transformers: any model, on a GPU or the CPU."""

import functools
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from builders.errors import KitError
from builders.expanders.adapter import with_adapter
from builders.expanders.checkpoint import loading
from builders.expanders.engines.fastest_dtype import fastest_dtype
from builders.expanders.engines.generation_engine import AUTO, Engine, LocalModel
from builders.expanders.expander import Sampling


# Where a row is filled up: masked out, so that any token will do.
PADDING = 0


class TransformersEngine(Engine):
    """Runs a model with transformers, in the arithmetic that `dtype` says or this machine does fastest."""

    name = "transformers"
    help = "any model, on a GPU or the CPU"

    @classmethod
    def refusal(cls, model: LocalModel) -> str | None:
        """See [`Engine.refusal`]: it runs everything that can be loaded."""
        return None

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """See [`Engine.settings`]. Answers without the name of an engine are of this one."""
        told = self.local.dtype
        return {"dtype": fastest_dtype() if told == AUTO else told, "load_in_4bit": self.local.load_in_4bit}

    @functools.cached_property
    def model(self) -> Any:
        """The model; a training puts its own here."""
        try:
            import torch
            from transformers import AutoModelForCausalLM, BitsAndBytesConfig
        except ImportError as error:
            raise KitError(f"{error.name} is missing: pip install 'query-expansion-kit[train]'") from error

        local, dtype = self.local, getattr(torch, self.settings["dtype"], None)
        if not isinstance(dtype, torch.dtype):
            raise KitError(f"unknown dtype {local.dtype!r}: give {AUTO}, float32, bfloat16 or float16")
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        with loading(local.checkpoint.path):
            model: Any = AutoModelForCausalLM.from_pretrained(
                local.checkpoint.path,
                dtype=dtype,
                quantization_config=quantization if local.load_in_4bit else None,
                device_map={"": "cuda" if torch.cuda.is_available() else "cpu"},
                trust_remote_code=False,
            )
            with torch.inference_mode():  # Its settings may be of other types than its code takes.
                model.generate(torch.zeros((1, 1), dtype=torch.long, device=model.device), max_new_tokens=1)
        if local.adapter is not None:
            model = with_adapter(model, local.adapter, merge=not local.load_in_4bit)
        return model.eval()

    @property
    def end_tokens(self) -> AbstractSet[int]:
        """See [`Engine.end_tokens`]."""
        ends = self.model.generation_config.eos_token_id
        return {ends} if isinstance(ends, int) else set(ends or ())

    @property
    def is_loaded(self) -> bool:
        """See [`Engine.is_loaded`]."""
        return "model" in vars(self)

    def load(self) -> None:
        """See [`Engine.load`]."""
        _ = self.model

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samples: int,
        sampling: Sampling,
        ends: AbstractSet[int],
        seed: int,
    ) -> list[list[list[int]]]:
        """See [`Engine.generate`]."""
        import torch

        longest = max(map(len, prompts))
        padded = [[PADDING] * (longest - len(ids)) + list(ids) for ids in prompts]
        mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
        inputs = {"input_ids": padded, "attention_mask": mask}
        how: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if sampling.temperature > 0:
            drawn = {name: getattr(sampling, name) for name in ("temperature", "top_p", "top_k")}
            how = {"do_sample": True, **drawn}
        torch.manual_seed(seed)
        with torch.inference_mode():
            tensors = {name: torch.tensor(rows, device=self.model.device) for name, rows in inputs.items()}
            repeated, cache = self._prefill(tensors, samples)
            output = self.model.generate(
                **repeated,
                past_key_values=cache,
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=sorted(ends) or None,
                pad_token_id=PADDING,
                **how,
            )
        rows = output[:, longest:].tolist()
        return [rows[start:][:samples] for start in range(0, len(rows), samples)]

    def _prefill(self, inputs: dict[str, Any], samples: int) -> tuple[dict[str, Any], Any]:
        """Read each prompt once and share its cache between the samples, instead of reading it once a sample."""
        from transformers import DynamicCache

        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        self.model(
            input_ids=ids[:, :-1],
            attention_mask=mask[:, :-1],
            position_ids=positions[:, :-1],
            past_key_values=cache,
            logits_to_keep=1,
        )
        cache.batch_repeat_interleave(samples)
        return {name: rows.repeat_interleave(samples, dim=0) for name, rows in inputs.items()}, cache

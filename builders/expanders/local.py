"""Expands with a transformers model on this machine, with or without a LoRA adapter."""

import functools
import hashlib
import logging
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from builders.artifacts.model_folder import adapter_name
from builders.errors import KitError
from builders.expanders.adapter import check_adapter_base, with_adapter
from builders.expanders.checkpoint import loading, resolve_checkpoint
from builders.expanders.expander import Expander, ExpanderInputs, Expansion, Identity, Request, Sampling
from builders.prompts.answer_text import whole_characters
from builders.prompts.chat import conversation_text
from builders.prompts.prompt import Prompt


logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class LocalOptions:
    """Settings of `--expander local`."""

    adapter: str | None = field(default=None, metadata={"help": "LoRA adapter of that model: folder or Hub id."})
    dtype: str = field(default="float32", metadata={"help": "float32 (CPU), bfloat16 or float16."})
    load_in_4bit: bool = field(default=False, metadata={"help": "NF4 with double quantization."})
    block: int = field(default=32, metadata={"help": "Sequences generated together."})


class LocalExpander(Expander):
    """Generates with transformers on this machine.

    Args:
        model (`str`):
            Base model: see [`resolve_checkpoint`].
        adapter (`str`, *optional*):
            Folder or Hub id of a LoRA adapter of that base model.
        dtype (`str`, *optional*, defaults to `"float32"`):
            torch dtype of the weights and the arithmetic. CPUs without bf16 instructions are fastest in float32.
        load_in_4bit (`bool`, *optional*, defaults to `False`):
            NF4 with double quantization (bitsandbytes).
        block (`int`, *optional*, defaults to 32):
            Sequences generated together. It is part of what makes a run repeatable.
        revision (`str`, *optional*):
            Revision of a Hub base model.

    Raises:
        KitError: a missing package, an unknown model, or an adapter that belongs to another base model.
    """

    name = "local"
    help = "a transformers model on this machine, with or without a LoRA adapter"
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
        dtype: str = "float32",
        load_in_4bit: bool = False,
        block: int = 32,
        revision: str | None = None,
    ) -> None:
        checkpoint = resolve_checkpoint(model, revision)
        if adapter is not None:
            check_adapter_base(adapter, checkpoint)
        self.block = block
        self.identity = Identity(
            model_id=checkpoint.model_id,
            revision=checkpoint.revision,
            weights=checkpoint.weights,
            provider="local",
            adapter=None if adapter is None else adapter_name(adapter),
        )
        self.settings = {"dtype": dtype, "load_in_4bit": load_in_4bit, "block": block}
        self._checkpoint, self._adapter = checkpoint, adapter
        self._dtype, self._load_in_4bit = dtype, load_in_4bit
        self._warned = False

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The base model's tokenizer, padding on the left as generation needs it."""
        from transformers import AutoTokenizer

        path = self._checkpoint.path
        with loading(path):
            tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left", trust_remote_code=False)
        if tokenizer.pad_token is None:  # What stands there is masked out: any token will do.
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
        return tokenizer

    @functools.cached_property
    def model(self) -> Any:
        """The model, loaded when the first answer is asked for: a build that is up to date never needs it."""
        try:
            import torch
            from transformers import AutoModelForCausalLM, BitsAndBytesConfig
        except ImportError as error:
            raise KitError(f"{error.name} is missing: pip install 'query-expansion-kit[train]'") from error

        dtype = getattr(torch, self._dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise KitError(f"unknown dtype {self._dtype!r}: give float32, bfloat16 or float16")
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        with loading(self._checkpoint.path):
            model: Any = AutoModelForCausalLM.from_pretrained(
                self._checkpoint.path,
                dtype=dtype,
                quantization_config=quantization if self._load_in_4bit else None,
                device_map={"": "cuda" if torch.cuda.is_available() else "cpu"},
                trust_remote_code=False,
            )
            with torch.inference_mode():  # Its settings may be of other types than its code takes.
                model.generate(torch.zeros((1, 1), dtype=torch.long, device=model.device), max_new_tokens=1)
        if self._adapter is not None:
            model = with_adapter(model, self._adapter, merge=not self._load_in_4bit)
        return model.eval()

    def load(self) -> None:
        """Load the model now, so that what follows can be timed without it."""
        _ = self.model

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
        import torch

        samples = block[0].samples
        rendered = [conversation_text(self.tokenizer, request.messages, enable_thinking=False) for request in block]
        # A chat template writes the token at the beginning itself.
        bare = not self.tokenizer.chat_template
        inputs = self.tokenizer(rendered, return_tensors="pt", padding=True, add_special_tokens=bare).to(
            self.model.device
        )
        prompt_length = inputs["input_ids"].shape[1]
        self._warn_of_length(prompt_length, sampling.max_new_tokens)
        keys = "\n".join(request.key for request in block)
        digest = hashlib.sha256(f"{sampling.seed}\n{keys}".encode()).digest()
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        settings: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if sampling.temperature > 0:
            settings = {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
            }
        with torch.inference_mode():
            repeated, cache = self._prefill(inputs, samples)
            output = self.model.generate(
                **repeated,
                past_key_values=cache,
                max_new_tokens=sampling.max_new_tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                **settings,
            )
        ends = self._end_tokens()
        answers = [self._read(row, ends) for row in output[:, prompt_length:].tolist()]
        prompt_tokens = inputs["attention_mask"].sum(dim=1).tolist()
        expansions = [
            Expansion(text, prompt_tokens[number // samples], tokens, reason).cleaned()
            for number, (text, tokens, reason) in enumerate(answers)
        ]
        return [expansions[start:][:samples] for start in range(0, len(expansions), samples)]

    def _warn_of_length(self, prompt: int, answer: int) -> None:
        longest = getattr(self.model.config, "max_position_embeddings", None)
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

    def _prefill(self, inputs: Any, samples: int) -> tuple[dict[str, Any], Any]:
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
        repeated = {
            "input_ids": ids.repeat_interleave(samples, dim=0),
            "attention_mask": mask.repeat_interleave(samples, dim=0),
        }
        return repeated, cache

    def _end_tokens(self) -> set[int]:
        ends = self.model.generation_config.eos_token_id
        return {ends} if isinstance(ends, int) else set(ends or [self.tokenizer.eos_token_id])

    def _read(self, ids: list[int], ends: set[int]) -> tuple[str, int, Any]:
        """Text up to the first end token, number of tokens written (the end token counts), reason for the end."""
        stop = next((i for i, token in enumerate(ids) if token in ends), None)
        written = ids if stop is None else ids[:stop]
        text = whole_characters(" ".join(self.tokenizer.decode(written, skip_special_tokens=True).split()))
        return text, len(ids) if stop is None else stop + 1, "length" if stop is None else "stop"


def _length(request: Request) -> int:
    return sum(len(message["content"]) for message in request.messages)

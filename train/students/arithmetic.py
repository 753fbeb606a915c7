"""What a student is trained in, dtype and attention: as the recipe says, or as this machine proves to be faster in."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from trl import ModelConfig

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import atomic_write, dump_json
from builders.expanders.engines.fastest_dtype import fastest_dtype
from builders.expanders.engines.generation_engine import AUTO


# torch's fused attention stands unless plain attention saves that share of the time.
SAVES = 0.1
SECONDS = 0.06  # Of computing, for each comparison.
# A small model's, in a batch of a few rows.
ROWS, TOKENS, HEADS, HEAD = 2, 192, 8, 64


def settled(model_args: ModelConfig) -> ModelConfig:
    """The recipe with its dtype and attention decided, where it says `dtype: auto`; another one as it is.

    The dtype is that of generation, see [`fastest_dtype`]. An attention that the recipe does not name is measured on a
    CPU, once a machine: what a training is repeated or resumed with must not hang on a moment. All processes train in
    what the main process decides.
    """
    if model_args.dtype != AUTO:
        return model_args
    state = PartialState()
    decided: list[Any] = [None]
    if state.is_main_process:
        decided = [_measured() if state.device.type == "cpu" else {"dtype": fastest_dtype(), "attention": {}}]
    broadcast_object_list(decided)
    dtype = decided[0]["dtype"]
    attention = model_args.attn_implementation or decided[0]["attention"].get(dtype)
    return replace(model_args, dtype=dtype, attn_implementation=attention)


def arithmetic(model_args: ModelConfig) -> dict[str, Any]:
    """For `training.json`: what was decided."""
    return {"dtype": model_args.dtype, "attention": model_args.attn_implementation}


def keep_in_autocast(trainer: Any) -> None:
    """Have the adapter compute in bfloat16 where the trainer does (`bf16: true`), its weights staying in float32.

    PEFT would turn every input into float32 and autocast turn it back; on a CPU that takes a fifth of a step.
    """
    if trainer.args.bf16 and trainer.accelerator.device.type == "cpu":
        for layer in trainer.model.modules():
            if hasattr(layer, "cast_input_dtype_enabled"):
                layer.cast_input_dtype_enabled = False


def _measured() -> dict[str, Any]:
    """dtype, and the attention of each dtype, from the cache or by measuring."""
    can = repr([torch.__version__, *sorted(torch.cpu.get_capabilities().items())])
    note = cache_dir("arithmetic") / f"{hashlib.sha256(can.encode()).hexdigest()[:16]}.json"
    if note.exists():
        return dict(json.loads(note.read_text()))
    attention = {name: _attention_of(getattr(torch, name)) for name in ("float32", "bfloat16")}
    found = {"dtype": fastest_dtype(), "attention": attention}
    atomic_write(note, dump_json(found).encode())
    return found


def _attention_of(dtype: torch.dtype) -> str:
    faster = _saves(lambda: _attention(dtype, _eager), lambda: _attention(dtype, _fused))
    return "eager" if faster else "sdpa"


def _saves(new: Callable[[], Any], old: Callable[[], Any]) -> bool:
    """Whether the new way saves enough of one core's time: that is the same when others are at work beside it."""
    best, threads, spent = [float("inf")] * 2, torch.get_num_threads(), 0.0
    torch.set_num_threads(1)
    for works in (new, old):  # What is set up once, and caches.
        works()
    while spent < SECONDS:
        for number, works in enumerate((new, old)):
            started = time.thread_time()
            works()
            took = time.thread_time() - started
            best[number], spent = min(best[number], took), spent + took
    torch.set_num_threads(threads)
    return best[0] < (1 - SAVES) * best[1]


def _attention(dtype: torch.dtype, attend: Callable[..., torch.Tensor]) -> None:
    q, k, v = (torch.ones(ROWS, HEADS, TOKENS, HEAD, dtype=dtype, requires_grad=True) for _ in range(3))
    mask = torch.zeros(ROWS, 1, TOKENS, TOKENS, dtype=dtype)
    torch.autograd.grad(attend(q, k, v, mask).sum(), (q, k, v))


def _fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _eager(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """As transformers computes it."""
    return torch.softmax(q @ k.transpose(-1, -2) * HEAD**-0.5 + mask, -1, dtype=torch.float32).to(q.dtype) @ v

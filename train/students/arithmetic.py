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


AUTO = "auto"
# CPUs with instructions for bfloat16 do a layer in it up to 8 times as fast as in float32, others in several times as
# long; float32 and torch's fused attention stand unless the other one saves that share of the time.
SAVES = 0.1
SECONDS = 0.06  # Of computing, for each comparison.
# A small model's, in a batch of a few rows.
ROWS, TOKENS, WIDTH, INNER, HEADS, HEAD = 2, 192, 512, 1536, 8, 64


def settled(model_args: ModelConfig) -> ModelConfig:
    """The recipe with its dtype and attention decided, where it says `dtype: auto` and no `attn_implementation`.

    On a CPU both are measured, once a machine: what a training is repeated or resumed with must not hang on a moment.
    All processes train in what the main process decides.
    """
    state = PartialState()
    decided: list[Any] = [None]
    if state.is_main_process and state.device.type == "cpu":
        decided = [_measured()]
    elif state.is_main_process:
        decided = [{"dtype": "bfloat16" if torch.cuda.is_bf16_supported() else "float32", "attention": {}}]
    broadcast_object_list(decided)
    dtype = decided[0]["dtype"] if model_args.dtype == AUTO else model_args.dtype
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
    faster = _saves(lambda: _layer(torch.bfloat16), lambda: _layer(torch.float32))
    found = {
        "dtype": "bfloat16" if faster else "float32",
        "attention": {name: _attention_of(getattr(torch, name)) for name in ("float32", "bfloat16")},
    }
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


def _layer(dtype: torch.dtype) -> None:
    """Forward and backward through frozen weights, as most of a step with LoRA is."""
    x = torch.ones(ROWS * TOKENS, WIDTH, dtype=dtype, requires_grad=True)
    up, down = torch.ones(WIDTH, INNER, dtype=dtype), torch.ones(INNER, WIDTH, dtype=dtype)
    torch.autograd.grad((torch.nn.functional.silu(x @ up) @ down).sum(), x)


def _attention(dtype: torch.dtype, attend: Callable[..., torch.Tensor]) -> None:
    q, k, v = (torch.ones(ROWS, HEADS, TOKENS, HEAD, dtype=dtype, requires_grad=True) for _ in range(3))
    mask = torch.zeros(ROWS, 1, TOKENS, TOKENS, dtype=dtype)
    torch.autograd.grad(attend(q, k, v, mask).sum(), (q, k, v))


def _fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _eager(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """As transformers computes it."""
    return torch.softmax(q @ k.transpose(-1, -2) * HEAD**-0.5 + mask, -1, dtype=torch.float32).to(q.dtype) @ v

"""Bounds of settings by their names, which mean the same in all commands; what lies outside is refused in one line."""

import math
from dataclasses import fields
from typing import Any

from builders.errors import KitError


_ENDLESS = math.inf
# Name → least and largest value. What a command of its own asks for stands with that command.
BOUNDS: dict[str, tuple[float, float]] = {
    # -1 takes all.
    **dict.fromkeys(("num_train", "num_validation", "validation_queries", "max_steps"), (-1, _ENDLESS)),
    **dict.fromkeys(("num_queries", "top_k", "pool_top_k", "validation_steps", "validation_patience"), (0, _ENDLESS)),
    **dict.fromkeys(("samples", "max_new_tokens", "block", "batch_size", "list_size", "depth"), (1, _ENDLESS)),
    **dict.fromkeys(("validation_block", "validation_max_new_tokens", "max_length"), (1, _ENDLESS)),
    **dict.fromkeys(("per_device_train_batch_size", "gradient_accumulation_steps", "lora_alpha"), (1, _ENDLESS)),
    **dict.fromkeys(("learning_rate", "weight_decay", "warmup_steps", "max_grad_norm", "beta"), (0, _ENDLESS)),
    **dict.fromkeys(("effectiveness_weight", "consistency_weight", "num_train_epochs"), (0, _ENDLESS)),
    **dict.fromkeys(("top_p", "lora_dropout"), (0, 1)),
    "seed": (0, 2**32 - 1),
    "port": (0, 2**16 - 1),
    # Processes; more of them only fill the memory.
    "dataloader_num_workers": (0, 128),
}


def require_bounds(settings: Any) -> None:
    """Refuse numbers that are none, with which every comparison is false, and such as lie outside their bounds.

    Args:
        settings (`dataclass`):
            Parsed settings; defaults are taken as they are.

    Raises:
        KitError: a value makes no sense.
    """
    for one in fields(settings):
        value = getattr(settings, one.name)
        least, most = BOUNDS.get(one.name, (-_ENDLESS, _ENDLESS))
        for number in value if isinstance(value, list) else [value]:
            if not isinstance(number, int | float) or isinstance(number, bool) or value == one.default:
                continue
            if not math.isfinite(number):
                raise KitError(f"--{one.name} {number}: give a finite number")
            if number < least:
                raise KitError(f"--{one.name} {number}: must be at least {least}")
            if number > most:
                raise KitError(f"--{one.name} {number}: must be at most {most}")
    # A retriever's rank of 0 trains all weights; with `use_peft` there is no such adapter.
    if getattr(settings, "use_peft", False) and settings.lora_r < 1:
        raise KitError(f"--lora_r {settings.lora_r}: must be at least 1, the rank of the adapter")

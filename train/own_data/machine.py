"""Tells what this machine can compute with: cores, memory, graphics cards."""

import os
from dataclasses import dataclass

import psutil

from builders.errors import KitError


@dataclass(frozen=True)
class Machine:
    """What there is to compute with.

    Args:
        cores (`int`), memory_gib (`float`):
            Of the processor; memory in GiB.
        gpus (`int`), gpu (`str`), gpu_gib (`float`):
            How many graphics cards, the name of the first, and its memory in GiB; 0 and "" without one.
    """

    cores: int
    memory_gib: float
    gpus: int = 0
    gpu: str = ""
    gpu_gib: float = 0.0

    def line(self) -> str:
        """The same for a person."""
        cards = f"{self.gpus} × {self.gpu} ({self.gpu_gib:.0f} GiB)" if self.gpus else "no GPU"
        return f"this machine: {self.cores} cores, {self.memory_gib:.0f} GiB of memory, {cards}"


def this_machine() -> Machine:
    """The machine that this runs on.

    Raises:
        KitError: torch is missing, without which nothing is trained.
    """
    try:
        import torch
    except ImportError as error:
        raise KitError("torch is missing: pip install 'query-expansion-kit[train]'") from error

    memory = psutil.virtual_memory().total / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not torch.cuda.is_available():
        return Machine(cores, memory)
    card = torch.cuda.get_device_properties(0)
    return Machine(cores, memory, torch.cuda.device_count(), card.name, card.total_memory / 2**30)

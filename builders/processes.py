"""Joins the processes that share the work, under `accelerate launch` or alone."""

import datetime
import os
from dataclasses import dataclass
from typing import Any


# The first process done waits for the last one, and its peers for the main one's grading.
LONGEST_WAIT = datetime.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Processes:
    """One of several processes, on one machine or on many.

    Args:
        index (`int`):
            Number of this process, from 0.
        count (`int`):
            How many there are.
    """

    index: int
    count: int

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes results and talks to the person."""
        return self.index == 0

    def gather(self, items: list[Any]) -> list[Any]:
        """The items of all processes, in the order of the processes, in each of them."""
        if self.count == 1:
            return items
        from accelerate.utils import gather_object

        return list(gather_object(items))


def join_processes() -> Processes:
    """Meet the other processes, if a launcher started any."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes(0, 1)
    import torch
    from accelerate import PartialState

    # Said outright: a launcher's "use_cpu" alone starts several processes that do not know of one another.
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=LONGEST_WAIT)
    return Processes(state.process_index, state.num_processes)

"""Lets callers use the model one after another, in the order in which they came."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from builders.errors import KitError


# So many may wait; whoever comes then is told to come again.
LENGTH = 64
# How often somebody who waits looks whether the place is free, in seconds.
LOOK = 0.05

Result = TypeVar("Result")


class Line:
    """A waiting line before something that only one can use at a time.

    Args:
        length (`int`, *optional*, defaults to 64):
            At most so many in it, with the one whose turn it is.
    """

    def __init__(self, length: int = LENGTH) -> None:
        self.length = length
        self.mean_seconds: float | None = None
        self._turns: list[Turn] = []
        self._changing = threading.Lock()

    def join(self) -> "Turn":
        """Stand in line.

        Raises:
            KitError: too many wait already.
        """
        with self._changing:
            if len(self._turns) >= self.length:
                raise KitError(f"The model is busy: {len(self._turns)} wait for it already. Try again in a minute.")
            turn = Turn(self)
            self._turns.append(turn)
            return turn

    def ahead(self, turn: "Turn") -> int:
        """How many come before."""
        with self._changing:
            return self._turns.index(turn) if turn in self._turns else 0

    def leave(self, turn: "Turn", seconds: float | None = None) -> None:
        """Make way for the next; `seconds` is how long the turn took, if it was taken."""
        with self._changing:
            if turn in self._turns:
                self._turns.remove(turn)
            if seconds is not None:
                mean = self.mean_seconds
                self.mean_seconds = seconds if mean is None else 0.7 * mean + 0.3 * seconds


class Turn:
    """One place in a line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def ahead(self) -> int:
        """How many come before."""
        return self._line.ahead(self)

    @property
    def seconds(self) -> float | None:
        """How long it will probably take until the answer is there; `None` before anybody was served."""
        mean = self._line.mean_seconds
        return None if mean is None else mean * (self.ahead + 1)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Wait for the turn, then work in a thread. Whoever gives up waiting leaves the line at once.

        Raises:
            Exception: what the work raises.
        """
        began = False

        def working() -> Result:
            # In the thread: what cannot be stopped any more keeps the others waiting until it is done.
            nonlocal began
            began, started = True, time.perf_counter()
            try:
                return work()
            finally:
                self._line.leave(self, time.perf_counter() - started)

        try:
            while self.ahead:
                await asyncio.sleep(LOOK)
            return await asyncio.to_thread(working)
        finally:
            if not began:
                self._line.leave(self)

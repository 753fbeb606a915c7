"""Faults that a test plants: they strike the first requests that match."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .messages import Request


DROPS = ("before", "mid_request", "after", "mid_response", "mid_response_fin", "silent", "mid_response_silent")


@dataclass
class Fault:
    """What goes wrong, and for which requests.

    `status` answers without doing the work; with `applied=True` the work is done first and its answer thrown away.
    `headers` and `body` without `status` change the route's own answer. `hook` runs before the route. `drop` cuts the
    connection: `before` anything is read, `mid_request` (half the body read), `after` the work, `mid_response` (half
    the answer's body, then a reset) and `mid_response_fin` (half, then an orderly close). With `silent` nothing is
    answered, and with `mid_response_silent` only half: the connection stays open until the client closes it.
    """

    method: str
    path: str
    times: int = 1
    skip: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str | dict[str, Any] | None = None
    delay: float = 0.0
    drop: str | None = None
    hook: Callable[[Request], object] | None = None
    applied: bool = False
    fired: int = 0

    def __post_init__(self) -> None:
        if self.drop is not None and self.drop not in DROPS:
            raise ValueError(f"drop must be one of {DROPS}, not {self.drop!r}")

    @property
    def content(self) -> bytes | None:
        """The body as bytes."""
        if isinstance(self.body, dict):
            return json.dumps(self.body).encode()
        return self.body.encode() if isinstance(self.body, str) else self.body


class Faults:
    """The faults still to come."""

    def __init__(self) -> None:
        self.planted: list[Fault] = []
        self._lock = threading.Lock()

    def plant(self, fault: Fault) -> Fault:
        """Add a fault; its `fired` tells later whether it struck."""
        with self._lock:
            self.planted.append(fault)
        return fault

    def strike(self, method: str, target: str) -> Fault | None:
        """The first fault with times left for a request; `target` is the raw path with its query."""
        with self._lock:
            for fault in self.planted:
                if fault.method not in {"*", method} or not re.search(fault.path, target) or fault.times <= 0:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                fault.fired += 1
                return fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self.planted.clear()

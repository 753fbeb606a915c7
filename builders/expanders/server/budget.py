"""Caps what requests may cost, and keeps the account on disk so that the cap holds across interrupted runs."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from builders.errors import KitError


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that are paid for: read, and written (thinking aloud included)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens, read and written."""

    prompt: float = 0.0
    completion: float = 0.0

    def cost(self, usage: Usage) -> float:
        """US dollars for so many tokens."""
        return (self.prompt * usage.prompt_tokens + self.completion * usage.completion_tokens) / 1e6

    def bill(self, usage: Usage) -> str:
        """Tokens, and money where it has a price, in words."""
        money = f", {self.cost(usage):.4f} US dollars" if self != Prices() else ""
        return f"{usage.prompt_tokens} tokens read, {usage.completion_tokens} written{money}"


class Budget:
    """Counts every request twice: at its upper bound when it is sent, at its price when its answer is there.

    Both go to a JSONL file. A request without a second line (lost with its process, cut off, timed out) stays at its
    upper bound, since it may have been paid for: the cap holds whatever happens. The file belongs to one process.

    Args:
        path (`Path`):
            The file; what earlier runs left there counts.
        prices ([`Prices`]):
            What tokens cost.
        max_tokens (`int`, *optional*), max_cost (`float`, *optional*):
            The cap, in tokens and in US dollars.
    """

    def __init__(
        self, path: Path, prices: Prices, max_tokens: int | None = None, max_cost: float | None = None
    ) -> None:
        self.path, self.prices = path, prices
        self.max_tokens, self.max_cost = max_tokens, max_cost
        self._requests: dict[str, Usage] = {}
        self._sent: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            os.truncate(path, self._read())
        self._spent = sum(self._requests.values(), Usage())

    @property
    def spent(self) -> Usage:
        """Everything so far, requests without an answer at their upper bound."""
        return self._spent

    @property
    def in_flight(self) -> int:
        """Requests of this process that are not settled."""
        return len(self._sent)

    def fits(self, bound: Usage) -> bool:
        """Whether a request of at most this usage may be sent now."""
        total = self._spent + bound
        if self.max_tokens is not None and total.tokens > self.max_tokens:
            return False
        return self.max_cost is None or self.prices.cost(total) <= self.max_cost

    def reserve(self, bound: Usage) -> str:
        """Count a request that is about to be sent; returns its name."""
        name = f"{len(self._requests)}-{os.urandom(4).hex()}"
        self._sent.add(name)
        self._count(name, bound)
        return name

    def settle(self, name: str, usage: Usage | None) -> None:
        """Count what a request really took; `None` where nobody knows, which leaves it at its upper bound."""
        self._sent.discard(name)
        if usage is not None:
            self._count(name, usage)

    def _count(self, name: str, usage: Usage) -> None:
        before = self._requests.get(name, Usage())
        self._requests[name] = usage
        self._spent = Usage(
            self._spent.prompt_tokens - before.prompt_tokens + usage.prompt_tokens,
            self._spent.completion_tokens - before.completion_tokens + usage.completion_tokens,
        )
        with self.path.open("ab") as file:
            file.write(json.dumps({"request": name, **asdict(usage)}).encode() + b"\n")

    def _read(self) -> int:
        """Take in the whole lines, the later of a request for the earlier; returns how many bytes they are."""
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    row = json.loads(line)
                    self._requests[row["request"]] = Usage(row["prompt_tokens"], row["completion_tokens"])
                except (ValueError, KeyError, TypeError) as error:
                    raise KitError(
                        f"{self.path}: damaged after {whole} bytes; mend it, it says what was spent"
                    ) from error
                whole += len(line)
        return whole

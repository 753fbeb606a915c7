"""Statistics of a build: what became of the queries that went in, and why some gave nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class QueryStatistics:
    """Queries and candidates that went in, and one reason for every query that gave nothing."""

    queries: int = 0
    candidates: int = 0
    rejected_candidates: Counter[str] = field(default_factory=Counter)
    dropped_queries: Counter[str] = field(default_factory=Counter)

    def take(self, candidates: Sequence[dict[str, Any]]) -> None:
        """Count a query with its candidates, rows of config `raw`."""
        self.queries += 1
        self.candidates += len(candidates)
        self.rejected_candidates.update(c["check"] for c in candidates if c["check"] != "ok")

    def drop(self, reason: str) -> list[Any]:
        """Count a query that gives nothing, and give nothing."""
        self.dropped_queries[reason] += 1
        return []

    def as_dict(self) -> dict[str, Any]:
        """For `build.json` and the card."""
        return {
            name: dict(sorted(value.items())) if isinstance(value, dict) else value
            for name, value in vars(self).items()
        }


def all_dropped(statistics: Iterable[QueryStatistics]) -> Counter[str]:
    """Reason → queries of all splits that gave nothing for it."""
    return sum((one.dropped_queries for one in statistics), Counter[str]())


def counted(reasons: Counter[str]) -> str:
    """Reasons with their numbers, to tell."""
    return "; ".join(f"{number} {reason}" for reason, number in sorted(reasons.items())) or "none"

"""Keeps preference pairs for the app to show."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from builders.artifacts.records import read_record
from builders.errors import KitError


PAIRS = "pairs.json"
# A page holds no more; those with the largest margins are kept, and of a query's candidates the best.
MOST = 400
MOST_CANDIDATES = 8


@dataclass(frozen=True)
class Pair:
    """A chosen and a rejected expansion of a query, their scores and the difference, and the rule that paired them."""

    query: str
    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float
    margin: float
    rule: str
    split: str


@dataclass(frozen=True)
class Candidates:
    """What was written for a query: the best texts with their nDCG@10, and how many different ones there are."""

    best: Sequence[tuple[float, str]]
    total: int


@dataclass(frozen=True)
class Pairs:
    """The pairs that are shown, largest margin first, how many there are, and candidates of their queries."""

    shown: list[Pair]
    total: int
    candidates: Mapping[str, Candidates] = field(default_factory=dict)


def to_json(pairs: Pairs) -> str:
    """The content of `pairs.json`."""
    return json.dumps(asdict(pairs), indent=1, ensure_ascii=False) + "\n"


def read_pairs(folder: Path) -> Pairs | None:
    """Read `pairs.json`; `None` where the Space was rendered without pairs.

    Raises:
        KitError: the file is broken.
    """
    path = folder / PAIRS
    try:
        told = read_record(path)
        candidates = {
            query: Candidates([(score, text) for score, text in found["best"]], found["total"])
            for query, found in told["candidates"].items()
        }
        return Pairs([Pair(**pair) for pair in told["shown"]], told["total"], candidates)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"{path}: broken; run python -m space again") from error


def rules(pairs: Iterable[Pair]) -> list[str]:
    """The rules that made them, in the order of the alphabet."""
    return sorted({pair.rule for pair in pairs})

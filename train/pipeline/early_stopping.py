"""The history of rounds: which was the best, and whether another is worth its time."""

from collections.abc import Mapping, Sequence
from typing import Any


def best_round(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The round with the highest validation nDCG@10, the earliest of equals; round 0 is the beginning."""
    return max(history, key=lambda entry: entry["ndcg_at_10"])


def is_over(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Whether `patience` rounds came after the best one and none of them was better."""
    return bool(history[-1]["round"] - best_round(history)["round"] >= patience)

"""Sets graded candidates of one query side by side, as a filter learns to tell them apart."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builders.errors import KitError
from builders.grading.comparison import SAME


@dataclass(frozen=True)
class CandidateList:
    """Different candidates of one query, each with its ΔnDCG@10 against the plain query."""

    query_id: str
    query: str
    candidates: tuple[str, ...]
    deltas: tuple[float, ...]

    @property
    def tells(self) -> bool:
        """Whether it matters which candidate is picked."""
        return max(self.deltas) - min(self.deltas) > SAME

    def dealt(self, most: int, seed: int) -> "list[CandidateList]":
        """Lists of about equal length with at most `most` candidates each, dealt at random by query and seed.

        The memory of a training step depends on the length of a list; so it does not depend on how many candidates
        were generated.
        """
        order = list(range(len(self.candidates)))
        random.Random(f"{seed}:{self.query_id}").shuffle(order)
        hands = -(-len(order) // most)
        parts = [sorted(order[hand::hands]) for hand in range(hands)]
        return [
            CandidateList(
                self.query_id,
                self.query,
                tuple(self.candidates[n] for n in part),
                tuple(self.deltas[n] for n in part),
            )
            for part in parts
        ]


def candidate_lists(rows: Iterable[Mapping[str, Any]], source: str) -> list[CandidateList]:
    """One list a query of rows of config `raw`, in their order: the candidates that passed the output check.

    A candidate that was written twice stands in the list once.

    Raises:
        KitError: no candidate passed the check.
    """
    texts: dict[str, str] = {}
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["check"] == "ok":
            texts[row["query_id"]] = row["query"]
            delta = row["ndcg_at_10"] - row["plain_ndcg_at_10"]
            found.setdefault(row["query_id"], {}).setdefault(row["candidate"], delta)
    if not found:
        raise KitError(
            f"{source}: no candidate in config 'raw' passed its output check: there is nothing to learn from"
        )
    return [CandidateList(name, texts[name], tuple(deltas), tuple(deltas.values())) for name, deltas in found.items()]


def held_out(
    lists: Sequence[CandidateList], share: float, seed: int
) -> tuple[list[CandidateList], list[CandidateList]]:
    """Part the lists by a seeded hash of the query id: those to train on, and a share (at least one) to choose by.

    Raises:
        KitError: there are fewer than two queries, or the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise KitError(f"--held_out: give a share of the queries between 0 and 1, not {share}")
    if len(lists) < 2:
        raise KitError("one query alone cannot be parted into training and held-out queries: build more")
    drawn = sorted(lists, key=lambda one: hashlib.sha256(f"{seed}:{one.query_id}".encode()).digest())
    number = min(len(lists) - 1, max(1, round(share * len(lists))))
    names = {one.query_id for one in drawn[:number]}
    parts: tuple[list[CandidateList], list[CandidateList]] = ([], [])
    for one in lists:
        parts[one.query_id in names].append(one)
    return parts

"""Reciprocal rank fusion: several rankings of one query made one, and the hybrid retriever that searches so."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Self

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.left_out import LeftOut, search_without
from builders.retrievers.retriever import Hit, NamedRetriever, Rankings, Retriever


# Cormack, Clarke and Büttcher (2009): a small change of a rank matters much at the top and little below.
K = 60
# The parts are followed so far even where fewer hits are asked for: fused ranks must not depend on the depth.
REACH = 100


def fused(rankings: Sequence[Sequence[Hit]], depth: int) -> list[Hit]:
    """Reciprocal rank fusion: a document's score is Σ 1 / (60 + rank) over the rankings that have it, ranks from 1.

    Source: Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank
    learning methods". Ties are broken by document id.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.document_id] += 1 / (K + rank)
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [Hit(document_id, score) for document_id, score in ordered[:depth]]


class HybridRetriever(NamedRetriever):
    """Several retrievers over one collection, fused by reciprocal rank.

    Args:
        parts (`Sequence[Retriever]`):
            At least two.

    Raises:
        KitError: there are fewer.
    """

    forms = ("hybrid(A,B)",)
    searches_by = "reciprocal rank fusion of two or more of these"
    languages = "those of its parts"

    def __init__(self, parts: Sequence[Retriever]) -> None:
        if len(parts) < 2:
            raise KitError("retriever hybrid(…) needs at least two parts, e.g. hybrid(bm25s,pyserini)")
        self.parts = tuple(parts)
        self.name = f"hybrid({','.join(part.name for part in parts)})"

    @classmethod
    def from_name(cls, name: str, collection: Collection, load: Callable[[str, Collection], Retriever]) -> Self | None:
        """See `NamedRetriever.from_name`."""
        parts = cls.part_names(name)
        return cls([load(part, collection) for part in parts]) if parts != [name] else None

    @staticmethod
    def part_names(name: str) -> list[str]:
        """The names of a hybrid retriever's parts; of any other, its own."""
        hybrid = re.fullmatch(r"hybrid\((.+)\)", name)
        return [part.strip() for part in hybrid[1].split(",")] if hybrid else [name]

    def search(self, queries: Sequence[str], depth: int) -> Rankings:
        """See `Retriever.search`: each part searches for the same texts."""
        return self.search_without(queries, depth, ())

    def search_without(self, queries: Sequence[str], depth: int, left_out: LeftOut) -> Rankings:
        """See `ExcludingRetriever.search_without`: ranks are those without what is left out, in every part."""
        rankings = [search_without(part, queries, self.reach(depth), left_out) for part in self.parts]
        return [fused(of_query, depth) for of_query in zip(*rankings, strict=True)]

    @staticmethod
    def reach(depth: int) -> int:
        """How many hits of each part are fused into `depth`."""
        return max(depth, REACH) if depth > 0 else 0

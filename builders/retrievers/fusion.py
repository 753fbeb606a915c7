"""Fusion: several rankings of one query made one by their ranks."""

from collections import defaultdict
from collections.abc import Sequence

from builders.errors import KitError
from builders.retrievers.retriever import Hit, Retriever


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


class HybridRetriever:
    """Several retrievers over one collection, fused by reciprocal rank.

    Args:
        parts (`Sequence[Retriever]`):
            At least two.

    Raises:
        KitError: there are fewer.
    """

    def __init__(self, parts: Sequence[Retriever]) -> None:
        if len(parts) < 2:
            raise KitError("retriever hybrid(…) needs at least two parts, e.g. hybrid(bm25s,pyserini)")
        self.parts = tuple(parts)
        self.name = f"hybrid({','.join(part.name for part in parts)})"

    def search(self, queries: Sequence[str], depth: int) -> list[list[Hit]]:
        """See `Retriever.search`: each part searches for the same texts."""
        rankings = [part.search(queries, self.reach(depth)) for part in self.parts]
        return [fused(of_query, depth) for of_query in zip(*rankings, strict=True)]

    @staticmethod
    def reach(depth: int) -> int:
        """How many hits of each part are fused into `depth`."""
        return max(depth, REACH) if depth > 0 else 0

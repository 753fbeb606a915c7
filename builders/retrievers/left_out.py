"""Leaves out of rankings what a collection excludes: a query's own document, and others that it names."""

from collections.abc import Callable, Sequence

from builders.collections.collection import Collection
from builders.retrievers.retriever import Hit


def ranked_without(
    collection: Collection, query_ids: Sequence[str], search: Callable[[int], list[list[Hit]]], depth: int
) -> list[list[Hit]]:
    """The rankings of queries, as long as if what is left out were not in the collection.

    Args:
        collection ([`Collection`]):
            Says what is left out for which query.
        query_ids (`Sequence[str]`):
            One a ranking; unknown ids leave nothing out.
        search (`Callable`):
            Depth → the rankings, in that order.
        depth (`int`):
            At most so many hits each.
    """
    left_out = [collection.left_out(query_id) for query_id in query_ids] if collection.leaves_out else []
    rankings = search(depth + max(map(len, left_out), default=0))
    if not left_out:
        return rankings
    return [
        [hit for hit in ranking if hit.document_id not in without][:depth]
        for ranking, without in zip(rankings, left_out, strict=True)
    ]

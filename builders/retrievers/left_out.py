"""Leaves out of rankings what a collection excludes: a query's own document, and others that it names."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from builders.collections.collection import Collection
from builders.retrievers.retriever import ExcludingRetriever, Rankings, Retriever


# Document ids, one set a query; empty where nothing is left out of any.
LeftOut = Sequence[AbstractSet[str]]


def left_out_of(collection: Collection, query_ids: Sequence[str]) -> LeftOut:
    """What searches for queries pass over; unknown ids leave nothing out."""
    return [collection.left_out(query_id) for query_id in query_ids] if collection.leaves_out else []


def search_without(retriever: Retriever, queries: Sequence[str], depth: int, left_out: LeftOut) -> Rankings:
    """Search, as [`Retriever.search`] does, as if what is left out were not in the collection.

    Args:
        retriever ([`Retriever`]):
            One that is no [`ExcludingRetriever`] scores each document by itself, and so need not know beforehand.
        queries (`Sequence[str]`), depth (`int`):
            Query texts, and at most so many hits each.
        left_out (`Sequence[Set[str]]`):
            One set a query, or none at all.
    """
    if left_out and isinstance(retriever, ExcludingRetriever):
        return retriever.search_without(queries, depth, left_out)
    return ranked_without(lambda reach: retriever.search(queries, reach), depth, left_out)


def ranked_without(search: Callable[[int], Rankings], depth: int, left_out: LeftOut) -> Rankings:
    """As [`search_without`], of rankings whose scores do not depend on what else is in the collection.

    Args:
        search (`Callable`):
            Depth → the rankings, in the order of `left_out`.
        depth (`int`), left_out (`Sequence[Set[str]]`):
            See [`search_without`].
    """
    rankings = search(depth + max(map(len, left_out), default=0))
    if not left_out:
        return rankings
    return [
        [hit for hit in ranking if hit.document_id not in without][:depth]
        for ranking, without in zip(rankings, left_out, strict=True)
    ]

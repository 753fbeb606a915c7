"""Collect what a retriever ranks high for a query, with the texts that it indexes."""

from collections.abc import Collection as Ids
from collections.abc import Sequence
from dataclasses import dataclass

from builders.collections.collection import Collection, Query
from builders.retrievers.left_out import left_out_of, search_without
from builders.retrievers.retriever import Retriever


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document of a query's pool: its place in the ranking of the plain query, from 1, and its score there."""

    document_id: str
    text: str
    rank: int
    score: float


@dataclass(frozen=True)
class Pools:
    """The pools of several queries.

    Args:
        ranked (`dict[str, list[Ranked]]`):
            Query id → its pool, best first.
        texts (`dict[str, str]`):
            Document id → indexed text, of all documents in the pools and all that were judged relevant.
    """

    ranked: dict[str, list[Ranked]]
    texts: dict[str, str]


def mine(collection: Collection, retriever: Retriever, queries: Sequence[Query], skip_top: int, depth: int) -> Pools:
    """Search for the plain queries and keep ranks `skip_top` + 1 to `depth`; a query is no negative of itself."""
    left_out = left_out_of(collection, [query.id for query in queries])
    rankings = search_without(retriever, [query.text for query in queries], depth, left_out)
    wanted = {document for query in queries for document in collection.relevant(query.id)}
    wanted |= {hit.document_id for ranking in rankings for hit in ranking[skip_top:]}
    texts = _texts(collection, wanted)
    ranked = {
        query.id: [
            Ranked(hit.document_id, texts[hit.document_id], rank, hit.score)
            for rank, hit in enumerate(ranking[skip_top:], start=skip_top + 1)
        ]
        for query, ranking in zip(queries, rankings, strict=True)
    }
    return Pools(ranked, texts)


def _texts(collection: Collection, wanted: Ids[str]) -> dict[str, str]:
    """One pass over the collection. Judged documents that it does not hold are left out."""
    return {document_id: text for document_id, text in collection.indexed_texts() if document_id in wanted}

"""Exemplars: solved examples drawn from a collection's train queries, for few-shot prompts."""

import hashlib
from collections.abc import Sequence

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.prompts.prompt import Exemplar


WORDS = 20  # Long enough to show the tone of a document, short enough to keep a few-shot prompt cheap.


def draw_exemplars(collection: Collection, number: int, seed: int) -> list[Exemplar]:
    """Draw train queries, each with the opening words of a gold document as its expansion.

    Only *train* queries are drawn, so no test query or its document ever stands in a prompt. One more than asked for
    is drawn: see [`for_query`].

    Raises:
        KitError: the collection has too few train queries.
    """
    if number == 0:
        return []
    queries = collection.split("train")
    if len(queries) <= number:
        raise KitError(f"collection {collection.name!r} has {len(queries)} train queries; {number + 1} are needed")
    drawn = sorted(queries, key=lambda query: hashlib.sha256(f"{seed}:exemplar:{query.id}".encode()).digest())
    drawn = drawn[: number + 1]
    gold = {query.id: min(collection.gold(query.id)) for query in drawn}
    wanted = set(gold.values())
    texts = {document.id: document.text for document in collection.documents if document.id in wanted}
    return [Exemplar(query.id, query.text, " ".join(texts[gold[query.id]].split()[:WORDS]) + " …") for query in drawn]


def for_query(drawn: Sequence[Exemplar], query_id: str) -> list[Exemplar]:
    """All exemplars but one: never the query itself; otherwise the spare last one is left out."""
    others = [exemplar for exemplar in drawn if exemplar.query_id != query_id]
    return others[: max(len(drawn) - 1, 0)]

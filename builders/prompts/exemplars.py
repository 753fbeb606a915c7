"""Draws solved examples for few-shot prompts from a collection's train queries."""

import hashlib
from collections.abc import Sequence

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.prompts.prompt import Exemplar
from builders.prompts.script import opening


WORDS = 20  # Long enough to show the tone of a document, short enough to keep a few-shot prompt cheap.


def draw_exemplars(collection: Collection, number: int, seed: int) -> list[Exemplar]:
    """Draw train queries, each with the opening words of a gold document as its expansion.

    Only *train* queries are drawn, and no document that is relevant to a query of another split, so that no test query
    and none of its documents ever stands in a prompt. What searches for a query leave out, its own text among the
    documents, is kept from it like what is relevant to it. One more than asked for is drawn: see [`for_query`].

    Raises:
        KitError: the collection has too few train queries.
    """
    if number == 0:
        return []
    relevant_to: dict[str, set[str]] = {}
    for query_id in collection.queries:
        for document_id in {*collection.relevant(query_id), *collection.left_out(query_id)}:
            relevant_to.setdefault(document_id, set()).add(query_id)
    queries = collection.split("train")
    train = {query.id for query in queries}
    drawn: dict[str, str] = {}
    covered: set[str] = set()
    for query in sorted(queries, key=lambda q: hashlib.sha256(f"{seed}:exemplar:{q.id}".encode()).digest()):
        if len(drawn) > number:
            break
        document_id = min(collection.gold(query.id))
        # No query shares documents with two exemplars: then one spare is enough to show it none of its own.
        if relevant_to[document_id] <= train - covered:
            drawn[query.id] = document_id
            covered |= relevant_to[document_id]
    if len(drawn) <= number:
        raise KitError(
            f"collection {collection.name!r} has {len(drawn)} train queries (of {len(train)}) whose document no other "
            f"exemplar and no other split shares; {number + 1} are needed"
        )
    wanted = set(drawn.values())
    texts = {document.id: document.text for document in collection.documents if document.id in wanted}
    return [
        Exemplar(
            query_id,
            collection.queries[query_id].text,
            opening(texts[document_id], WORDS),
            tuple(sorted(relevant_to[document_id])),
        )
        for query_id, document_id in drawn.items()
    ]


def for_query(drawn: Sequence[Exemplar], query_id: str) -> list[Exemplar]:
    """All exemplars but one: never the query itself nor a document that answers it; otherwise the last is left out."""
    others = [exemplar for exemplar in drawn if query_id not in (exemplar.query_id, *exemplar.relevant_to)]
    return others[: max(len(drawn) - 1, 0)]

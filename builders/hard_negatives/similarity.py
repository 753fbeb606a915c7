"""Similarity of queries and documents by an encoder; it tells false negatives from hard ones."""

from collections.abc import Sequence

from builders.collections.collection import Collection, Query
from builders.retrievers.encoder import Encoder
from builders.retrievers.vectors import document_vectors


class Similarity:
    """Cosines between queries and documents of a collection.

    Args:
        collection (`Collection`):
            Its documents are encoded once and kept in the cache, where dense retrieval finds them, too.
        encoder ([`Encoder`]):
            Whose vectors count.
        queries (`Sequence[Query]`):
            Those that will be asked for.

    Raises:
        KitError: the encoder cannot be loaded.
    """

    def __init__(self, collection: Collection, encoder: Encoder, queries: Sequence[Query]) -> None:
        self._documents, ids = document_vectors(collection, encoder)
        self._rows = {ids[number]: number for number in range(len(ids))}
        vectors = encoder.encode_queries([query.text for query in queries])
        self._queries = dict(zip((query.id for query in queries), vectors, strict=True))

    def cosines(self, query_id: str, document_ids: Sequence[str]) -> list[float]:
        """The cosine of the query with each document."""
        rows = [self._rows[document_id] for document_id in document_ids]
        return [float(value) for value in self._documents[rows] @ self._queries[query_id]]


def highest_allowed(cosine: float, ratio: float) -> float:
    """What a negative's cosine must stay below: a share of the relevant document's, also where that is negative.

    Source: TopK-PercPos of NV-Retriever (Moreira et al. 2024), as `relative_margin` = 1 − ratio of
    `sentence_transformers.util.mine_hard_negatives`.
    """
    return cosine - abs(cosine) * (1 - ratio)

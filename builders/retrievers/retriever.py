"""The retriever: query → ranked documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable


if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Hit:
    """One document of a ranking. Rankings are ordered by score (higher is better), ties by document id."""

    document_id: str
    score: float


class Retriever(Protocol):
    """Something that ranks the documents of one collection.

    `name` identifies engine, analysis and parameters in provenance, e.g. `bm25s(k1=0.9,b=0.4,analyzer=english)`.
    """

    name: str

    def search(self, queries: Sequence[str], depth: int) -> list[list[Hit]]:
        """Rank documents for each query.

        Args:
            queries (`Sequence[str]`):
                Query texts, already formed (see `builders.retrievers.formulation`).
            depth (`int`):
                At most so many hits per query. A lexical retriever does not count documents that share no term with
                the query as hits.

        Returns:
            One list of hits per query, best first.
        """
        ...


@runtime_checkable
class LexicalRetriever(Retriever, Protocol):
    """A retriever that matches terms."""

    def terms(self, text: str) -> list[str]:
        """The analyzer's terms of a text, in order: what the retriever really matches."""
        ...


@runtime_checkable
class VectorRetriever(Retriever, Protocol):
    """A retriever that matches vectors: float32 matrices with one row of length 1 for each text."""

    def encode_queries(self, texts: Sequence[str]) -> "np.ndarray":
        """Vectors of queries, a fresh matrix."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> "np.ndarray":
        """Vectors of documents, or of texts like documents."""
        ...

    def search_vectors(self, vectors: "np.ndarray", depth: int) -> list[list[Hit]]:
        """Rank documents for each vector, of any length, by the scalar product with their own."""
        ...

"""The retriever: query → ranked documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


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
                Query texts, already expanded (see `builders.retrievers.formation`).
            depth (`int`):
                At most so many hits per query. Documents that share no term with the query are not hits.

        Returns:
            One list of hits per query, best first.
        """
        ...

    def terms(self, text: str) -> list[str]:
        """The analyzer's terms of a text, in order: what the retriever really matches."""
        ...

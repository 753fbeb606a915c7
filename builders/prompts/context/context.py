"""The grounding: what of the collection a prompt shows beside the query."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from builders.collections.collection import Query


class Grounding(ABC):
    """Gives each query the text that its prompt shows."""

    @abstractmethod
    def texts(self, queries: Sequence[Query]) -> list[str]:
        """One text a query, in their order; empty where there is nothing to show."""


class NoGrounding(Grounding):
    """Shows nothing."""

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """Empty texts."""
        return [""] * len(queries)

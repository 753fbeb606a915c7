"""Prompt contexts: what of the collection a prompt shows beside the query, in place of its `{grounding}`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from builders.collections.collection import Collection, Query


class PromptContext(ABC):
    """Gives each query the text that its prompt shows.

    Args:
        collection ([`Collection`]):
            With documents.
        retriever (`str`, *optional*, defaults to `"bm25s"`):
            Name of what searches, for contexts that show what a search finds.

    Attributes:
        name (`str`): what prompt files call it (`grounding`).
        shows (`str`): what it is, in the field's words.

    Raises:
        KitError: the collection or the retriever cannot give it.
    """

    name: ClassVar[str]
    shows: ClassVar[str]

    def __init__(self, collection: Collection, retriever: str = "bm25s") -> None:
        self.collection, self.retriever = collection, retriever

    @abstractmethod
    def texts(self, queries: Sequence[Query]) -> list[str]:
        """One text a query, in their order; empty where there is nothing to show."""


class NoContext(PromptContext):
    """Shows nothing."""

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """Empty texts."""
        return [""] * len(queries)

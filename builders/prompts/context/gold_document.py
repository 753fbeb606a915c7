"""Gold document: the judged document itself, for self-reference answers (ExpandR, arXiv 2502.17057)."""

from collections.abc import Sequence

from builders.collections.collection import Query
from builders.errors import KitError
from builders.prompts.context.context import PromptContext
from builders.prompts.script import opening


# Of the document: about 200 tokens. Kit default.
WORDS = 150


class GoldDocument(PromptContext):
    """The opening words of the document that a query is judged for: the highest grade, of equals the first by id.

    It shows the answer. Train queries may be answered with it, and validation queries for pairs that are held out;
    test queries never.
    """

    name = "gold"
    shows = "gold document: how the judged document begins, for self-reference answers alone"

    def document_id(self, query: Query) -> str:
        """The document that is shown.

        Raises:
            KitError: it is a test query, or none is judged relevant to it.
        """
        if query.split == "test":
            raise KitError(f"query {query.id!r} is a test query: its judged document must not be shown to any model")
        return min(self.collection.gold(query.id))

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """See [`PromptContext.texts`].

        Raises:
            KitError: see [`document_id`]; or the collection lacks the document.
        """
        ids = [self.document_id(query) for query in queries]
        wanted = set(ids)
        text_of = {name: text for name, text in self.collection.indexed_texts() if name in wanted}
        for query, name in zip(queries, ids, strict=True):
            if not text_of.get(name, "").strip():
                raise KitError(
                    f"collection {self.collection.name!r}: document {name!r}, judged for query {query.id!r}, is "
                    "missing or empty"
                )
        return [opening(text_of[name], WORDS) for name in ids]

"""PRF passages: how the pages begin that the plain query finds first (LameR, arXiv 2304.14233; CSQE, 2402.18031)."""

from collections.abc import Sequence

from builders.collections.collection import Collection, Query
from builders.prompts.context.context import PromptContext
from builders.prompts.script import opening
from builders.retrievers.left_out import left_out_of, search_without
from builders.retrievers.load import load_retriever


# Pages, and words of each: about 100 tokens together.
PASSAGES, WORDS = 3, 25


class PrfPassages(PromptContext):
    """One line for each of the first pages that the query finds without expansion: its opening words.

    What a search finds is no judgment: relevant pages stand there as they do for a user, in training and in use alike.
    """

    name = "passages"
    shows = "PRF passages: how the pages begin that a search without expansion finds first"

    def __init__(self, collection: Collection, retriever: str = "bm25s") -> None:
        super().__init__(collection, retriever)
        self._retriever = load_retriever(retriever, collection)

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """See [`PromptContext.texts`]."""
        left_out = left_out_of(self.collection, [query.id for query in queries])
        rankings = search_without(self._retriever, [query.text for query in queries], PASSAGES, left_out)
        wanted = {hit.document_id for hits in rankings for hit in hits}
        text_of = {item.id: item.text for item in self.collection.documents if item.id in wanted}
        return ["\n".join(opening(text_of[hit.document_id], WORDS) for hit in hits) for hits in rankings]

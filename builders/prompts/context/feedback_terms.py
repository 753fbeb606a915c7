"""kNN feedback terms: words of pages that were judged relevant to the most similar train queries, best first."""

from collections.abc import Sequence
from typing import Any, ClassVar

from builders.collections.collection import Collection, Query
from builders.prompts.context.context import PromptContext
from builders.prompts.context.judged_terms import JudgedTerms


class FeedbackTerms(PromptContext):
    """One line of at most 10 words for 8 similar train queries together, the weightiest first; about 30 tokens.

    What a term weighs in a train query's relevant documents ([`JudgedTerms`]) counts times its idf. The asking query's
    own terms are left out. A train query is never its own neighbour, so that it is asked as an unseen one is.

    Weights of the train queries are added, times the square of the cosine of the queries' vectors. What then weighs
    little is left out, so that of a query that is like no other nothing is shown.

    Args:
        collection ([`Collection`]), retriever (`str`, *optional*):
            As for [`PromptContext`]; with judged train queries.

    Raises:
        KitError: fewer than two judged train queries, or too many.
    """

    name = "judged"
    shows = "kNN feedback terms: words of pages judged relevant to similar train queries"
    neighbours: ClassVar[int] = 8
    words: ClassVar[int] = 10
    # The weight below which a word is as likely to mislead as to help.
    least_weight: ClassVar[float] = 0.5

    def __init__(self, collection: Collection, retriever: str = "bm25s") -> None:
        super().__init__(collection, retriever)
        self._terms = JudgedTerms(collection)

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """See [`PromptContext.texts`].

        Raises:
            KitError: scikit-learn is missing.
        """
        import numpy as np

        idf = np.array(self._terms.vocabulary.idf, dtype=np.float32)
        texts = []
        for query, similarity in zip(queries, self._terms.similarities(queries), strict=True):
            own = self._terms.own_terms(query)
            lines = [self._line(weights * idf, own) for weights in self._weights(similarity, query)]
            texts.append("\n".join(line for line in lines if line))
        return texts

    def _weights(self, similarity: Any, query: Query) -> list[Any]:
        """One row of the terms' weights for each line, before their idf."""
        nearest, targets = self._nearest(similarity, query)
        return [(similarity[nearest] ** 2) @ targets]

    def _nearest(self, similarity: Any, query: Query) -> tuple[Any, Any]:
        """Rows of the most similar train queries, and what their relevant documents say to the query."""
        import numpy as np

        nearest = np.argsort(-similarity, kind="stable")[: self.neighbours]
        targets, changed = self._terms.targets[nearest], self._terms.changed(query)
        for place, row in enumerate(nearest):
            targets[place] = changed.get(int(row), targets[place])
        return nearest, targets

    def _line(self, weights: Any, own: Sequence[int]) -> str:
        import numpy as np

        weights[own] = 0
        best = np.argsort(-weights, kind="stable")[: self.words]
        written = self._terms.vocabulary.written
        return " ".join(written[n] for n in best if weights[n] > 0 and weights[n] >= self.least_weight)


class NeighbourTerms(FeedbackTerms):
    """A line of at most 5 words for each of the 4 most similar train queries, about 60 tokens."""

    name = "neighbours"
    shows = "per-neighbour terms: words of pages judged relevant to similar train queries, a line for each query"
    neighbours, words, least_weight = 4, 5, 0.0

    def _weights(self, similarity: Any, query: Query) -> list[Any]:
        pairs = zip(*self._nearest(similarity, query), strict=True)
        return [target for neighbour, target in pairs if similarity[neighbour] > 0]

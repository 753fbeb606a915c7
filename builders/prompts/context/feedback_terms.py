"""Words of pages that were judged relevant to similar train queries, best first."""

from collections.abc import Sequence
from typing import Any

from builders.collections.collection import Collection, Query
from builders.prompts.context.context import Grounding
from builders.prompts.context.judged_terms import JudgedTerms


class JudgedWords(Grounding):
    """The terms of the most similar train queries' relevant documents, the weightiest first.

    What a term weighs in a train query's relevant documents ([`JudgedTerms`]) counts times its idf. The asking query's
    own terms are left out. A train query is never its own neighbour, so that it is asked as an unseen one is.

    Args:
        collection ([`Collection`]):
            With documents and judged train queries.
        together (`bool`):
            One line of at most 10 words for 8 train queries together, about 30 tokens: their weights are added, times
            the square of the cosine of the queries' vectors, and what then weighs little is left out, so that of a
            query that is like no other nothing is shown. Otherwise a line of at most 5 words for each of 4 train
            queries, about 60 tokens.

    Raises:
        KitError: fewer than two judged train queries, or too many.
    """

    def __init__(self, collection: Collection, together: bool) -> None:
        self._terms = JudgedTerms(collection)
        self._together = together
        self._neighbours, self._words = (8, 10) if together else (4, 5)
        # The weight below which a word is as likely to mislead as to help.
        self._least_weight = 0.5 if together else 0.0

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """See [`Grounding.texts`].

        Raises:
            KitError: scikit-learn is missing.
        """
        import numpy as np

        idf = np.array(self._terms.vocabulary.idf, dtype=np.float32)
        texts = []
        for query, similarity in zip(queries, self._terms.similarities(queries), strict=True):
            own = self._terms.own_terms(query)
            lines = [self._line(weights * idf, own) for weights in self._weights(similarity)]
            texts.append("\n".join(line for line in lines if line))
        return texts

    def _weights(self, similarity: Any) -> list[Any]:
        """One row of the terms' weights for each line, before their idf."""
        import numpy as np

        nearest = np.argsort(-similarity, kind="stable")[: self._neighbours]
        if self._together:
            return [(similarity[nearest] ** 2) @ self._terms.targets[nearest]]
        return [self._terms.targets[neighbour] for neighbour in nearest if similarity[neighbour] > 0]

    def _line(self, weights: Any, own: Sequence[int]) -> str:
        import numpy as np

        weights[own] = 0
        best = np.argsort(-weights, kind="stable")[: self._words]
        written = self._terms.vocabulary.written
        return " ".join(written[n] for n in best if weights[n] > 0 and weights[n] >= self._least_weight)

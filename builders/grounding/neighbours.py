"""Neighbours: the words of pages that were judged relevant to similar train queries."""

from collections.abc import Sequence

from builders.collections.collection import Collection, Query
from builders.grounding.grounding import Grounding
from builders.terms.judged_terms import JudgedTerms


# Lines, and words of each: about 60 tokens together.
NEIGHBOURS, WORDS = 4, 5


class Neighbours(Grounding):
    """One line for each of the most similar train queries: the terms of its relevant documents, the weightiest first.

    Similarity is the cosine of the queries' vectors, a term's weight that of [`JudgedTerms`] times its idf; the asking
    query's own terms are left out. A train query is never its own neighbour, so that it is asked as an unseen one is.

    Args:
        collection ([`Collection`]):
            With documents and judged train queries.

    Raises:
        KitError: fewer than two judged train queries, or too many.
    """

    def __init__(self, collection: Collection) -> None:
        self._terms = JudgedTerms(collection)

    def texts(self, queries: Sequence[Query]) -> list[str]:
        """See [`Grounding.texts`].

        Raises:
            KitError: scikit-learn is missing.
        """
        import numpy as np

        terms = self._terms
        idf, written = np.array(terms.vocabulary.idf, dtype=np.float32), terms.vocabulary.written
        texts = []
        for query, similarity in zip(queries, terms.similarities(queries), strict=True):
            nearest = [int(n) for n in np.argsort(-similarity, kind="stable")[:NEIGHBOURS] if similarity[n] > 0]
            own = terms.own_terms(query)
            lines = []
            for neighbour in nearest:
                weights = terms.targets[neighbour] * idf
                weights[own] = 0
                best = np.argsort(-weights, kind="stable")[:WORDS]
                lines.append(" ".join(written[n] for n in best if weights[n] > 0))
            texts.append("\n".join(line for line in lines if line))
        return texts

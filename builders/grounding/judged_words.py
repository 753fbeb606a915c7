"""Judged words: what the pages that were judged relevant to similar train queries have in common, best first."""

from collections.abc import Sequence

from builders.collections.collection import Collection, Query
from builders.grounding.grounding import Grounding
from builders.terms.judged_terms import JudgedTerms


# Train queries asked, and words shown: about 30 tokens.
NEIGHBOURS, WORDS = 8, 10
# A word's weight below which it is as likely to mislead as to help.
LEAST_WEIGHT = 0.5


class JudgedWords(Grounding):
    """One line: the terms of the most similar train queries' relevant documents, the weightiest first.

    A term's weight is Σ cos² · w · idf over the neighbours: cos is the similarity of the queries' vectors, w what the
    term weighs in the neighbour's relevant documents ([`JudgedTerms`]). The asking query's own terms are left out, and
    so are terms of little weight: of a query that is like no other nothing is shown. A train query is never its own
    neighbour, so that it is asked as an unseen one is.

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
            nearest = np.argsort(-similarity, kind="stable")[:NEIGHBOURS]
            weights = (similarity[nearest] ** 2) @ terms.targets[nearest] * idf
            weights[terms.own_terms(query)] = 0
            best = np.argsort(-weights, kind="stable")[:WORDS]
            texts.append(" ".join(written[n] for n in best if weights[n] >= LEAST_WEIGHT))
        return texts

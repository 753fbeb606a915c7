"""The signals: what a first search shows about an expansion, before anyone has judged a document."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.expanders.expander import Expansion
from builders.grading import DEPTH
from builders.retrievers.formation import Formation
from builders.retrievers.retriever import Hit, LexicalRetriever, Retriever


# As far as a person looks, and as far as nDCG@10 does.
TOP = 10


@dataclass(frozen=True, slots=True)
class Signals:
    """First-pass signals of one query and its expansion; `None` where one cannot be had.

    Args:
        overlap (`float`):
            Share of the plain query's first 10 documents that are among the expanded query's first 10. Two empty
            lists agree.
        top_stays (`float`):
            1 if the first document stays the first, else 0.
        second_gap (`float`), tenth_gap (`float`):
            (s₁ − s₂) / s₁ and (s₁ − s₁₀) / s₁ of the plain query's scores, between 0 and 1: a clear winner is easily
            lost. A place that no document holds scores 0.
        new_terms (`float`, *optional*):
            Different terms of the expansion that the query has not; of a retriever that matches terms.
        query_terms (`float`, *optional*):
            Terms of the query; likewise.
        mean_logprob (`float`, *optional*):
            The expansion's likelihood, as its model gave it (see [`Expansion`]).
    """

    overlap: float
    top_stays: float
    second_gap: float
    tenth_gap: float
    new_terms: float | None
    query_terms: float | None
    mean_logprob: float | None


def first_pass(
    retriever: Retriever, formation: Formation, queries: Sequence[str], expansions: Sequence[Expansion]
) -> list[Signals]:
    """Search plainly and expanded, and compare; one [`Signals`] for each query text with its expansion.

    Raises:
        KitError: the retriever cannot be asked as the formation wants to.
    """
    # As deep as grading: fused rankings depend on it, and these are to be the graded ones.
    plain = formation.search(retriever, [(query, ()) for query in queries], DEPTH)
    asked = [(query, (expansion.text,)) for query, expansion in zip(queries, expansions, strict=True)]
    expanded = formation.search(retriever, asked, DEPTH)
    return [compared(retriever, *one) for one in zip(queries, expansions, plain, expanded, strict=True)]


def compared(
    retriever: Retriever, query: str, expansion: Expansion, plain: Sequence[Hit], expanded: Sequence[Hit]
) -> Signals:
    """The signals of two rankings that are there already, at least 10 deep where there are so many hits."""
    before = [hit.document_id for hit in plain[:TOP]]
    after = [hit.document_id for hit in expanded[:TOP]]
    scores = [hit.score for hit in plain[:TOP]] + [0.0] * (TOP - len(plain))
    new_terms = query_terms = None
    if isinstance(retriever, LexicalRetriever):
        terms = retriever.terms(query)
        query_terms = float(len(terms))
        new_terms = float(len(set(retriever.terms(expansion.text)) - set(terms)))
    return Signals(
        overlap=len(set(before) & set(after)) / len(before) if before else float(not after),
        top_stays=float(before[:1] == after[:1]),
        second_gap=_gap(scores[0], scores[1]),
        tenth_gap=_gap(scores[0], scores[-1]),
        new_terms=new_terms,
        query_terms=query_terms,
        mean_logprob=expansion.mean_logprob,
    )


def _gap(first: float, other: float) -> float:
    """Relative, in 0 … 1; cosines can be negative, where a share of the first score means nothing."""
    return min(1.0, (first - other) / first) if first > 0 else 0.0

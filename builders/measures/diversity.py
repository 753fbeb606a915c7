"""Measures how unlike one another the candidates of one query are."""

from collections import Counter
from collections.abc import Sequence


def mean_pairwise_cosine(candidates: Sequence[Sequence[str]]) -> float | None:
    """The mean cosine between the term counts of two candidates, over all pairs; `None` for fewer than two candidates.

    1 means that all candidates say the same (collapse), 0 that no two share a term. Two candidates without a term are
    alike, and unlike all others.

    Args:
        candidates (`Sequence[Sequence[str]]`):
            The terms of each candidate of one query.
    """
    import numpy as np

    if len(candidates) < 2:
        return None
    counts = [Counter(terms) or Counter({"": 1}) for terms in candidates]
    place = {term: number for number, term in enumerate(dict.fromkeys(term for count in counts for term in count))}
    vectors = np.zeros((len(counts), len(place)))
    for row, count in zip(vectors, counts, strict=True):
        for term, number in count.items():
            row[place[term]] = number
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # |Σ v|² counts every pair twice, and each vector once with itself.
    together, number = float(np.square(vectors.sum(axis=0)).sum()), len(counts)
    return (together - number) / (number * (number - 1))

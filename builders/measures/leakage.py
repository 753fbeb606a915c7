"""Tells whether a gain comes from text of the very documents looked for, which a model may have by heart.

The idea is Yoon et al. 2025 (https://arxiv.org/abs/2504.14175): expansions help mainly where they say what the gold
evidence says. Here a passage counts as said by heart when it is word for word, and was not in the prompt.
"""

from collections.abc import Iterable, Sequence


# Terms in a row; so long a run is seldom chance.
LENGTH = 5

NGram = tuple[str, ...]


def ngrams(terms: Sequence[str]) -> set[NGram]:
    """All runs of `LENGTH` terms."""
    return {tuple(terms[start : start + LENGTH]) for start in range(len(terms) - LENGTH + 1)}


def copies(expansion: Sequence[str], documents: Iterable[Sequence[str]], prompt: Iterable[Sequence[str]]) -> bool:
    """Whether an expansion repeats a run of terms of a document that its prompt does not hold.

    Args:
        expansion (`Sequence[str]`):
            Its terms, in order.
        documents (`Iterable[Sequence[str]]`):
            The terms of each relevant document.
        prompt (`Iterable[Sequence[str]]`):
            The terms of each message that the writer saw.
    """
    own = ngrams(expansion)
    if not own:
        return False
    own -= {gram for message in prompt for gram in ngrams(message)}
    return any(not own.isdisjoint(ngrams(document)) for document in documents)


def share_of_gain(deltas: Sequence[float], marked: Sequence[bool]) -> float | None:
    """The marked queries' share of the gain, which is the sum of all positive differences; `None` without gain."""
    gain = sum(delta for delta in deltas if delta > 0)
    if not gain:
        return None
    return sum(delta for delta, mark in zip(deltas, marked, strict=True) if mark and delta > 0) / gain

"""Ratio of two means over the same queries, with its interval: how much of a teacher a student keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.measures.significance import RESAMPLES


# More resamples than this without a positive denominator, and the interval has no end.
UNBOUNDED = 0.025
# Resamples drawn at once.
BATCH = 1_000


@dataclass(frozen=True)
class Ratio:
    """Of two means.

    Args:
        value (`float`, *optional*):
            `None` where the denominator is not positive: a share of nothing says nothing.
        interval (`tuple[float, float]`, *optional*):
            95 % confidence interval, percentile bootstrap over queries, numerator and denominator drawn together;
            `None` where the denominator is not positive in more than 2.5 % of the resamples.
    """

    value: float | None
    interval: tuple[float, float] | None


def ratio(numerators: Sequence[float], denominators: Sequence[float], seed: int) -> Ratio:
    """The mean of the numerators over that of the denominators, one of each a query.

    * Retention is student over teacher.
    * Gain captured is (student − plain) over (teacher − plain).

    Raises:
        ValueError: there is no query, or not one of each.
    """
    import numpy as np

    if not numerators or len(numerators) != len(denominators):
        raise ValueError("a ratio of means needs queries, and both values of each")
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if below.mean() <= 0:
        return Ratio(None, None)
    generator, queries = np.random.default_rng(seed), len(above)
    drawn: list[np.ndarray] = []
    for start in range(0, RESAMPLES, BATCH):
        chosen = generator.integers(0, queries, (min(BATCH, RESAMPLES - start), queries))
        means = below[chosen].mean(axis=1)
        drawn.append(above[chosen].mean(axis=1)[means > 0] / means[means > 0])
    found = np.concatenate(drawn)
    value = float(above.mean() / below.mean())
    if len(found) < (1 - UNBOUNDED) * RESAMPLES:
        return Ratio(value, None)
    low, high = np.percentile(found, [2.5, 97.5])
    return Ratio(value, (float(low), float(high)))

"""Tests whether a difference over queries is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass


RESAMPLES = 9_999
# Where none of these is as extreme, p stands at its floor, and a correction for many tests would make much of that.
MORE_RESAMPLES = 99_999


@dataclass(frozen=True)
class Significance:
    """Of a mean of paired differences.

    Args:
        p_value (`float`):
            Two-sided, paired randomisation test (Smucker et al. 2007): how often flipping signs at random gives a mean
            at least as far from 0, of 9,999 flips, or of 99,999 where that never happens among the first.
        low (`float`), high (`float`):
            95 % confidence interval of the mean, percentile bootstrap over queries.
    """

    p_value: float
    low: float
    high: float


def significance(differences: Sequence[float], seed: int) -> Significance:
    """Test the mean of paired differences, one a query, against 0.

    Differences that are all 0 give p = 1 and an interval of width 0, and so does a single query, which tests nothing.
    """
    import numpy as np
    from scipy.stats import bootstrap, permutation_test

    values = np.asarray(differences, dtype=float)
    if len(values) < 2 or not np.any(values):
        only = float(values.sum())
        return Significance(1.0, only, only)

    def mean(sample: "np.ndarray", axis: int = -1) -> "np.ndarray":
        return np.mean(sample, axis=axis)

    def p_value(of: "np.ndarray", resamples: int) -> float:
        test = permutation_test(
            (of,), mean, permutation_type="samples", vectorized=True, n_resamples=resamples, rng=seed, batch=1_000
        )
        return float(test.pvalue)

    p = p_value(values, RESAMPLES)
    if p <= 2 / (RESAMPLES + 1):
        # A 0 is one either way.
        p = p_value(values[values != 0], MORE_RESAMPLES)
    interval = bootstrap(
        (values,), mean, vectorized=True, method="percentile", n_resamples=RESAMPLES, rng=seed, batch=1_000
    ).confidence_interval
    return Significance(p, float(interval.low), float(interval.high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of several tests for their number (Holm 1979), in the order given.

    The chance that any of them falls below a level without cause stays below that level, however the tests hang
    together; tests of systems on the same queries do. The k-th smallest of n is multiplied by n − k + 1, and none may
    fall below a smaller one.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=lambda number: p_values[number])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[number]))
        corrected[number] = largest
    return corrected

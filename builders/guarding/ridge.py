"""The ridge: a linear prediction with a penalty, and what it would have said of queries that it had not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import numpy as np

FOLDS, REPEATS = 5, 10
# Weight of the penalty for each query; the features are scaled to variance 1.
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
CONSTANT = 1e-9


@dataclass(frozen=True)
class Ridge:
    """target ≈ intercept + Σ slope · (feature − centre) / scale."""

    centres: tuple[float, ...]
    scales: tuple[float, ...]
    slopes: tuple[float, ...]
    intercept: float

    def predict(self, table: "np.ndarray") -> "np.ndarray":
        """Of a matrix with one row for each query and one column for each feature."""
        import numpy as np

        return self.intercept + (table - np.array(self.centres)) / np.array(self.scales) @ np.array(self.slopes)


def fit_ridge(table: "np.ndarray", target: "np.ndarray", penalty: float) -> Ridge:
    """Least squares with `penalty` · queries · Σ slope²; a feature that never varies gets slope 0."""
    import numpy as np

    centres, scales = table.mean(axis=0), table.std(axis=0)
    scales = np.where(scales > CONSTANT, scales, 1.0)
    scaled = (table - centres) / scales
    penalties = penalty * len(target) * np.eye(table.shape[1])
    slopes = np.linalg.solve(scaled.T @ scaled + penalties, scaled.T @ (target - target.mean()))
    return Ridge(_floats(centres), _floats(scales), _floats(slopes), float(target.mean()))


def best_penalty(table: "np.ndarray", target: "np.ndarray", seed: int) -> tuple[float, "np.ndarray"]:
    """The penalty with the least squared error in cross-validation (on ties the largest), and its predictions."""
    import numpy as np

    predictions = {penalty: cross_validated(table, target, penalty, seed) for penalty in PENALTIES}
    errors = {penalty: round(float(np.mean((target - p) ** 2)), 12) for penalty, p in predictions.items()}
    best = min(PENALTIES, key=lambda penalty: (errors[penalty], -penalty))
    return best, predictions[best]


def cross_validated(table: "np.ndarray", target: "np.ndarray", penalty: float, seed: int) -> "np.ndarray":
    """What is predicted of each query by fits without it: the mean over several divisions into folds."""
    import numpy as np

    predicted = np.zeros(len(target))
    for repeat in range(REPEATS):
        order = np.random.default_rng([seed, repeat]).permutation(len(target))
        for held_out in np.array_split(order, FOLDS):
            rest = np.setdiff1d(order, held_out)
            fitted = fit_ridge(table[rest], target[rest], penalty)
            # The mean of all, not of the rest: the rest's is high exactly where the held-out queries' own is low.
            predicted[held_out] += fitted.predict(table[held_out]) - fitted.intercept + target.mean()
    return predicted / REPEATS


def _floats(values: "np.ndarray") -> tuple[float, ...]:
    numbers: Sequence[float] = values.tolist()
    return tuple(numbers)

"""The guard: a small rule that leaves a query alone where its expansion is likely to lead astray."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builders.cache import atomic_write
from builders.comparison import SAME
from builders.errors import KitError
from builders.guarding.ridge import Ridge, best_penalty, fit_ridge
from builders.guarding.signals import Signals
from builders.publishing.folder import dump_json


if TYPE_CHECKING:
    import numpy as np

FEWEST_QUERIES = 10
SIGNALS = tuple(field.name for field in fields(Signals))
# `all` where the signals tell nothing that is worth a rule, `none` where expansions only hurt.
Keeps = Literal["all", "above", "none"]


@dataclass(frozen=True)
class Fit:
    """How a guard came about. Its figures are cross-validated: no query is judged by a rule that saw its own grade.

    Args:
        queries (`int`), seed (`int`), penalty (`float`):
            Queries fitted on, seed of the folds, and the ridge penalty that predicted best.
        delta_off (`float`), delta_on (`float`):
            Mean ΔnDCG@10 against the plain query, without and with the guard.
        hurt_off (`float`), hurt_on (`float`), kept (`float`):
            Shares of all queries: hurt without and with the guard, and expanded with it.
    """

    queries: int
    seed: int
    penalty: float
    delta_off: float
    delta_on: float
    hurt_off: float
    hurt_on: float
    kept: float


@dataclass(frozen=True)
class Guard:
    """Keeps an expansion whose expected ΔnDCG@10 reaches a threshold.

    Args:
        features (`tuple[str, ...]`):
            The signals that it reads (fields of [`Signals`]).
        left_out (`tuple[str, ...]`):
            The signals that it does not read, because some query that it was fitted on had none.
        ridge ([`Ridge`]):
            Features → expected ΔnDCG@10.
        keeps (`"all"`, `"above"` or `"none"`):
            All expansions, those with an expected ΔnDCG@10 of `threshold` and above, or none.
        threshold (`float`):
            See `keeps`.
        fit ([`Fit`]):
            How it came about.
    """

    features: tuple[str, ...]
    left_out: tuple[str, ...]
    ridge: Ridge
    keeps: Keeps
    threshold: float
    fit: Fit

    def weights(self, signals: Sequence[Signals]) -> list[bool]:
        """Whether to search with each expansion (`True`) or to leave its query alone.

        Raises:
            KitError: an expansion lacks a signal that the guard reads.
        """
        table = _table(signals, self.features)
        if self.keeps != "above":
            return [self.keeps == "all"] * len(signals)
        return [bool(kept) for kept in self.ridge.predict(table) >= self.threshold]

    def __str__(self) -> str:
        fit = self.fit
        text = (
            f"keeps {fit.kept:.0%} of {fit.queries} expansions: ΔnDCG@10 {fit.delta_off:+.4f} → {fit.delta_on:+.4f}, "
            f"hurt {fit.hurt_off:.0%} → {fit.hurt_on:.0%} of the queries (cross-validated)"
        )
        return text + (f"; does not read {', '.join(self.left_out)}: not every query has it" if self.left_out else "")

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        atomic_write(path, dump_json(asdict(self)).encode())

    @classmethod
    def load(cls, path: Path) -> "Guard":
        """Read a saved guard.

        Raises:
            KitError: there is none, or it is broken.
        """
        try:
            values = json.loads(path.read_text())
            numbers = values["ridge"]
            ridge = Ridge(
                centres=tuple(numbers["centres"]),
                scales=tuple(numbers["scales"]),
                slopes=tuple(numbers["slopes"]),
                intercept=float(numbers["intercept"]),
            )
            guard = cls(
                features=tuple(values["features"]),
                left_out=tuple(values["left_out"]),
                ridge=ridge,
                keeps=values["keeps"],
                threshold=float(values["threshold"]),
                fit=Fit(**values["fit"]),
            )
        except FileNotFoundError as error:
            raise KitError(f"{path}: no such guard; fit it on validation queries first") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise KitError(f"{path}: no guard, or a broken one; fit it again") from error
        sizes = {len(guard.features), len(ridge.centres), len(ridge.scales), len(ridge.slopes)}
        if len(sizes) > 1 or set(guard.features) - set(SIGNALS) or guard.keeps not in ("all", "above", "none"):
            raise KitError(f"{path}: not a guard that this kit can apply; fit it again")
        return guard


def fit_guard(signals: Sequence[Signals], deltas: Sequence[float], seed: int, max_hurt: float | None = 0.1) -> Guard:
    """Fit a guard on validation queries.

    A ridge regression predicts ΔnDCG@10, the very quantity at stake: a classifier of harm would count a loss of 0.01
    like one of 0.5. The threshold is the one with the highest mean ΔnDCG@10 on the cross-validated predictions, less
    one standard error of what it gains over keeping all, since the best of many looks good by chance; on ties the one
    with the fewest expansions. Where none gains more than its error, all are kept; and what is expected to help is
    left alone only where the limit of harm asks for it.

    On the queries fitted on, the mean with the guard is never below that without.

    Args:
        signals (`Sequence`), deltas (`Sequence[float]`):
            Of each query with its expansion: the signals, and nDCG@10 expanded − nDCG@10 plain.
        seed (`int`):
            Of the folds.
        max_hurt (`float`, *optional*, defaults to 0.1):
            Thresholds that hurt at most this share of all queries go before the others, as long as they gain as said.

    Raises:
        KitError: too few queries, or a delta that is not a number.
    """
    import numpy as np

    target = np.asarray(deltas, dtype=float)
    if len(signals) != len(target):
        raise ValueError(f"{len(signals)} signals for {len(target)} deltas")
    if len(target) < FEWEST_QUERIES:
        raise KitError(f"a guard cannot be fitted on {len(target)} queries: give at least {FEWEST_QUERIES}")
    if not np.isfinite(target).all():
        raise KitError("a guard cannot be fitted: the ΔnDCG@10 of a query is not a number")
    left_out = tuple(name for name in SIGNALS if any(_missing(one, name) for one in signals))
    features = tuple(name for name in SIGNALS if name not in left_out)
    table = _table(signals, features)
    penalty, predicted = best_penalty(table, target, seed)
    ridge = fit_ridge(table, target, penalty)

    def guard(keeps: Keeps, threshold: float, kept: "np.ndarray") -> Guard:
        fit = Fit(
            queries=len(target),
            seed=seed,
            penalty=penalty,
            delta_off=float(target.mean()),
            delta_on=float((target * kept).mean()),
            hurt_off=float((target < -SAME).mean()),
            hurt_on=float(((target < -SAME) & kept).mean()),
            kept=float(kept.mean()),
        )
        return Guard(features, left_out, ridge, keeps, threshold, fit)

    fitted = guard(*_threshold(predicted, target, max_hurt))
    if (target * fitted.weights(signals)).mean() < target.mean():
        return guard("all", 0.0, np.ones(len(target), dtype=bool))
    return fitted


def _threshold(
    predicted: "np.ndarray", target: "np.ndarray", max_hurt: float | None
) -> tuple[Keeps, float, "np.ndarray"]:
    """What to keep, from which prediction on, and which of the queries that is."""
    import numpy as np

    values = np.unique(predicted)
    choices = []
    for threshold in [float(values[0]), *((values[1:] + values[:-1]) / 2).tolist(), math.inf]:
        kept = predicted >= threshold
        gains = np.where(kept, 0.0, -target)
        sure = round(float(gains.mean() - gains.std(ddof=1) / math.sqrt(len(gains))), 12)
        over = max_hurt is not None and bool(((target < -SAME) & kept).mean() > max_hurt)
        hopeful = 0 < threshold < math.inf and not kept.all()  # Leaves alone what is expected to help.
        if sure >= 0:
            choices.append((over, hopeful, -sure, int(kept.sum()), threshold))
    threshold = min(choices)[-1]  # Keeping all is always among them.
    kept = predicted >= threshold
    if kept.all():
        return "all", 0.0, kept
    return ("above", threshold, kept) if kept.any() else ("none", 0.0, kept)


def _missing(signals: Signals, name: str) -> bool:
    value = getattr(signals, name)
    return value is None or not math.isfinite(value)


def _table(signals: Sequence[Signals], features: Sequence[str]) -> "np.ndarray":
    import numpy as np

    for number, one in enumerate(signals, start=1):
        for name in features:
            if _missing(one, name):
                raise KitError(
                    f"the guard reads {name!r}, which expansion {number} of {len(signals)} lacks: use it with the "
                    "expander and retriever that it was fitted with, or fit another"
                )
    rows = [[getattr(one, name) for name in features] for one in signals]
    return np.array(rows, dtype=float).reshape(len(signals), len(features))

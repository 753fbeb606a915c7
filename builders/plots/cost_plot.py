"""Draws what each system gains against what writing its expansions takes."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from builders.grading.comparison import Row
from builders.plots.style import BESIDE, HELPED, SIZE, png, short, subplots


# Between two labels, as a share of the height; and between costs whose labels could meet, one by the other.
APART, NEAR = 0.075, 1.8
ROUNDS = 200


def cost_plot(systems: Mapping[str, Row]) -> bytes:
    """A PNG: ΔnDCG@10 with its 95 % interval by milliseconds a query; left what needs no model, or is recorded.

    Args:
        systems (`Mapping`):
            Name → row of an evaluation; see [`compared`] of `gain_plot.py`.
    """
    free = [name for name, row in systems.items() if not row.get("ms_per_query")]
    written = [name for name in systems if name not in free]
    figure, axes = subplots(1, 2, 3.6, sharey=True, width_ratios=(1.2, 2))
    nothing, paid = axes[0]
    costs = {name: systems[name]["ms_per_query"] for name in written}
    for axis, names, colour in ((nothing, free, BESIDE), (paid, written, HELPED)):
        axis.axhline(0, color="black", linewidth=0.8)
        for name in names:
            row, place = systems[name], costs.get(name, 0.0)
            axis.plot([place, place], row["delta_ci95"], color=colour)
            axis.plot(place, row["delta_ndcg_at_10"], "o", color=colour)
    nothing.set_xlim(-0.2, 1.6)
    nothing.set_xticks([])
    nothing.set_xlabel("no model run here")
    nothing.set_ylabel("Δ nDCG@10")
    if costs:
        paid.set_xscale("log")
        paid.set_xlim(min(costs.values()) / 1.4, max(costs.values()) * 2.4)
        first, last = paid.get_xlim()
        ticks = [tick for power in range(6) for digit in (1, 2, 5) if first <= (tick := digit * 10**power) <= last]
        paid.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        paid.minorticks_off()
    paid.set_xlabel("ms a query to write them")
    for axis, names in ((nothing, free), (paid, written)):
        _label(axis, [(name, costs.get(name, 0.0), systems[name]["delta_ndcg_at_10"]) for name in names])
    return png(figure)


def _label(axis: Any, points: Sequence[tuple[str, float, float]]) -> None:
    """Names beside their points, moved up and down where two would meet."""
    low, high = axis.get_ylim()
    gap = APART * (high - low)
    heights = {name: y for name, _, y in points}
    for _ in range(ROUNDS):
        for one, other in combinations(sorted(points, key=lambda point: point[2]), 2):
            too_near = gap - (heights[other[0]] - heights[one[0]])
            if too_near > 0 and max(one[1], other[1]) <= NEAR * min(one[1], other[1]):
                heights[one[0]] -= too_near / 2
                heights[other[0]] += too_near / 2
    for name, x, y in points:
        line = {"arrowstyle": "-", "color": BESIDE, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
        place = (1.15 * x or 0.15, heights[name])
        axis.annotate(short(name), (x, y), xytext=place, va="center", size=SIZE - 1, arrowprops=line)

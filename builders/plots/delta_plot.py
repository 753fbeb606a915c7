"""Draws what each system does to each query."""

from collections.abc import Mapping, Sequence
from typing import Any

from builders.grading.comparison import SAME
from builders.plots.style import HELPED, HURT, SIZE, png, short, subplots


def delta_plot(results: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG with one panel a system: ΔnDCG@10 of every query against the plain query, sorted.

    Args:
        results (`Mapping`):
            The results.
        queries (`Sequence`):
            Rows of `per_query.parquet`; of one system, or of all.
    """
    deltas: dict[str, list[float]] = {}
    for row in queries:
        if row["system"] != results["reference"]:
            deltas.setdefault(row["system"], []).append(row["delta_ndcg_at_10"])
    across = min(2, len(deltas))
    down = -(-len(deltas) // across)
    figure, axes = subplots(down, across, 0.5 + (2.3 if across == 1 else 2.0) * down, sharey=True)
    for axis in axes.flat[len(deltas) :]:
        axis.set_axis_off()
    for axis, (system, values) in zip(axes.flat, deltas.items(), strict=False):
        _sorted_bars(axis, values)
        axis.set_title(short(system))
    for row in axes:
        row[0].set_ylabel("Δ nDCG@10")
    figure.supxlabel("queries, from most helped to most hurt", size=SIZE)
    return png(figure)


def _sorted_bars(axis: Any, values: Sequence[float]) -> None:
    ordered = sorted(values, reverse=True)
    # Two shapes, where a bar for each query would be thousands.
    axis.stairs([max(value, 0.0) for value in ordered], fill=True, color=HELPED)
    axis.stairs([min(value, 0.0) for value in ordered], fill=True, color=HURT)
    axis.axhline(0, color="black", linewidth=0.8)
    helped, hurt = sum(value > SAME for value in values), sum(value < -SAME for value in values)
    axis.text(0.98, 0.93, f"{helped} helped", transform=axis.transAxes, ha="right", va="top", color=HELPED)
    axis.text(0.02, 0.07, f"{hurt} hurt", transform=axis.transAxes, ha="left", va="bottom", color="#8a4b10")
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks((-1, 0, 1))
    axis.set_xlim(0, len(ordered))
    axis.set_xticks((0, len(ordered)))
    axis.grid(False)

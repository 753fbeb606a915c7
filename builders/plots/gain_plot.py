"""Draws what each system gains over the plain query, and how many queries it helps and hurts."""

from collections.abc import Mapping
from typing import Any

from builders.grading.comparison import PLAIN, Row
from builders.grading.results_form import in_one_form, one_retriever
from builders.plots.style import BESIDE, HELPED, HURT, beside, png, short, subplots


def gain_plot(systems: Mapping[str, Row], own: str | None = None) -> bytes:
    """A PNG, a line a system: ΔnDCG@10 with its 95 % interval, and beside it the shares of helped and hurt queries.

    Args:
        systems (`Mapping`):
            Name → row of an evaluation; see [`compared`].
        own (`str`, *optional*):
            The system that the picture is about; by default all are alike.
    """
    names = list(systems)
    places = range(len(names))
    figure, axes = subplots(1, 2, 1.15 + 0.36 * len(names), sharey=True, width_ratios=(1.15, 1))
    gains, shares = axes[0]
    gains.axvline(0, color="black", linewidth=0.8)
    for place, (name, row) in zip(places, systems.items(), strict=True):
        colour = HELPED if own in (None, name) else BESIDE
        low, high = row["delta_ci95"]
        gains.plot([low, high], [place, place], color=colour, linewidth=2.4, solid_capstyle="butt")
        gains.plot(row["delta_ndcg_at_10"], place, "o", color=colour, markersize=7)
        _bar(shares, place, 100 * row["helped"], 100 * row["hurt"])
    gains.set_yticks(places, [short(name) for name in names])
    gains.set_ylim(len(names) - 0.4, -0.6)
    gains.tick_params(axis="y", length=0)
    for axis in (gains, shares):
        axis.grid(False, axis="y")
        axis.spines["left"].set_visible(False)
    for label in gains.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == short(own or "") else "normal")
    gains.locator_params(axis="x", nbins=4)
    gains.set_xlabel("Δ nDCG@10, 95 % interval")
    widest = max(100 * max(row["helped"], row["hurt"]) for row in systems.values())
    shares.set_xlim(-1.5 * widest - 4, 1.5 * widest + 4)
    shares.set_xticks([])
    shares.spines["bottom"].set_visible(False)
    shares.axvline(0, color="black", linewidth=0.8)
    shares.tick_params(axis="y", length=0)
    shares.set_xlabel("% hurt  |  % helped")
    return png(figure)


def compared(results: Mapping[str, Any]) -> dict[str, Row]:
    """The systems beside the plain query, in table order; rows `+ guard` of older results are left out."""
    systems: dict[str, Row] = one_retriever(in_one_form(results))["systems"]
    return {name: row for name, row in systems.items() if name != PLAIN and "kept" not in row}


def _bar(axis: Any, place: int, helped: float, hurt: float) -> None:
    axis.barh(place, helped, height=0.55, color=HELPED)
    axis.barh(place, -hurt, height=0.55, color=HURT)
    beside(axis, f"{helped:.0f}", (helped, place), 4)
    beside(axis, f"{hurt:.0f}", (-hurt, place), -4)

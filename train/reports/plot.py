"""Draws what each system does to each query, and what each expander is worth with each retriever."""

import io
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from builders.grading.comparison import SAME
from builders.grading.results_form import NONE


HELPED, HURT = "#2a9d5c", "#d1495b"
# Panels side by side.
ACROSS = 4


def delta_plot(results: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG with one panel a system: ΔnDCG@10 of every query against the plain query, sorted.

    Args:
        results (`Mapping`):
            The results.
        queries (`Sequence`):
            Rows of `per_query.parquet`.
    """
    deltas: dict[str, list[float]] = {}
    for row in queries:
        if row["system"] != results["reference"]:
            deltas.setdefault(row["system"], []).append(row["delta_ndcg_at_10"])
    across = min(ACROSS, len(deltas))
    down = -(-len(deltas) // across)
    figure, axes = pyplot().subplots(
        down, across, figsize=(3.6 * across, 3.4 * down), sharey=True, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(deltas) :]:
        axis.set_axis_off()
    for axis, (system, values) in zip(axes.flat, deltas.items(), strict=False):
        ordered = sorted(values, reverse=True)
        # Two shapes, where a bar for each query would be thousands.
        axis.stairs([max(value, 0.0) for value in ordered], fill=True, color=HELPED)
        axis.stairs([min(value, 0.0) for value in ordered], fill=True, color=HURT)
        axis.axhline(0, color="black", linewidth=0.8)
        helped, hurt = sum(v > SAME for v in values), sum(v < -SAME for v in values)
        axis.set_title(f"{system}\n{helped} helped, {hurt} hurt, mean {mean(values):+.3f}", fontsize=10)
        axis.set_xlabel("queries, best to worst")
        axis.set_ylim(-1.05, 1.05)
        axis.spines[["top", "right"]].set_visible(False)
    for row in axes:
        row[0].set_ylabel("ΔnDCG@10 against the plain query")
    return png(figure)


def interval_plot(results: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG of a matrix: a dot a system at its nDCG@10, grouped by retriever.

    The whiskers are the 95 % interval of the paired difference to the reference, laid around the dot: where they leave
    the dashed line, chance is an unlikely reason.

    Args:
        results (`Mapping`):
            The results.
        queries (`Sequence`):
            Rows of `per_query.parquet`, which it does not need.
    """
    rows, reference = results["rows"], results["reference"]
    retrievers = list(dict.fromkeys(row["retriever"] for row in rows))
    expanders = list(dict.fromkeys(row["expander"] for row in rows))
    colours = {name: f"C{number}" if number else "black" for number, name in enumerate(expanders)}
    base = next(row["ndcg_at_10"] for row in rows if row["system"] == reference)
    figure, axis = pyplot().subplots(figsize=(8, 1.2 + 0.3 * (len(rows) + len(retrievers))), layout="constrained")
    axis.axvline(base, color="grey", linewidth=0.9, linestyle="--", zorder=0)
    place, middles = 0.0, []
    for number, retriever in enumerate(retrievers):
        own = [row for row in rows if row["retriever"] == retriever]
        if number % 2 == 0:
            axis.axhspan(place - 0.75, place + len(own) - 0.25, color="0.95", zorder=-1, linewidth=0)
        middles.append(place + (len(own) - 1) / 2)
        for row in own:
            low, high = row["against"][reference]["delta_ci95"]
            score, colour = row["ndcg_at_10"], colours[row["expander"]]
            axis.plot([base + low, base + high], [place, place], color=colour, linewidth=1.6)
            axis.plot(score, place, "o", color=colour, markersize=6)
            axis.annotate(
                f"{score:.3f}", (base + high, place), (6, 0), textcoords="offset points", va="center", fontsize=8
            )
            place += 1
        place += 0.5
    axis.set_yticks(middles, retrievers)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(place - 0.25, -0.75)
    axis.margins(x=0.12)
    axis.set_xlabel(f"nDCG@10; whiskers: 95 % interval of the difference to {reference} (dashed)")
    axis.spines[["top", "right", "left"]].set_visible(False)
    for name in expanders:
        axis.plot([], [], "o", color=colours[name], label="no expansion" if name == NONE else name)
    figure.legend(loc="outside upper center", ncols=min(4, len(expanders)), frameon=False)
    return png(figure)


def pyplot() -> Any:
    """matplotlib's, drawing without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def png(figure: Any) -> bytes:
    """The content of a PNG file; the figure is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    pyplot().close(figure)
    return buffer.getvalue()

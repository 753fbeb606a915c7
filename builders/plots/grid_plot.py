"""Draws what each expander is worth with each retriever."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from builders.grading.results_form import NONE
from builders.plots.style import BESIDE, HELPED, HURT, SIZE, beside, png, short, subplots


MARKS = (
    ("o", "black"),
    ("D", BESIDE),
    ("s", HURT),
    ("^", HELPED),
    ("v", "#4f8fc4"),
    ("P", "#8a4b10"),
    ("X", "#6a6a6a"),
)


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
    # Shapes tell them apart where colours do not.
    looks = dict(zip(expanders, cycle(MARKS), strict=False))
    base = next(row["ndcg_at_10"] for row in rows if row["system"] == reference)
    figure, axes = subplots(1, 1, 1.6 + 0.24 * (len(rows) + len(retrievers)))
    axis = axes[0][0]
    axis.grid(False)
    axis.axvline(base, color="black", linewidth=0.8, linestyle="--", zorder=0)
    place, middles = 0.0, []
    for number, retriever in enumerate(retrievers):
        own = [row for row in rows if row["retriever"] == retriever]
        if number % 2 == 0:
            axis.axhspan(place - 0.75, place + len(own) - 0.25, color="0.95", zorder=-1, linewidth=0)
        middles.append(place + (len(own) - 1) / 2)
        for row in own:
            low, high = row["against"][reference]["delta_ci95"]
            score, (mark, colour) = row["ndcg_at_10"], looks[row["expander"]]
            axis.plot([base + low, base + high], [place, place], color=colour)
            axis.plot(score, place, mark, color=colour)
            beside(axis, f"{score:.3f}", (base + high, place), 5, SIZE - 2)
            place += 1
        place += 0.5
    axis.set_yticks(middles, [short(name) for name in retrievers])
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(place - 0.25, -0.75)
    axis.margins(x=0.15)
    axis.set_xlabel(f"nDCG@10; 95 % interval of the difference\nto {reference} (dashed)")
    axis.spines["left"].set_visible(False)
    for name, (mark, colour) in looks.items():
        axis.plot([], [], mark, color=colour, label="no expansion" if name == NONE else short(name))
    figure.legend(loc="outside upper center", ncols=3)
    return png(figure)

"""The picture: what each system does to each query."""

import io
from collections.abc import Mapping, Sequence
from statistics import mean

from builders.comparison import SAME


HELPED, HURT = "#2a9d5c", "#d1495b"
# Panels side by side.
ACROSS = 4


def delta_plot(deltas: Mapping[str, Sequence[float]]) -> bytes:
    """A PNG with one panel a system: ΔnDCG@10 of every query against the plain query, sorted.

    Args:
        deltas (`Mapping`):
            System → differences, one a query.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    across = min(ACROSS, len(deltas))
    down = -(-len(deltas) // across)
    figure, axes = pyplot.subplots(
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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    pyplot.close(figure)
    return buffer.getvalue()

"""The picture: what each system does to each query."""

import io
from collections.abc import Mapping, Sequence
from statistics import mean

from builders.comparison import SAME


HELPED, HURT = "#2a9d5c", "#d1495b"


def delta_plot(deltas: Mapping[str, Sequence[float]]) -> bytes:
    """A PNG with one panel a system: ΔnDCG@10 of every query against the plain query, sorted.

    Args:
        deltas (`Mapping`):
            System → differences, one a query.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(deltas), figsize=(3.6 * len(deltas), 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (system, values) in zip(axes[0], deltas.items(), strict=True):
        ordered = sorted(values, reverse=True)
        colours = [HELPED if value > SAME else HURT for value in ordered]
        axis.bar(range(len(ordered)), ordered, width=1.0, color=colours)
        axis.axhline(0, color="black", linewidth=0.8)
        helped, hurt = sum(v > SAME for v in values), sum(v < -SAME for v in values)
        axis.set_title(f"{system}\n{helped} helped, {hurt} hurt, mean {mean(values):+.3f}", fontsize=10)
        axis.set_xlabel("queries, best to worst")
        axis.set_ylim(-1.05, 1.05)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("ΔnDCG@10 against the plain query")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    pyplot.close(figure)
    return buffer.getvalue()

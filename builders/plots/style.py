"""Sets the look of all pictures, with colours that differ in grey, letters for a phone, and small files."""

import io
import warnings
from typing import Any


# Dark and light: also without colour they are two.
HELPED, HURT = "#14507f", "#f0a35e"
# Further lines: what is compared with, and marks.
BESIDE, RULE = "#8c8c8c", "#d9d9d9"
# Inches. On a phone as wide as a page letters of `SIZE` points are as large as the text around them.
WIDTH, SIZE = 5.6, 11
DPI, SHADES = 160, 64
# Letters of a name.
LONGEST = 24
_RULES: dict[Any, Any] = {
    **{"font.size": SIZE, "axes.titlesize": SIZE, "axes.labelsize": SIZE, "legend.fontsize": SIZE - 1},
    **{"xtick.labelsize": SIZE - 1, "ytick.labelsize": SIZE - 1, "axes.titlelocation": "left"},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#444444", "axes.linewidth": 0.8},
    **{"axes.grid": True, "axes.axisbelow": True, "grid.color": RULE, "grid.linewidth": 0.6},
    **{"legend.frameon": False, "lines.linewidth": 1.8, "lines.markersize": 6, "font.family": "DejaVu Sans"},
    # Names come from data: a dollar sign begins no formula.
    **{"text.parse_math": False},
}


def pyplot() -> Any:
    """matplotlib's, drawing without a screen, in this look."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcdefaults()
    pyplot.rcParams.update(_RULES)
    return pyplot


def subplots(rows: int, columns: int, height: float, **options: Any) -> tuple[Any, Any]:
    """A figure of the page's width, and its axes in rows.

    Args:
        rows (`int`), columns (`int`):
            Of axes.
        height (`float`):
            Of the figure, in inches.
        options:
            Of matplotlib's `subplots`.
    """
    size = (WIDTH, height)
    figure, axes = pyplot().subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)
    return figure, axes


def short(name: str) -> str:
    """A name that leaves room for what it names."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def beside(axis: Any, text: str, point: tuple[float, float], points: float, size: int = SIZE - 1) -> None:
    """Write a text so many points right of a point, or, of a negative number, left of it."""
    side = "left" if points > 0 else "right"
    axis.annotate(text, point, (points, 0), textcoords="offset points", ha=side, va="center", size=size)


def png(figure: Any) -> bytes:
    """The content of a PNG file of few shades, which is small; the figure is closed."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # A letter that the font lacks is drawn as a box.
        figure.savefig(drawn, format="png", dpi=DPI)
    pyplot().close(figure)
    Image.open(drawn).convert("RGB").quantize(SHADES, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()

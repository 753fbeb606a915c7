"""Pictures are drawn from the recorded JSON, small and readable in grey, and no text lies over another."""

import json
import re
from itertools import combinations

import pytest

from builders.grading.results_form import in_one_form
from builders.plots.cost_plot import cost_plot
from builders.plots.delta_plot import delta_plot
from builders.plots.gain_plot import compared, gain_plot
from builders.plots.grid_plot import interval_plot
from builders.plots.style import BESIDE, HELPED, HURT
from tests.support.commands import ROOT
from train.reports.curves import curves_plot


RESULTS = ROOT / "benchmarks/results"
SMALL = 60_000
LOG = [
    {"step": n, "loss": 1 / (n + 1), **{f"rewards/{k}": n for k in ("chosen", "rejected", "margins")}} for n in (1, 9)
]
CHECKS = [{"step": n, "validation_ndcg_at_10": 0.5, "validation_plain_ndcg_at_10": 0.5} for n in (0, 9)]


def recorded(name):
    return in_one_form(json.loads((RESULTS / f"{name}.json").read_text()))


def odd(name):
    """A row under a name from outside: no formula, and not as long as it likes."""
    return {f"${name}^{{": compared(recorded("demo"))["dpo"], f"学生-{name * 9}": compared(recorded("demo"))["sft"]}


def rows(number):
    return [{"system": f"student-{n}", "delta_ndcg_at_10": delta} for n in range(number) for delta in (0.5, 0.0, -0.5)]


PICTURES = {
    "gain": lambda: gain_plot(compared(recorded("pydocs")), "dpo"),
    "gain of few": lambda: gain_plot(compared(recorded("demo"))),
    "gain of odd names": lambda: gain_plot(odd("student")),
    "cost of odd names": lambda: cost_plot(odd("student")),
    "cost": lambda: cost_plot(compared(recorded("pydocs"))),
    "cost, all alike": lambda: cost_plot(compared(recorded("demo-seeds"))),
    "deltas": lambda: delta_plot({"reference": "plain"}, rows(5)),
    "deltas of one": lambda: delta_plot({"reference": "plain"}, rows(1)),
    "grid": lambda: interval_plot(recorded("transfer"), []),
    "training": lambda: curves_plot(LOG, {"checks": CHECKS, "kept_step": 9}),
}


def texts(figure):
    """What is written in a figure, and where, without arrows; labels of ticks beyond an axis are not drawn."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    unseen = set()
    for axes in figure.axes:
        for axis, place in ((axes.xaxis, 0), (axes.yaxis, 1)):
            low, high = sorted(axis.get_view_interval()) if axes.axison else (1, 0)
            labels = axis.get_ticklabels(which="both")
            unseen |= {id(label) for label in labels if not low <= label.get_position()[place] <= high}
    found = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    return [(text.get_text(), Text.get_window_extent(text)) for text in found if id(text) not in unseen]


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_of_a_picture_lies_over_another(name, monkeypatch):
    from matplotlib.figure import Figure

    found, save = [], Figure.savefig

    def looked_at(figure, *args, **more):
        width, height = figure.bbox.size
        found.extend(texts(figure))
        inside = [
            0 <= box.x0 + 1 and 0 <= box.y0 + 1 and box.x1 < width + 1 and box.y1 < height + 1 for _, box in found
        ]
        assert all(inside), found
        save(figure, *args, **more)

    monkeypatch.setattr(Figure, "savefig", looked_at)
    assert len(PICTURES[name]()) < SMALL
    assert len(found) > 3
    shrunk = [(text, box.shrunk(0.95, 0.75)) for text, box in found]
    assert not [(one, other) for (one, a), (other, b) in combinations(shrunk, 2) if a.overlaps(b)]


def test_colours_differ_in_grey():
    def lightness(colour):
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    greys = sorted(map(lightness, (HELPED, BESIDE, HURT)))
    assert min(after - before for before, after in zip(greys, greys[1:], strict=False)) > 25


def test_pictures_of_pages_are_small():
    shown = {
        (page.parent / name).resolve()
        for page in (ROOT / "docs").glob("*.md")
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())
    }
    assert len(shown) >= 3 and all(path.stat().st_size < SMALL for path in shown)


@pytest.mark.slow
def test_recorded_pictures_are_those_of_their_json(monkeypatch):
    import matplotlib

    if f"matplotlib=={matplotlib.__version__}\n" not in (ROOT / "constraints.txt").read_text():
        pytest.skip("another release of matplotlib draws otherwise")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from benchmarks.headline import pictures

    drawn = pictures()
    kept = {path.name: path.read_bytes() for path in RESULTS.glob("*.png") if path.name != "space.png"}
    assert drawn == kept

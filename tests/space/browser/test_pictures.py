"""Makes the picture of the Space that README shows: RENEW_PICTURES=1 makes it anew of what the demo left."""

import os

import pytest

from space.engine import Engine
from space.render import render
from tests.support.commands import ROOT


DEMO = ROOT / "out" / "demo"
PICTURE = ROOT / "benchmarks" / "results" / "space.png"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """The Space of the demo, as it is published."""
    if os.environ.get("RENEW_PICTURES") != "1":
        pytest.skip("pictures are made with RENEW_PICTURES=1, after make demo")
    folder = tmp_path_factory.mktemp("demo") / "space"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("SPACE_ID", "someone/space")
        render(DEMO, None, folder)
        yield Engine(folder)


@pytest.fixture
def student():
    """What the demo trained: its opening example is recorded, so that no model is asked."""


def test_the_picture_of_the_readme(visit):
    page = visit()
    page.set_viewport_size({"width": 1280, "height": 860})
    page.wait_for_selector("#qe-result .qe-new")
    page.wait_for_timeout(1000)
    page.screenshot(path=PICTURE)

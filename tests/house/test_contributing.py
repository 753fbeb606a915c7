"""What CONTRIBUTING says of the rooms is so: every path is there, every registry holds what its room has."""

import re

from tests.support.commands import ROOT


TEXT = (ROOT / "CONTRIBUTING.md").read_text()
ROOMS = ("builders", "train", "model_cards", "space", "benchmarks")


def test_every_path_is_there():
    named = re.findall(r"`([\w./*-]+)`", TEXT)
    paths = [name for name in named if "/" in name and not name.startswith((".", "http", "out"))]
    assert len(paths) > 25
    for path in paths:
        places = [ROOT, ROOT / "builders"]
        assert any(list(place.glob(path.rstrip("/"))) for place in places), path


def test_the_picture_shows_every_room():
    picture = TEXT.split("```")[3]
    shown = set(re.findall(r"([\w]+)/", picture))
    for package in ROOMS:
        assert package in shown
    for package in ROOMS[:2]:
        rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")} - {"grounding"}
        assert rooms <= shown, rooms - shown


def test_every_registry_is_a_tuple_in_the_file_that_is_named():
    found = re.findall(r"`([A-Z]+)` (?:of its|of|in) `([\w./]+)`", TEXT)
    assert len(found) >= 6
    for name, path in found:
        files = [one for package in ROOMS[:2] for one in (ROOT / package).rglob(path.rpartition("/")[2])]
        assert any(f"\n{name}: tuple" in one.read_text() for one in files), f"{name} in {path}"

"""What the page on trust says is what was recorded, and nothing that was recorded has failed."""

import pytest

from tests.support.commands import ROOT


@pytest.fixture
def faults(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import faults

    return faults


def test_the_page_says_what_was_recorded(faults):
    results = faults.recorded()
    assert faults.PAGE.read_text() == faults.page(results)
    assert {*results} == {*faults.AREAS}
    for name, one in results.items():
        assert not one["broken"] and one["tried"] == one["held"] > 0, name
    kinds = {trial["kind"] for one in results.values() for trial in one["faults"]}
    assert kinds == {"dataset", "adapter", "space"}


def test_every_file_of_trials_is_there(faults):
    for path, _, name in (one.partition("::") for names in faults.AREAS.values() for one in names):
        assert f"def {name}" in (ROOT / "tests" / path).read_text()

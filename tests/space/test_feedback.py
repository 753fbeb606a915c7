"""Votes on expansions: only where the owner asks for them, with a line of consent, to a private dataset."""

import json

import pytest

from space.comparison import Column, compare
from space.present import comparison_html
from space.serving.answering import keep_vote
from space.serving.feedback import CONSENT, SWITCH, feedback_asked
from space.writers import Written
from tests.hub_server.fixtures import hub, run_client
from tests.support.commands import ROOT
from tests.support.small_engine import STUDENT, Votes, small_engine


__all__ = ["hub"]


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    return small_engine(tmp_path)


def test_nobody_is_asked_unless_the_owner_says_so(engine, monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    assert feedback_asked() is None and engine.feedback is None
    column = Column(STUDENT, Written("disk", 1, None, "recorded"))
    comparison = compare(engine, "file", [column])
    assert "vote" not in comparison_html(comparison)
    page = comparison_html(comparison, consent=CONSENT)
    assert page.count('data-do="vote"') == 3 and "private dataset" in page and "no address" in page
    keep_vote(engine, {"query": "file", "system": STUDENT, "vote": "better"})


def test_a_vote_keeps_what_was_shown_and_nothing_of_the_visitor(engine):
    engine.feedback = votes = Votes()
    shown = {"query": " store  arrays on disk", "system": STUDENT, "vote": "better", "by": "once"}
    keep_vote(engine, shown)
    keep_vote(engine, shown | {"words": {STUDENT: "my words"}, "vote": "worse", "by": ""})
    assert votes == [
        {
            "query": "store arrays on disk",
            "system": STUDENT,
            "expansion": "write binary file",
            "written": "recorded",
            "retriever": "once",
            "vote": "better",
        },
        {
            "query": "store arrays on disk",
            "system": STUDENT,
            "expansion": "my words",
            "written": "edited",
            "retriever": "bm25s",
            "vote": "worse",
        },
    ]
    assert engine.over(engine.collection).feedback is None, "a visitor's own documents are asked about by nobody"


@pytest.mark.parametrize(
    "change", [{"vote": "great"}, {"vote": None}, {"query": ""}, {"query": 7}, {"system": "none"}, {"system": [1]}]
)
def test_what_is_no_vote_is_passed_over(engine, change):
    engine.feedback = votes = Votes()
    keep_vote(engine, {"query": "file", "system": STUDENT, "vote": "same"} | change)
    keep_vote(engine, None)
    assert votes == []


SENT = """
from builders.errors import KitError
from space.serving.feedback import Feedback
api.create_repo("kit-owner/open", repo_type="dataset")
try:
    Feedback("kit-owner/open")
except KitError as error:
    result["open"] = str(error)
found = Feedback("kit-owner/votes")
found.add({"query": "wörter", "vote": "better"})
found.scheduler.trigger().result()
result["private"] = api.dataset_info("kit-owner/votes").private
files = [name for name in api.list_repo_files("kit-owner/votes", repo_type="dataset") if name.endswith(".jsonl")]
result["rows"] = [open(api.hf_hub_download("kit-owner/votes", name, repo_type="dataset")).read() for name in files]
try:
    Feedback("someone/else")
except KitError as error:
    result["other"] = str(error)
"""


def test_votes_go_to_a_private_dataset(hub):
    found = run_client(hub, SENT, environment={"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)})
    assert found["private"] is True and "public dataset; make it private" in found["open"]
    (rows,) = found["rows"]
    assert json.loads(rows).keys() == {"query", "vote", "day"} and "wörter" in rows
    assert "no dataset that this token may write" in found["other"] and "\n" not in found["other"]

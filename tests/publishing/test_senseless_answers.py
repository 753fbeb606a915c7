"""Answers that are no JSON, or other JSON than a Hub gives: one line, or success once a better one comes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hub_server import HubServer
from tests.support.publishing_client import STEPS, publish, refusal, repo


HTML = b"<!doctype html><title>Sign in to the network</title>"
ANSWERS: dict[str, bytes] = {
    "{}": b"{}",
    "[]": b"[]",
    "null": b"null",
    "number": b"7",
    "list of null": b"[null]",
    "html": HTML,
    "cut off": b'{"commitUrl": "http',
    "nothing": b"",
    "not utf-8": b'{"a": "\xff\xfe"}',
}
PARSED = ("head", "tree", "refs", "file", "preupload", "batch", "commit")


# These the library itself judges, as final.
JUDGED = (("preupload", "{}"), ("batch", "{}"))


@pytest.mark.parametrize(
    ("step", "answer"), [(step, name) for step in PARSED for name in ANSWERS if (step, name) not in JUDGED]
)
def test_an_answer_that_makes_no_sense_is_asked_for_again(
    hub: HubServer, versions: dict, step: str, answer: str
) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    fault = hub.fault(*STEPS[step], body=ANSWERS[answer])
    publish(hub, new, tag="v2")
    there = repo(hub, "adapter")
    assert fault.fired == 1 and len(there.commits()) == 3 and there.refs["refs/tags/v2"] == there.head


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("step", PARSED)
def test_answers_that_never_make_sense_end_in_a_line(hub: HubServer, versions: dict, step: str, answer: str) -> None:
    old, new = versions["adapter"]
    publish(hub, old, tag="v1")
    before = repo(hub, "adapter").files()
    hub.fault(*STEPS[step], status=200, body=ANSWERS[answer], times=999)
    refusal(hub, new, tag="v2")
    assert repo(hub, "adapter").files() == before
    hub.faults.clear()
    publish(hub, new, tag="v2")
    assert len(repo(hub, "adapter").commits()) == 3


@pytest.mark.parametrize("how", [{"status": 409, "body": b"{}"}, {"body": b"{}"}, {"body": HTML}])
def test_a_repository_whose_making_is_answered_with_nonsense(hub: HubServer, versions: dict, how: Any) -> None:
    fault = hub.fault("POST", "/api/repos/create", **how)
    publish(hub, versions["adapter"][0])
    assert fault.fired == 1 and repo(hub, "adapter").record.private


def test_a_list_of_files_that_is_empty_by_mistake_does_not_cost_what_people_wrote(
    hub: HubServer, versions: dict
) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    there = repo(hub, "adapter")
    card = there.files()["README.md"].decode().replace("---\n", "---\nlanguage: de\n", 1)
    there.commit({"README.md": card.encode()})
    hub.fault("GET", "/tree/", body=b"[]")
    publish(hub, new)
    assert b"language: de" in there.files()["README.md"]

"""Once a commit was asked for, only looking tells whether it was made: whatever the answer, however late it shows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hub_server import HubServer
from tests.support.publishing_client import publish, refusal, repo


COMMIT = ("POST", "/commit/main")
# The commit is made, and the answer says something else.
ANSWERS: dict[str, dict[str, Any]] = {
    "cut off at 200": {"body": b'{"success": true, "commitUr'},
    "html at 200": {"body": b"<html>Sign in</html>"},
    "null": {"body": b"null"},
    "no commit": {"body": {"commitUrl": "x", "commitOid": None}},
    "another word": {"body": {"commitUrl": "x", "commitOid": "done"}},
    "400": {"status": 400, "applied": True},
    "403": {"status": 403, "applied": True},
    "404": {"status": 404, "applied": True},
    "408": {"status": 408, "applied": True},
    "413": {"status": 413, "applied": True},
    "silent": {"drop": "after"},
}
LATE: dict[str, Any] = {"status": 404, "headers": {"X-Error-Code": "RevisionNotFound"}}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_commit_that_was_made_is_found_whatever_the_answer(hub: HubServer, versions: dict, answer: str) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    fault = hub.fault(*COMMIT, **ANSWERS[answer])
    published = publish(hub, new, tag="v2")
    there = repo(hub, "adapter")
    assert fault.fired == 1 and published.commit == there.head == there.refs["refs/tags/v2"]
    assert len(there.commits()) == 3


@pytest.mark.parametrize("times", [1, 3])
def test_a_commit_that_shows_late_is_waited_for(hub: HubServer, versions: dict, times: int) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    fault = hub.fault("GET", "/tree/", skip=1, times=times, **LATE)
    assert publish(hub, new, tag="v2").tag == "v2" and fault.fired == times


def test_a_list_of_files_that_is_old_for_once_is_asked_for_again(hub: HubServer, versions: dict) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    fault = hub.fault("GET", "/tree/", skip=1, body=b"[]")
    assert publish(hub, new, tag="v2").tag == "v2" and fault.fired == 1


@pytest.mark.parametrize("how", [LATE, {"status": 403}, {"status": 200, "body": b"<html>"}])
def test_a_commit_that_never_shows_is_not_called_refused(hub: HubServer, versions: dict, how: dict) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    hub.fault("GET", "/tree/", skip=1, times=99, **how)
    line = refusal(hub, new, tag="v2")
    there = repo(hub, "adapter")
    assert f"published as commit {there.head}" in line and "run it again" in line
    hub.faults.clear()
    assert not publish(hub, new, tag="v2").changed and there.refs["refs/tags/v2"] == there.head


def test_when_the_look_fails_too_nothing_is_claimed(hub: HubServer, versions: dict) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    hub.fault(*COMMIT, status=403, applied=True, hook=lambda _: hub.fault("GET", "", times=999, status=403))
    assert "whether it was published is not known" in refusal(hub, new)


def test_a_tag_and_a_repository_that_show_late(hub: HubServer, versions: dict) -> None:
    missing = {"status": 404, "headers": {"X-Error-Code": "RepoNotFound"}}
    created = hub.fault("GET", "/revision/main", skip=1, times=2, **missing)
    tag = hub.fault("POST", "/tag/", **LATE)
    assert publish(hub, versions["adapter"][0], tag="v1").tag == "v1"
    assert (created.fired, tag.fired) == (2, 1)

"""Tag, visibility, branch, pull request and collection are seen to be there before they are called done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hub_server import HubServer, routing
from tests.support.publishing_client import HTML, publish, refusal, repo


WISHES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "tag": ("POST", "/tag/", {"tag": "v2"}, "tag 'v2'"),
    "visibility": ("PUT", "/settings", {"public": True}, "private still"),
    "branch": ("POST", "/branch/", {"revision": "next"}, "branch 'next'"),
}


@pytest.mark.parametrize("wish", WISHES)
def test_a_page_instead_of_the_work_is_told_and_mended(hub: HubServer, versions: dict, wish: str) -> None:
    method, path, options, words = WISHES[wish]
    fault = hub.fault(method, path, times=99, **HTML)
    line = refusal(hub, versions["adapter"][0], **options)
    assert fault.fired >= 1 and words in line, line
    hub.faults.clear()
    publish(hub, versions["adapter"][0], **options)
    there = repo(hub, "adapter")
    assert not options.get("public") or not there.record.private
    assert len(there.commits(options.get("revision", "main"))) == 2


@pytest.mark.parametrize("wish", ["tag", "visibility"])
def test_a_page_once_is_asked_past(hub: HubServer, versions: dict, wish: str) -> None:
    method, path, options, _ = WISHES[wish]
    hub.fault(method, path, **HTML)
    publish(hub, versions["adapter"][0], **options)
    there = repo(hub, "adapter")
    assert there.refs.get("refs/tags/v2") == there.head if wish == "tag" else not there.record.private


def test_a_pull_request_that_is_not_there_is_not_called_opened(hub: HubServer, versions: dict) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    nothing = {"count": 0, "start": 0, "discussions": []}
    hub.fault("GET", "/discussions", times=99, body=nothing)
    assert "is not there" in refusal(hub, new, create_pr=True)
    hub.faults.clear()
    assert publish(hub, new, create_pr=True).url.endswith("/1")
    assert len(repo(hub, "adapter").record.discussions) == 1


def test_a_pull_request_that_somebody_between_made_twice_is_told(hub: HubServer, versions: dict, capsys) -> None:
    old, new = versions["adapter"]
    publish(hub, old)

    def replay(request) -> None:
        request.identity = hub.accounts.identify(request.headers["Authorization"])
        routing.dispatch(request)

    hub.fault("POST", "/commit/", hook=replay)
    first = publish(hub, new, create_pr=True)
    assert first.url.endswith("/1") and "/2: proposes the same" in capsys.readouterr().err

"""Every way in which a request can fail: old tree or new one, a clear line, and the next run converges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from builders.errors import KitError
from builders.publishing.hub import publish_folder
from tests.hub_server import HubServer
from tests.hub_server.fixtures import DEAD_PROXY
from tests.support.publishing_client import KINDS, NAME, publish, refusal, repo, titles


COMMIT, LFS, STORE, XET = "/commit/main", "/info/lfs/objects/batch", "/storage/upload", "/xet-write-token/"
# Each: method, path, how it fails, and whether the command still ends well.
FAULTS: dict[str, tuple[str, str, dict[str, Any], bool]] = {
    "head 500": ("GET", "/revision/main", {"status": 500}, True),
    "head cut before": ("GET", "/revision/main", {"drop": "before"}, True),
    "head cut in the answer": ("GET", "/revision/main", {"drop": "mid_response"}, True),
    "head 503 for ever": ("GET", "/revision/main", {"status": 503, "times": 99}, False),
    "tree 503": ("GET", "/tree/", {"status": 503}, True),
    "tree 503 for ever": ("GET", "/tree/", {"status": 503, "times": 99}, False),
    "card of the head closed early": ("GET", "/resolve/.*README", {"drop": "mid_response_fin"}, True),
    "card of the head reset": ("GET", "/resolve/.*README", {"drop": "mid_response"}, True),
    "card of the head wrong": ("GET", "/resolve/.*README", {"body": b"---\nmine: 1\n---\nnot what is there"}, True),
    "card of the head wrong for ever": ("GET", "/resolve/.*README", {"body": b"# No\n", "times": 99}, False),
    "manifest of the head wrong": ("GET", "/resolve/.*kit.json", {"body": b"{}"}, True),
    "validation cut before": ("POST", "/validate-yaml", {"drop": "before"}, True),
    "validation cut after": ("POST", "/validate-yaml", {"drop": "after"}, True),
    "validation 503": ("POST", "/validate-yaml", {"status": 503}, True),
    "preupload cut before": ("POST", "/preupload/", {"drop": "before"}, True),
    "preupload cut after": ("POST", "/preupload/", {"drop": "after"}, True),
    "preupload 503": ("POST", "/preupload/", {"status": 503, "times": 2}, True),
    "preupload 503 for ever": ("POST", "/preupload/", {"status": 503, "times": 999}, False),
    "preupload 429": ("POST", "/preupload/", {"status": 429}, True),
    "preupload 429 Retry-After": ("POST", "/preupload/", {"status": 429, "headers": {"Retry-After": "7"}}, True),
    "preupload 429 ratelimit": (
        "POST",
        "/preupload/",
        {"status": 429, "headers": {"ratelimit": '"api";r=0;t=7'}},
        True,
    ),
    "batch 500": ("POST", LFS, {"status": 500}, True),
    "batch cut before": ("POST", LFS, {"drop": "before"}, True),
    "batch cut after": ("POST", LFS, {"drop": "after"}, True),
    "put 503": ("PUT", STORE, {"status": 503}, True),
    "put cut before": ("PUT", STORE, {"drop": "before"}, True),
    "put cut": ("PUT", STORE, {"drop": "mid_request"}, True),
    "put cut after": ("PUT", STORE, {"drop": "after"}, True),
    "put not stored": ("PUT", STORE, {"status": 200}, True),
    "put never stored": ("PUT", STORE, {"status": 200, "times": 99}, False),
    "put stores wrong bytes": ("PUT", STORE, {"hook": lambda request: setattr(request, "body", b"wrong")}, True),
    "put 403": ("PUT", STORE, {"status": 403, "times": 99}, False),
    "verify 500": ("POST", "lfs/verify", {"status": 500}, True),
    "verify cut before": ("POST", "lfs/verify", {"drop": "before"}, True),
    "verify cut after": ("POST", "lfs/verify", {"drop": "after"}, True),
    "xet token 503": ("GET", XET, {"status": 503}, True),
    "xet token cut before": ("GET", XET, {"drop": "before"}, True),
    "xet token cut after": ("GET", XET, {"drop": "after"}, True),
    "xet token 403": ("GET", XET, {"status": 403, "times": 99}, False),
    "commit cut before": ("POST", COMMIT, {"drop": "before"}, True),
    "commit cut in the request": ("POST", COMMIT, {"drop": "mid_request"}, True),
    "commit cut after": ("POST", COMMIT, {"drop": "after"}, True),
    "commit cut in the answer": ("POST", COMMIT, {"drop": "mid_response"}, True),
    "commit cut in the answer, orderly": ("POST", COMMIT, {"drop": "mid_response_fin"}, True),
    "commit 500": ("POST", COMMIT, {"status": 500}, True),
    "commit 500 but made": ("POST", COMMIT, {"status": 500, "applied": True}, True),
    "commit 500 three times": ("POST", COMMIT, {"status": 500, "times": 3}, True),
    "commit 503 for ever": ("POST", COMMIT, {"status": 503, "times": 99}, False),
    "commit 409": ("POST", COMMIT, {"status": 409}, True),
    "commit 429": ("POST", COMMIT, {"status": 429}, True),
    "commit 429 Retry-After": ("POST", COMMIT, {"status": 429, "headers": {"Retry-After": "7"}}, True),
    "commit 429 ratelimit": ("POST", COMMIT, {"status": 429, "headers": {"ratelimit": '"api";r=0;t=6'}}, True),
    "commit 429 for ever": ("POST", COMMIT, {"status": 429, "times": 99}, False),
    "commit 429 for an hour": ("POST", COMMIT, {"status": 429, "headers": {"Retry-After": "3600"}}, False),
    "commit 412 though the head stood": ("POST", COMMIT, {"status": 412}, True),
    "commit 401": ("POST", COMMIT, {"status": 401}, False),
    "commit 403": ("POST", COMMIT, {"status": 403}, False),
    "commit 400": ("POST", COMMIT, {"status": 400}, False),
    "tag cut before": ("POST", "/tag/", {"drop": "before"}, True),
    "tag cut after": ("POST", "/tag/", {"drop": "after"}, True),
    "tag 500 but set": ("POST", "/tag/", {"status": 500, "applied": True}, True),
    "tag 403": ("POST", "/tag/", {"status": 403}, False),
}
# What other uploaders get wrong: fast for all kinds, xet on and off.
LOST = ("commit cut after", "commit 500 but made")


def _cases() -> list[Any]:
    """Every fault for every kind, xet off and on. In the fast tier the kinds take turns: their ways hardly differ."""
    cases = []
    for place, name in enumerate(FAULTS):
        for kind in KINDS:
            in_turn = kind == KINDS[place % len(KINDS)]
            fast = {False: in_turn or name in LOST, True: (in_turn and name.startswith("xet")) or name in LOST}
            only_xet, only_lfs = name.startswith("xet"), name.startswith(("batch", "put", "verify"))
            for with_xet in (False, True):
                if not (only_lfs if with_xet else only_xet):
                    marks = [] if fast[with_xet] else [pytest.mark.slow]
                    cases.append(pytest.param(name, kind, with_xet, marks=marks, id=_id(name, kind, with_xet)))
    return cases


def _id(name: str, kind: str, with_xet: bool) -> str:
    return f"{name}-{kind}-{'xet' if with_xet else 'lfs'}"


@pytest.mark.parametrize(("name", "kind", "with_xet"), _cases())
def test_after_a_fault_the_tree_is_old_or_new_and_the_next_run_converges(
    hub: HubServer,
    versions: dict,
    calm: dict,
    pauses: list[float],
    request: pytest.FixtureRequest,
    name: str,
    kind: str,
    with_xet: bool,
) -> None:
    if with_xet:
        request.getfixturevalue("xet")
    old_folder, new_folder = versions[kind]
    new = calm[kind]
    method, path, how, ends_well = FAULTS[name]
    there = repo(hub, kind)
    publish(hub, old_folder, tag="v1")
    old = there.files()
    assert old != new
    pauses.clear()
    fault = hub.fault(method, path, **how)
    if ends_well:
        publish(hub, new_folder, tag="v2")
        assert there.files() == new and there.refs["refs/tags/v2"] == there.head
    else:
        line = refusal(hub, new_folder, tag="v2")
        tagging = "tag" in name
        assert there.files() == (new if tagging else old)
        assert ("published as commit" in line) == tagging, line
    assert fault.fired >= 1, "the fault never struck"
    if re.search("commit 40[013]|tag 403", name):
        assert fault.fired == 1, "a refusal was tried again"
    assert sum(pauses) <= 120, "too long a wait"
    if "Retry-After" in name or "ratelimit" in name:
        assert max(pauses) >= 7
    hub.faults.clear()
    publish(hub, new_folder, tag="v2")
    assert there.files() == new and there.refs["refs/tags/v2"] == there.head
    assert len(there.commits()) == 3, "a duplicate commit"


ONCE_FAULTS = {
    "cut before": {"drop": "before"},
    "cut after": {"drop": "after"},
    "500": {"status": 500},
    "500 but made": {"status": 500, "applied": True},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ONCE_FAULTS)
def test_faults_while_the_repository_and_the_branch_are_made_and_opened(
    hub: HubServer, versions: dict, kind: str, name: str
) -> None:
    how = ONCE_FAULTS[name]
    faults = [hub.fault("POST", path, **how) for path in ("/api/repos/create", "/branch/")]
    faults.append(hub.fault("PUT", "/settings", **how))
    publish(hub, versions[kind][0], tag="v1", public=True, revision="next")
    assert [fault.fired for fault in faults] == [1, 1, 1] and not repo(hub, kind).record.private
    assert len(titles(hub, kind, revision="next")) == 2 and len(titles(hub, kind)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_part_of_a_large_file_is_sent_again(hub: HubServer, versions: dict, kind: str) -> None:
    hub.chunk_size = 50
    fault = hub.fault("PUT", "/storage/upload/.*/2", status=500)
    publish(hub, versions[kind][0])
    assert fault.fired == 1 and len(titles(hub, kind)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_commit_that_does_not_hold_what_was_sent_is_reported(hub: HubServer, versions: dict, kind: str) -> None:
    # The second look at the tree is the one after the commit; a list that is old for once is asked for again.
    fault = hub.fault("GET", "/tree/", skip=1, times=99, body=b"[]")
    line = refusal(hub, versions[kind][0])
    assert fault.fired > 1 and "README.md" in line and "does not hold what was sent" in line


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_that_fails_is_told_and_mended(hub: HubServer, versions: dict, kind: str) -> None:
    folder = versions[kind][0]
    hub.fault("POST", "/tag/", times=99, status=500)
    assert re.search(r"published as commit [0-9a-f]{40}, but not all is done", refusal(hub, folder, tag="v1"))
    hub.faults.clear()
    publish(hub, folder, tag="v1")
    assert len(titles(hub, kind)) == 2 and "refs/tags/v1" in repo(hub, kind).refs


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_down_or_no_hub(hub: HubServer, versions: dict, kind: str) -> None:
    from huggingface_hub import HfApi

    folder: Path = versions[kind][0]
    for address, words in (
        ("http://127.0.0.1:9", "no answer"),
        (f"{hub.url}/nothing", "refused|not found"),
        ("ftp://x", "HF_ENDPOINT"),
    ):
        with pytest.raises(KitError, match=words) as caught:
            publish_folder(folder, NAME, api=HfApi(address, hub.owner_token))
        assert "\n" not in str(caught.value)
    hub.unrouted.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_where_nobody_answers(
    hub: HubServer, versions: dict, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from huggingface_hub import close_session

    for name, value in {"HTTP_PROXY": DEAD_PROXY, "http_proxy": DEAD_PROXY, "NO_PROXY": "", "no_proxy": ""}.items():
        monkeypatch.setenv(name, value)
    # The client reads them when it opens a session.
    close_session()
    try:
        assert "no answer" in refusal(hub, versions[kind][0])
    finally:
        close_session()
    assert not hub.log


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_server_is_waited_for(hub: HubServer, versions: dict, kind: str) -> None:
    fault = hub.fault("POST", COMMIT, delay=0.5)
    assert publish(hub, versions[kind][0]).changed and fault.fired == 1

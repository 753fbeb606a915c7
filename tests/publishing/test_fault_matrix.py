"""Every request of a publish × every fault: old or new on the Hub, the truth in a line, and the next run converges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from builders.errors import KitError
from tests.hub_server import HubServer
from tests.support.publishing_client import HTML, KINDS, killed_publish, publish, repo


DAY = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)
SOON = format_datetime(datetime.now(UTC) - timedelta(days=2), usegmt=True)
UNSEEN = {"status": 404, "headers": {"X-Error-Code": "RevisionNotFound"}}
EVER = {"times": 9999}
# What passes has to be outlived.
PASSES: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "500, though done": {"status": 500, "applied": True},
    "503": {"status": 503},
    "408": {"status": 408},
    "429": {"status": 429},
    "429, Retry-After in seconds": {"status": 429, "headers": {"Retry-After": "2"}},
    "429, Retry-After as a date": {"status": 429, "headers": {"Retry-After": SOON}},
    "cut before the request is read": {"drop": "before"},
    "cut within the request": {"drop": "mid_request"},
    "cut after the work": {"drop": "after"},
    "cut within the answer": {"drop": "mid_response"},
    "closed within the answer": {"drop": "mid_response_fin"},
    "silent": {"drop": "silent"},
    "silent within the answer": {"drop": "mid_response_silent"},
}
# What may also be told in a line.
TOLD: dict[str, dict[str, Any]] = {
    "an HTML page": HTML,
    "an HTML page, though done": {"body": HTML["body"], "headers": HTML["headers"]},
    "JSON cut off": {"body": b'{"commitUrl": "http'},
    "no UTF-8": {"body": b'{"a": "\xff\xfe"}'},
    "nothing at 200": {"body": b""},
    "null": {"body": b"null"},
    "{}": {"body": b"{}"},
    "[]": {"body": b"[]"},
    "not to be seen yet": UNSEEN,
    "not to be seen for long": {**UNSEEN, "times": 3},
    "400": {"status": 400},
    "401": {"status": 401},
    "403": {"status": 403},
    "403, though done": {"status": 403, "applied": True},
    "409": {"status": 409},
    "412": {"status": 412},
    "a day to wait, in seconds": {"status": 429, "headers": {"Retry-After": "100000"}},
    "a day to wait, as a date": {"status": 503, "headers": {"Retry-After": DAY}},
    "500 for ever": {"status": 500, **EVER},
    "403 for ever": {"status": 403, **EVER},
    "429 for ever": {"status": 429, **EVER},
    "cut for ever": {"drop": "after", **EVER},
    "silent for ever": {"drop": "silent", **EVER},
    "an HTML page for ever": {**HTML, **EVER},
    "null for ever": {"body": b"null", **EVER},
}
FAULTS = {**PASSES, **TOLD}
KILLED = "the command is killed"
# What others get wrong.
FAST = ("cut after the work", "JSON cut off", "an HTML page for ever")
WISHES = {"tag": "v2", "public": True}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fraction of a second is silence enough; the library makes its connection anew with that."""
    from huggingface_hub import close_session

    monkeypatch.setattr("builders.publishing.hub_client.SILENCE", 0.3)
    close_session()
    yield
    close_session()


@contextmanager
def before(kind: str, versions: dict, first: bool) -> Iterator[HubServer]:
    """A server as the publish of the second version finds it: empty, or with the first one."""
    with HubServer() as server:
        if not first:
            publish(server, versions[kind][0], tag="v1")
        server.log.clear()
        yield server


def requests(kind: str, versions: dict) -> list[tuple[bool, int, str]]:
    """Every request of an undisturbed publish, and those of a first one that later ones have not."""
    found, seen = [], set[str]()
    for first in (False, True):
        with before(kind, versions, first) as server:
            publish(server, versions[kind][1], **WISHES)
            asked = [f"{entry.method} {_shape(entry.path)}" for entry in server.log]
        found += [(first, place, name) for place, name in enumerate(asked) if not first or name not in seen]
        seen.update(asked)
    return found


def _shape(path: str) -> str:
    """A path without ids of commits and uploads."""
    return "/".join(word for word in path.partition("?")[0].split("/") if len(word) < 30)


def strike(server: HubServer, folder: Path, fault: str, place: int) -> bool:
    """Publish into a fault at one request; whether it ended well."""
    if fault == KILLED:
        killed_publish(server, folder, "*", "", place, public=True)
        return False
    planted = server.fault("*", "", skip=place, **FAULTS[fault])
    publish(server, folder, **WISHES)
    assert planted.fired, "the fault never struck"
    return True


def outlived(server: HubServer, kind: str, versions: dict, new: dict, fault: str, place: int) -> bool:
    """Publish into a fault, then without it, and look what is there each time; whether the first one ended well."""
    folder, there, line, ended = versions[kind][1], repo(server, kind), "", False
    old = there.files() if there.exists else {}
    commits = len(there.commits()) if old else 1
    try:
        ended = strike(server, folder, fault, place)
    except KitError as error:
        line = str(error)
        assert "\n" not in line and len(line) < 1000 and server.owner_token not in line, line
        assert fault not in PASSES, f"told, though it passes: {line}"
    server.faults.clear()
    now = there.files() if there.exists else {}
    assert now in (old, new), "neither old nor new"
    assert now == new or not ended, "done, and not there"
    if line:
        told = re.search(r"published as commit|commit \w+ was made|not known", line)
        assert now == old or told, f"refused, and there: {line}"
        assert now == new or not told or told[0] == "not known", f"published, and not there: {line}"
    for _ in range(2):
        published = publish(server, folder, **WISHES)
        assert there.files() == new and there.refs["refs/tags/v2"] == there.head == published.commit
        assert not there.record.private
    assert len(there.commits()) == commits + 1, "a commit twice"
    return ended


def tried(kind: str, fault: str, versions: dict, new: dict, record: Any) -> None:
    """One fault at every request."""
    went_on, broken, places = 0, [], requests(kind, versions)
    for first, place, name in places:
        with before(kind, versions, first) as server:
            try:
                went_on += outlived(server, kind, versions, new, fault, place)
            except BaseException as error:
                why = " ".join(str(error).split())[:300]
                broken.append(f"{'first' if first else 'next'}, {name}: {type(error).__name__}: {why}")
    record("trials", {"kind": kind, "fault": fault, "tried": len(places), "went_on": went_on, "broken": len(broken)})
    assert not broken, "\n".join(broken)


def _cases() -> list[Any]:
    """All faults for every kind; in the fast tier a few, the kinds in turn."""
    fast = {(name, KINDS[place % len(KINDS)]) for place, name in enumerate(FAST)}
    return [
        pytest.param(kind, fault, marks=[] if (fault, kind) in fast else [pytest.mark.slow], id=f"{fault}-{kind}")
        for fault in FAULTS
        for kind in KINDS
    ]


@pytest.mark.parametrize(("kind", "fault"), _cases())
def test_a_fault_at_every_request(
    versions: dict, calm: dict, pauses: list[float], record_property: Any, kind: str, fault: str
) -> None:
    tried(kind, fault, versions, calm[kind], record_property)
    assert max(pauses, default=0) <= 310


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_every_request(versions: dict, calm: dict, record_property: Any, kind: str) -> None:
    tried(kind, KILLED, versions, calm[kind], record_property)

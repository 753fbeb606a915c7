"""Publishes to a server that is silent or asks for a long wait: it goes on or ends with a line, and never hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from huggingface_hub import close_session

from tests.hub_server import HubServer
from tests.support.publishing_client import NAME, STEPS, command, publish, refusal, repo


FAR = {"seconds": "100000", "date": format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fraction of a second is silence enough; the library makes its connection anew with that."""
    monkeypatch.setattr("builders.publishing.hub_client.SILENCE", 0.4)
    close_session()
    yield
    close_session()


@pytest.mark.parametrize("drop", ["silent", "mid_response_silent"])
@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_is_silent_once_is_asked_again(hub: HubServer, versions: dict, step: str, drop: str) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    fault = hub.fault(*STEPS[step], drop=drop)
    publish(hub, new, tag="v2", public=True)
    there = repo(hub, "adapter")
    assert fault.fired == 1 and len(there.commits()) == 3
    assert there.refs["refs/tags/v2"] == there.head and not there.record.private


# What was stored is stored, whether that is confirmed or not: the second try finds it.
@pytest.mark.parametrize("step", [step for step in STEPS if step != "verify"])
def test_a_server_that_stays_silent_ends_in_a_line(
    hub: HubServer, versions: dict, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    hub.fault(*STEPS[step], drop="silent", times=999)
    started = time.monotonic()
    with monkeypatch.context() as patch:
        # It is asked often.
        patch.setattr("builders.publishing.hub_client.SILENCE", 0.15)
        close_session()
        line = refusal(hub, new, tag="v2", public=True)
    assert time.monotonic() - started < 15
    assert "no answer" in line, line
    hub.faults.clear()
    close_session()
    publish(hub, new, tag="v2", public=True)
    assert len(repo(hub, "adapter").commits()) == 3


@pytest.mark.parametrize("step", [step for step in STEPS if step != "verify"])
@pytest.mark.parametrize(("status", "how"), [(408, "date"), (429, "seconds"), (503, "seconds")])
def test_who_asks_to_wait_for_a_day_is_not_waited_for(
    hub: HubServer, versions: dict, pauses: list[float], status: int, step: str, how: str
) -> None:
    old, new = versions["adapter"]
    publish(hub, old)
    hub.fault(*STEPS[step], status=status, times=999, headers={"Retry-After": FAR[how]})
    line = refusal(hub, new, tag="v2", public=True)
    assert "try again in" in line or step in ("batch", "put", "verify"), line
    assert sum(pauses) <= 320


def test_many_short_waits_are_a_long_one(hub: HubServer, versions: dict, pauses: list[float]) -> None:
    hub.fault("POST", "/preupload/", status=429, times=999, headers={"Retry-After": "100"})
    assert "busy (429" in refusal(hub, versions["adapter"][0])
    assert sum(pauses) <= 2 * 320


def test_a_conflict_that_never_ends_ends_in_a_line(hub: HubServer, versions: dict) -> None:
    # The library asks this one again for ever, without a pause.
    body = {"error": "Cannot create repo: another conflicting operation is in progress"}
    fault = hub.fault("POST", "/api/repos/create", status=409, times=9999, body=body)
    assert "conflicting operation" in refusal(hub, versions["adapter"][0]) and fault.fired < 100


def test_an_xet_storage_that_fails_for_ever_ends_in_a_line(hub: HubServer, versions: dict, tmp_path: Path) -> None:
    pytest.importorskip("hf_xet", reason="xet storage needs hf_xet")
    cas = {"casUrl": f"{hub.url}/cas", "accessToken": "x", "exp": int(time.time()) + 3600}
    headers = {"X-Xet-Cas-Url": cas["casUrl"], "X-Xet-Access-Token": "x", "X-Xet-Token-Expiration": str(cas["exp"])}
    hub.fault("GET", "/xet-write-token/", times=99, headers=headers, body=cas)
    hub.fault("*", "/cas/", status=500, times=9999)
    started = time.monotonic()
    done = command(hub, versions["adapter"][0], "--repo_id", NAME, xet=True, HF_XET_CLIENT_RETRY_BASE_DELAY="10ms")
    assert done.returncode == 2 and done.stderr.count("\n") <= 12 and "no answer" in done.stderr, done.stderr
    assert time.monotonic() - started < 60 and hub.requests("*", "/cas/")
    hub.unrouted.clear()

"""Sudden death: a publish that is killed, then run again, ends as an undisturbed one does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.support.publishing_client import KINDS, Calm, killed_publish, publish, repo
from tests.support.rendered_folders import preferences


FIXED_MOMENTS = {
    "in the midst of the upload": ("PUT", "/storage/upload", 40),
    "before the commit": ("POST", "/commit/main", 0),
    "before the tag": ("POST", "/tag/", 0),
}


@pytest.mark.parametrize("moment", FIXED_MOMENTS)
def test_killed_then_run_again(hub: HubServer, tmp_path: Path, large: Path, calm_large: Calm, moment: str) -> None:
    publish(hub, preferences(tmp_path / "old"), tag="v1")
    there = repo(hub, "dataset")
    old = there.files()
    method, path, skip = FIXED_MOMENTS[moment]
    killed_publish(hub, large, method, path, skip)
    made = len(there.commits()) == 3
    assert made or there.files() == old
    stored = len(hub.requests("PUT", "/storage/upload"))
    hub.log.clear()
    publish(hub, large, tag="v2")
    assert len(there.commits()) == 3 and there.refs["refs/tags/v2"] == there.head
    again = len(hub.requests("PUT", "/storage/upload"))
    assert 0 < stored and stored + again <= 310 and (again == 0 or "upload" in moment), "files were uploaded twice"
    assert there.files() == calm_large.tree


SMALL_MOMENTS = {**FIXED_MOMENTS, "in the midst of the upload": ("PUT", "/storage/upload", 0)}


@pytest.mark.parametrize("kind", ["adapter", "space"])
@pytest.mark.parametrize(
    "moment",
    [name if "commit" in name else pytest.param(name, marks=pytest.mark.slow) for name in SMALL_MOMENTS],
)
def test_adapters_and_spaces_killed_then_run_again(
    hub: HubServer, versions: dict, calm: dict, kind: str, moment: str
) -> None:
    publish(hub, versions[kind][0], tag="v1")
    there = repo(hub, kind)
    old = there.files()
    killed_publish(hub, versions[kind][1], *SMALL_MOMENTS[moment])
    assert there.files() == (calm[kind] if len(there.commits()) == 3 else old)
    hub.log.clear()
    publish(hub, versions[kind][1], tag="v2")
    assert len(there.commits()) == 3 and there.refs["refs/tags/v2"] == there.head
    assert not hub.requests("PUT", "/storage/upload"), "files were uploaded twice"
    assert there.files() == calm[kind]


@pytest.mark.slow
@pytest.mark.parametrize("with_xet", [False, True], ids=["lfs", "xet"])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments(
    versions: dict, large: Path, calm_large: Calm, request: pytest.FixtureRequest, kind: str, with_xet: bool
) -> None:
    if with_xet:
        request.getfixturevalue("xet")
    folder = large if kind == "dataset" else versions[kind][0]
    chance = random.Random(0)
    with HubServer() as undisturbed:
        publish(undisturbed, folder, tag="v2")
        requests = len(undisturbed.log)
        calm_tree = repo(undisturbed, kind).files()
    assert kind != "dataset" or calm_tree == calm_large.tree
    for _ in range(20 if kind == "dataset" else 10):
        with HubServer() as server:
            killed_publish(server, folder, "*", "", chance.randrange(requests), with_xet)
            server.faults.clear()
            there = repo(server, kind)
            assert not there.exists or there.files() in ({}, calm_tree)
            publish(server, folder, tag="v2")
            assert there.files() == calm_tree and len(there.commits()) == 2
            assert there.refs["refs/tags/v2"] == there.head
            server.assert_clean()

"""Other people at work on the same repository: nothing of theirs is lost, and nothing of ours."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from builders.publishing.card_merge import addressed, marked, read_card
from builders.publishing.manifest import MANIFEST
from builders.publishing.publisher import Published
from tests.hub_server import HubServer
from tests.hub_server.view import RepoView
from tests.support.publishing_client import KINDS, NAME, command, publish, refusal, repo, titles
from tests.support.rendered_folders import REPO_TYPES, make, preferences


COMMIT = "/commit/main"


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_else_makes_the_repository_first(hub: HubServer, versions: dict, kind: str) -> None:
    def make_it(request: object) -> None:
        hub.create_repo(REPO_TYPES[kind], NAME, private=True, sdk="gradio" if kind == "space" else None)

    fault = hub.fault("POST", "/api/repos/create", hook=make_it)
    publish(hub, versions[kind][0])
    assert fault.fired == 1 and len(titles(hub, kind)) == 2
    assert [entry.status for entry in hub.requests("POST", "/api/repos/create")] == [409]


@pytest.mark.parametrize("kind", KINDS)
def test_the_repository_vanishes_before_the_commit(hub: HubServer, versions: dict, kind: str) -> None:
    hub.fault("POST", COMMIT, hook=lambda request: repo(hub, kind).delete())
    assert "not found" in refusal(hub, versions[kind][0])
    assert not repo(hub, kind).exists
    publish(hub, versions[kind][0])
    assert len(titles(hub, kind)) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [{"private": True}, {"gated": "manual"}], ids=["private", "gated"])
def test_the_repository_is_closed_meanwhile(
    hub: HubServer, versions: dict, calm: dict, kind: str, change: dict
) -> None:
    publish(hub, versions[kind][0], public=True)
    hub.fault("POST", COMMIT, hook=lambda request: repo(hub, kind).set(**change))
    publish(hub, versions[kind][1])
    assert len(titles(hub, kind)) == 3 and repo(hub, kind).files() == calm[kind]
    record = repo(hub, kind).record
    assert {name: getattr(record, name) for name in change} == change, "somebody else's setting was undone"


@pytest.mark.parametrize("kind", KINDS)
def test_a_concurrent_commit_is_kept(hub: HubServer, versions: dict, kind: str) -> None:
    there = repo(hub, kind)
    hub.fault("POST", COMMIT, times=2, hook=lambda _: there.commit({f"notes{len(there.commits())}.txt": b"kept"}))
    publish(hub, versions[kind][0])
    assert titles(hub, kind)[0].startswith("Publish") and len(there.commits()) == 4
    assert there.read("notes1.txt") == there.read("notes2.txt") == b"kept" and MANIFEST in there.tree()


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_who_never_stops_committing_is_told(hub: HubServer, versions: dict, kind: str) -> None:
    """A bounded number of tries, then one line."""
    there = repo(hub, kind)
    hub.fault("POST", COMMIT, times=99, hook=lambda _: there.commit({"notes.txt": b"%d" % len(there.commits())}))
    assert "somebody else keeps committing" in refusal(hub, versions[kind][0])
    assert set(there.tree()) == {"notes.txt"} and len(hub.requests("POST", COMMIT)) < 20
    hub.faults.clear()
    publish(hub, versions[kind][0])
    assert {"notes.txt", MANIFEST} <= set(there.tree())


def edit_card(there: RepoView, words: str, **keys: object) -> None:
    """Edit a published card by hand: words below the generated part, keys in the front matter."""
    card = read_card(there.read("README.md").decode(), "test")
    front = f"---\n{yaml.safe_dump({**card.data, **keys})}---\n" if keys else card.front
    text = f"{front}{card.before}{card.generated}{card.after}\n{words}\n"
    there.commit({"README.md": text.encode()}, message="edited by hand")


@pytest.mark.parametrize("kind", KINDS)
def test_a_concurrent_edit_of_the_card_is_merged(hub: HubServer, versions: dict, kind: str) -> None:
    there = repo(hub, kind)
    first, second = versions[kind]
    publish(hub, first)
    hub.fault("POST", COMMIT, hook=lambda request: edit_card(there, "## By hand", thumbnail="x.png"))
    publish(hub, second)
    card = read_card(there.read("README.md").decode(), "test")
    assert card.data["thumbnail"] == "x.png" and card.by_hand == "## By hand"
    assert titles(hub, kind)[:2] == [titles(hub, kind)[2], "edited by hand"]
    rendered = addressed(marked(read_card((second / "README.md").read_text(), "test")), NAME)
    assert card.generated == rendered.generated
    assert not publish(hub, second).changed


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_commits_right_after_our_lost_answer(hub: HubServer, versions: dict, kind: str) -> None:
    """Ours was made and is found by its publish id; what came after is not overwritten."""
    there = repo(hub, kind)
    publish(hub, versions[kind][0])
    hub.fault("POST", COMMIT, drop="after")
    # The look at the head after the lost answer.
    hub.fault("GET", "/revision/main", skip=1, hook=lambda request: there.commit({"README.md": b"# Mine\n"}))
    done = publish(hub, versions[kind][1], tag="v2")
    assert len(there.commits()) == 4 and there.read("README.md") == b"# Mine\n"
    assert done.commit == there.commits()[1].id == there.refs["refs/tags/v2"]


@pytest.mark.parametrize(
    ("kind", "same"),
    [
        *(pytest.param(kind, False, id=f"{kind}, different") for kind in KINDS),
        pytest.param("dataset", True, id="dataset, identical"),
        pytest.param("adapter", True, id="adapter, identical", marks=pytest.mark.slow),
        pytest.param("space", True, id="space, identical", marks=pytest.mark.slow),
    ],
)
def test_two_publishers_at_once(hub: HubServer, tmp_path: Path, xet: None, kind: str, same: bool) -> None:
    """Both end well and both contents are in the history; identical ones make one commit."""
    folders = [make(kind, tmp_path / "1", 1), make(kind, tmp_path / "2", 1 if same else 2)]
    publish(hub, make(kind, tmp_path / "0", 3))
    gate = threading.Barrier(2, timeout=30)
    # Both have read the same head when they commit.
    hub.fault("POST", COMMIT, times=2, hook=lambda request: gate.wait())
    done: list[object] = []

    def one(number: int) -> None:
        try:
            done.append(publish(hub, folders[number], tag=f"v{number}"))
        except BaseException as error:
            done.append(error)

    _both(one, 60)
    assert all(isinstance(result, Published) for result in done) and len(done) == 2, done
    there = repo(hub, kind)
    assert len(there.commits()) == (3 if same else 4)
    for number, folder in enumerate(folders):
        for name in ("build.json", "training.json", "space.json"):
            if (folder / name).exists():
                assert there.read(name, f"v{number}") == (folder / name).read_bytes()


def _both(one, timeout: float | None = None) -> None:
    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)


def test_two_commands_at_once_from_nothing(hub: HubServer, tmp_path: Path) -> None:
    """Two processes make the repository, commit with xet on, and tag."""
    folders = [preferences(tmp_path / "1", rows=4), preferences(tmp_path / "2", rows=5)]
    done: dict[int, subprocess.CompletedProcess[str]] = {}

    def one(number: int) -> None:
        done[number] = command(hub, folders[number], "--repo_id", NAME, "--tag", f"v{number}", xet=True)

    _both(one)
    assert [done[n].returncode for n in range(2)] == [0, 0], [done[n].stderr for n in range(2)]
    there = repo(hub, "dataset")
    assert len(there.commits()) == 3
    for number, rows in enumerate((4, 5)):
        assert json.loads(there.read("build.json", f"v{number}"))["rows"]["preference"]["train"] == rows

"""Bad input: one clear line, exit code 2, nothing pushed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.support.commands import refused
from tests.support.publishing_client import KINDS, NAME, command, publish, refusal, repo, titles
from tests.support.rendered_folders import BASE, REPO_TYPES, VERSION, adapter, expansions, preferences, space


def test_the_command_says_one_line_and_exits_with_2(hub: HubServer, versions: dict) -> None:
    """The same refusals as below, through the command and its environment."""
    cases = [
        ({"token": ""}, "no access token"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
        ({"HF_ENDPOINT": "not an address"}, "HF_ENDPOINT"),
        ({"token": "hf_" + "x" * 34}, "401"),
    ]
    for number, (environment, words) in enumerate(cases):
        done = command(hub, versions[KINDS[number % 3]][0], "--repo_id", NAME, **environment)
        assert words in refused(done) and "hf_x" not in done.stderr
    assert not hub.store.repos


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "token", "words"),
    [
        (NAME, "read_token", "403"),
        (f"{HubServer.watched}/thing", "owner_token", "403"),
        ("kit-stranger/thing", "owner_token", "403"),
        ("nobody/thing", "owner_token", "403"),
        ("thing", "owner_token", "OWNER/NAME"),
        ("kit-owner/a/b", "owner_token", "--repo_id"),
        ("kit-owner/bad name!", "owner_token", "--repo_id"),
        ("kit-owner/..", "owner_token", "--repo_id"),
        ("", "owner_token", "--repo_id"),
    ],
)
def test_where_nothing_may_be_published(
    hub: HubServer, versions: dict, kind: str, name: str, token: str, words: str
) -> None:
    assert words in refusal(hub, versions[kind][0], name, getattr(hub, token))
    assert not hub.store.repos


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_token_on_an_existing_repository(hub: HubServer, versions: dict, kind: str) -> None:
    publish(hub, versions[kind][0], public=True)
    head = repo(hub, kind).head
    for token in (hub.read_token, hub.stranger_token):
        assert "403" in refusal(hub, versions[kind][1], token=token)
    assert repo(hub, kind).head == head and not [e for e in hub.requests("PUT") if e.status == 403]


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_repository_of_somebody_else(hub: HubServer, versions: dict, kind: str) -> None:
    """Not to be seen, so it looks like a new one, which may not be made there."""
    publish(hub, versions[kind][0])
    before = repo(hub, kind).files()
    assert "403" in refusal(hub, versions[kind][1], token=hub.stranger_token)
    assert repo(hub, kind).files() == before and repo(hub, kind).record.private


@pytest.mark.parametrize("kind", KINDS)
def test_a_gated_repository_of_somebody_else(hub: HubServer, versions: dict, kind: str) -> None:
    publish(hub, versions[kind][0], public=True)
    repo(hub, kind).set(gated="manual")
    before = repo(hub, kind).files()
    assert "403" in refusal(hub, versions[kind][1], token=hub.stranger_token)
    assert repo(hub, kind).files() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_revoked_between_upload_and_commit(hub: HubServer, versions: dict, kind: str) -> None:
    publish(hub, versions[kind][0])
    before = repo(hub, kind).files()
    fault = hub.fault("POST", "lfs/verify", hook=lambda request: hub.accounts.revoke(hub.owner_token))
    assert "401" in refusal(hub, versions[kind][1]) and fault.fired == 1
    assert repo(hub, kind).files() == before and len(titles(hub, kind)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_repository_of_another_type(hub: HubServer, versions: dict, kind: str) -> None:
    other = "dataset" if kind != "dataset" else "model"
    hub.create_repo(other, NAME)
    assert f"is a {other} on the Hub" in refusal(hub, versions[kind][0])
    assert not hub.repo(REPO_TYPES[kind], NAME).exists


def test_a_repository_of_other_content(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, expansions(tmp_path / "e"))
    assert "holds expansions" in refusal(hub, preferences(tmp_path / "p"))
    hub.create_repo("model", "kit-owner/full").commit({"model.safetensors": b"x", "config.json": b"{}"})
    assert "full model" in refusal(hub, adapter(tmp_path / "a"), "kit-owner/full")
    hub.create_repo("space", "kit-owner/static", sdk="static")
    assert "sdk static" in refusal(hub, space(tmp_path / "s"), "kit-owner/static")


@pytest.mark.parametrize("kind", KINDS)
def test_an_existing_tag_is_never_moved(hub: HubServer, versions: dict, kind: str) -> None:
    old, new = versions[kind]
    publish(hub, old, tag="v1")
    there = repo(hub, kind)
    before = there.refs
    assert "never moved" in refusal(hub, new, tag="v1") and there.refs == before
    there.tag("by-hand", there.commits()[-1].id)
    assert "never moved" in refusal(hub, new, tag="by-hand") and there.refs == {**before, **there.refs}
    assert "--tag" in refusal(hub, new, tag="no tag!")
    publish(hub, new, tag="v2")
    # The old folder is still what v1 is: going back to it needs no new tag.
    publish(hub, old, tag="v1")
    assert there.refs["refs/tags/v1"] == before["refs/tags/v1"]


def test_a_dataset_does_not_shrink_unasked(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, preferences(tmp_path / "a", rows=9))
    publish(hub, preferences(tmp_path / "half", rows=4))
    publish(hub, preferences(tmp_path / "a", rows=9))
    small = preferences(tmp_path / "small", rows=3)
    assert "'preference' has 10 rows there and 4" in refusal(hub, small)
    publish(hub, small, allow_shrink=True)
    assert len(titles(hub, "dataset")) == 5


def _drop(path: Path) -> None:
    path.unlink()


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


UNFIT = {
    "no folder": ("preferences", lambda f: f.rename(f.with_name("away")), "no such folder"),
    "nothing there": ("preferences", lambda f: _drop(f / "build.json"), "no finished"),
    "broken build.json": ("preferences", lambda f: (f / "build.json").write_text("{"), "broken"),
    "no card": ("preferences", lambda f: _drop(f / "README.md"), "README.md is missing"),
    "a shard is missing": (
        "preferences",
        lambda f: _drop(f / "data/preference/train-00000-of-00001.parquet"),
        "missing",
    ),
    "a shard is cut": (
        "preferences",
        lambda f: os.truncate(f / "data/preference/train-00000-of-00001.parquet", 100),
        "truncated",
    ),
    "a card without configs": ("preferences", lambda f: (f / "README.md").write_text("# hi\n"), "configs"),
    "a card with broken YAML": ("adapter", lambda f: (f / "README.md").write_text("---\na: [\n---\n"), "YAML"),
    "a dirty dataset": ("preferences", lambda f: preferences(f, version=f"{VERSION}.dirty"), "edited code"),
    "a dirty adapter": ("adapter", lambda f: adapter(f, version=f"{VERSION}.dirty"), "edited code"),
    "data of a dirty build": (
        "adapter",
        lambda f: _edit(f / "training.json", "{", '{"data": {"pairs": {"code_version": "1.dirty"}},'),
        "edited code",
    ),
    "no results": ("adapter", lambda f: _drop(f / "README.md"), "first evaluate it"),
    "results without numbers": (
        "adapter",
        lambda f: _edit(f / "README.md", "model-index:", "model-indexed:"),
        "first evaluate it",
    ),
    "no base": ("adapter", lambda f: _edit(f / "adapter_config.json", "base_model_name_or_path", "b"), "no Hub id"),
    "a local base": ("adapter", lambda f: adapter(f, base="/home/me/model"), "no Hub id"),
    "a base of two minds": (
        "adapter",
        lambda f: _edit(f / "training.json", BASE, "other/base"),
        "training.json names",
    ),
    "a card of another base": ("adapter", lambda f: _edit(f / "README.md", BASE, "other/base"), "made of"),
    "cut weights": ("adapter", lambda f: os.truncate(f / "adapter_model.safetensors", 90), "truncated"),
    "no training record": ("adapter", lambda f: _drop(f / "training.json"), "no finished"),
    "a Space without its app": ("space", lambda f: _drop(f / "app.py"), "app.py is missing"),
    "a Space of another sdk": ("space", lambda f: _edit(f / "README.md", "sdk: gradio", "sdk: docker"), "sdk"),
    **{
        f"a card of {kind} that the Hub refuses": (
            kind,
            lambda f, licence=licence: _edit(f / "README.md", f"license: {licence}", "license: mine"),
            "refuses the card",
        )
        for kind, licence in {"preferences": "cc-by-4.0", "adapter": "apache-2.0", "space": "mit"}.items()
    },
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_folder_that_is_not_fit(hub: HubServer, tmp_path: Path, name: str) -> None:
    kind, spoil, words = UNFIT[name]
    folder = {"preferences": preferences, "adapter": adapter, "space": space}[kind](tmp_path / "folder")
    spoil(folder)
    assert words in refusal(hub, folder)
    assert not hub.store.repos, "something was created"

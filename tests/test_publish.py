"""Publishing over real HTTP, with the real clients, against the test Hub: whole or not at all.

What the test Hub cannot prove stands in `tests/hub_server/README.md`. In-process publishes use the real client too;
only its pauses between tries are cut short. Fresh processes are used where imports, caches or death matter.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from builders.errors import KitError
from builders.publishing.card import addressed, marked, merge, read_card
from builders.publishing.hub import publish_folder
from builders.publishing.manifest import MANIFEST
from builders.publishing.publisher import Published, Wishes
from tests.hub_server import HubServer
from tests.hub_server.fixtures import client_environment, hub, run_client
from tests.rendered_folders import (
    BASE,
    REPO_TYPES,
    VERSION,
    adapter,
    adapter_card,
    build,
    expansions,
    make,
    many_shards,
    preference_row,
    preferences,
    space,
)


__all__ = ["hub"]

ROOT = Path(__file__).resolve().parent.parent
KINDS = tuple(REPO_TYPES)
NAME = "kit-owner/thing"


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch):
    """The in-process client: online, without xet, and with short pauses. Returns the pauses that it made."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    pauses: list[float] = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=pauses.append, time=time.time))
    monkeypatch.setattr(
        "builders.publishing.failure.time",
        SimpleNamespace(sleep=lambda seconds: (pauses.append(seconds), time.sleep(0.01))),
    )
    return pauses


@pytest.fixture
def xet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn xet on for the in-process client."""
    pytest.importorskip("hf_xet")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)


def publish(hub: HubServer, folder: Path, name: str = NAME, token: str | None = None, **wishes) -> Published:
    from huggingface_hub import HfApi

    return publish_folder(folder, name, Wishes(**wishes), HfApi(hub.url, token or hub.owner_token))


def refusal(hub: HubServer, folder: Path, name: str = NAME, token: str | None = None, **wishes) -> str:
    """The line with which a publish is refused."""
    with pytest.raises(KitError) as caught:
        publish(hub, folder, name, token, **wishes)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 700, line
    return line


def command(hub: HubServer, *arguments: object, xet: bool = False, token: str | None = None, **environment: str):
    """`python -m builders publish …` as a user runs it, with a fresh home."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [sys.executable, "-m", "builders", "publish", *map(str, arguments)],
            env={**client_environment(hub, Path(home), token, xet), **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )


def titles(hub: HubServer, kind: str, name: str = NAME, revision: str = "main") -> list[str]:
    return [commit.title for commit in hub.repo(REPO_TYPES[kind], name).commits(revision)]


# ------------------------------------------------------------------------------------------------- round trips


LOAD = """
from datasets import load_dataset, get_dataset_config_names
result["configs"] = get_dataset_config_names(repo)
for config in result["configs"]:
    loaded = load_dataset(repo, config)
    result[config] = {split: rows.to_list() for split, rows in loaded.items()}
    result[config + " streamed"] = {
        split: list(rows) for split, rows in load_dataset(repo, config, streaming=True).items()
    }
    result[config + " v1"] = len(load_dataset(repo, config, revision="v1.0", split="train"))
"""


@pytest.mark.parametrize("with_xet", [False, True], ids=["lfs", "xet"])
def test_dataset_round_trip_in_fresh_processes(hub: HubServer, tmp_path: Path, with_xet: bool) -> None:
    """Published by the command, read by `load_dataset`: every config, streamed, and an older version by its tag."""
    from tests.rendered_folders import distillation_row, raw_row

    publish(hub, expansions(tmp_path / "first", 4), tag="v1.0")
    done = command(hub, expansions(tmp_path / "second", 6), "--repo_id", NAME, "--tag", "v1.1", xet=with_xet)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"{hub.url}/datasets/{NAME}: published, commit [0-9a-f]{{40}}, tag v1.1, private", done.stderr)
    result = run_client(hub, LOAD, xet=with_xet, repo=NAME)
    assert sorted(result["configs"]) == ["distillation", "raw"]
    wanted = {
        "raw": {"train": [raw_row(n) for n in range(6)], "validation": [raw_row(-1)]},
        "distillation": {"train": [distillation_row(n) for n in range(6)]},
    }
    for config, splits in wanted.items():
        assert result[config] == splits == result[f"{config} streamed"]
        assert result[f"{config} v1"] == 4
    assert hub.repo("dataset", NAME).record.private
    assert titles(hub, "dataset") == [f"Publish expansions (kit {VERSION})"] * 2 + ["initial commit"]
    assert bool(hub.requests("GET", "xet-write-token")) == with_xet


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_up_in_one_commit(hub: HubServer, tmp_path: Path, kind: str) -> None:
    folder = make(kind, tmp_path / "folder", 1)
    done = publish(hub, folder, tag="v1")
    repo = hub.repo(REPO_TYPES[kind], NAME)
    assert len(repo.commits()) == 2 and done.commit == repo.head == repo.refs["refs/tags/v1"]
    sent = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    there = repo.files()
    manifest = json.loads(there.pop(MANIFEST))
    assert set(manifest["files"]) == set(sent) == set(there)
    rendered, published = sent.pop("README.md").decode(), there.pop("README.md").decode()
    if kind == "space":
        # Its template has no marks, so they are put around the text.
        front, _, text = rendered.rpartition("---\n")
        assert published.startswith(front) and text.strip() in published and "generated" in published
    else:
        # Rendered before it had a name, the card loads a folder of ours; published, it loads its repository.
        place = str(folder) if kind == "dataset" else "out/models/tiny"
        assert f'"{place}"' in rendered and published == rendered.replace(f'"{place}"', f'"{NAME}"')
    assert there == sent
    assert repo.commits()[0].message == f"publish-id: {manifest['publish_id']}"


@pytest.mark.parametrize("kind", KINDS)
def test_publishing_twice_makes_one_commit(hub: HubServer, tmp_path: Path, kind: str) -> None:
    folder = make(kind, tmp_path / "folder", 1)
    first = publish(hub, folder, tag="v1")
    hub.log.clear()
    second = publish(hub, folder, tag="v1")
    assert second.commit == first.commit and not second.changed
    assert len(titles(hub, kind)) == 2
    assert [entry.path for entry in hub.requests("POST")] == ["/api/validate-yaml"] and not hub.requests("PUT")


def test_a_changed_card_is_one_small_commit(hub: HubServer, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter")
    publish(hub, folder)
    before = hub.repo("model", NAME).tree()
    (folder / "README.md").write_text(adapter_card(BASE, value=0.9))
    hub.log.clear()
    publish(hub, folder)
    after = hub.repo("model", NAME).tree()
    assert {path for path in after if after[path] != before.get(path)} == {"README.md", MANIFEST}
    assert not hub.requests("PUT") and not hub.requests("POST", "lfs")


def test_append_keeps_earlier_rows_and_history(hub: HubServer, tmp_path: Path) -> None:
    first = publish(hub, preferences(tmp_path / "a", rows=4), tag="v1")
    second = publish(hub, preferences(tmp_path / "b", rows=9), tag="v2")
    repo = hub.repo("dataset", NAME)
    assert [commit.id for commit in repo.commits()][:2] == [second.commit, first.commit]
    assert repo.refs["refs/tags/v1"] == first.commit and repo.refs["refs/tags/v2"] == second.commit
    assert _rows(repo, tmp_path, "v1") == [preference_row(n) for n in range(4)]
    assert _rows(repo, tmp_path, "main") == [preference_row(n) for n in range(9)]


def _rows(repo, tmp_path: Path, revision: str) -> list[dict]:
    import pyarrow.parquet as parquet

    path = tmp_path / f"{revision}.parquet"
    path.write_bytes(repo.read("data/preference/train-00000-of-00001.parquet", revision))
    return parquet.read_table(path).to_pylist()


def test_vanished_shards_are_deleted_and_other_peoples_files_stay(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("builders.publishing.folder.SHARD_BYTES", 200)
        publish(hub, preferences(tmp_path / "many", rows=5))
    repo = hub.repo("dataset", NAME)
    assert len([path for path in repo.tree() if path.endswith(".parquet")]) > 3
    repo.commit({"notes.txt": b"by hand", "data/other/mine.parquet": b"PAR1"})
    publish(hub, preferences(tmp_path / "one", rows=5))
    shards = [path for path in repo.tree() if path.startswith("data/preference")]
    assert shards == [f"data/preference/{split}-00000-of-00001.parquet" for split in ("train", "validation")]
    assert repo.read("notes.txt") == b"by hand" and "data/other/mine.parquet" in repo.tree()


def test_a_gitignore_on_the_hub_hides_nothing_of_ours(hub: HubServer, tmp_path: Path) -> None:
    hub.create_repo("model", NAME).commit({".gitignore": b"*.json\n*.safetensors\n"})
    publish(hub, adapter(tmp_path / "adapter"))
    assert {"training.json", "adapter_model.safetensors"} <= set(hub.repo("model", NAME).tree())


def test_checkpoints_and_the_frozen_reference_stay_here(hub: HubServer, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter")
    extra = ("ref/adapter_model.safetensors", "checkpoint-2/optimizer.pt", "optimizer.pt", "training_args.bin", ".x/y")
    for name in extra:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"state")
    publish(hub, folder)
    assert not set(extra) & set(hub.repo("model", NAME).tree())


def test_more_than_300_files_are_one_commit(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xet: None
) -> None:
    folder = many_shards(tmp_path / "many", monkeypatch)
    hub.page_size = 100
    publish(hub, folder)
    assert len(titles(hub, "dataset")) == 2
    assert len(hub.repo("dataset", NAME).tree()) > 302
    assert len(hub.requests("POST", "/commit/")) == 1


def test_organisation_branch_and_public(hub: HubServer, tmp_path: Path) -> None:
    name = f"{hub.organisation}/thing"
    publish(hub, space(tmp_path / "space"), name, public=True)
    repo = hub.repo("space", name)
    assert not repo.record.private and repo.record.sdk == "gradio"
    publish(hub, space(tmp_path / "next", 2), name, revision="next/one", tag="v2")
    assert titles(hub, "space", name, "next/one") == ["Publish space"] * 2 + ["initial commit"]
    assert len(repo.commits()) == 2 and repo.refs["refs/tags/v2"] == repo.refs["refs/heads/next/one"]


def test_made_public_only_when_complete(hub: HubServer, tmp_path: Path) -> None:
    seen = []
    for path in ("/commit/", "/tag/", "/settings"):
        hub.fault("*", path, hook=lambda request: seen.append(hub.repo("model", NAME).record.private))
    publish(hub, adapter(tmp_path / "adapter"), public=True, tag="v1")
    assert seen == [True, True, True] and not hub.repo("model", NAME).record.private
    publish(hub, adapter(tmp_path / "adapter", 2))
    assert not hub.repo("model", NAME).record.private, "publishing without --public hid a public repository"


def test_pull_request_is_opened_once(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, preferences(tmp_path / "a"))
    folder = preferences(tmp_path / "b", rows=5)
    first = publish(hub, folder, create_pr=True)
    assert first.url == f"{hub.url}/datasets/{NAME}/discussions/1"
    assert publish(hub, folder, create_pr=True).url == first.url
    hub.fault("POST", "/commit/", drop="after")
    third = publish(hub, preferences(tmp_path / "c", rows=6), create_pr=True)
    repo = hub.repo("dataset", NAME)
    assert third.url.endswith("/2") and len(repo.record.discussions) == 2 and len(repo.commits()) == 2
    assert json.loads(repo.read("build.json", "refs/pr/2"))["rows"]["preference"]["train"] == 6


def test_dry_run_lists_everything_and_touches_nothing(hub: HubServer, tmp_path: Path, capsys) -> None:
    folder = preferences(tmp_path / "a")
    publish(hub, folder, dry_run=True)
    told = capsys.readouterr().err
    assert not hub.repo("dataset", NAME).exists and "new, private" in told
    for path in folder.rglob("*.[jp]*"):
        assert re.search(rf"write +{path.stat().st_size:,}  {path.relative_to(folder)}$", told, re.M), path
    publish(hub, folder)
    head = hub.repo("dataset", NAME).head
    capsys.readouterr()
    publish(hub, preferences(tmp_path / "b", rows=5), dry_run=True)
    told = capsys.readouterr().err
    assert "-| `preference` | train | 4 |" in told and "+| `preference` | train | 5 |" in told
    assert re.search(r"keep .*validation-00000", told) and hub.repo("dataset", NAME).head == head
    assert {entry.path for entry in hub.requests("POST")} >= {"/api/validate-yaml"}


# ------------------------------------------------------------------------------------------------- faults


COMMIT, LFS = "/commit/main", "/info/lfs/objects/batch"
# Each: method, path, how it fails, and whether the command still ends well.
FAULTS = {
    "head 500": ("GET", "/revision/main", {"status": 500}, True),
    "head cut before": ("GET", "/revision/main", {"drop": "before"}, True),
    "head cut in the answer": ("GET", "/revision/main", {"drop": "mid_response"}, True),
    "tree 503": ("GET", "/tree/", {"status": 503}, True),
    "card of the head cut": ("GET", "/resolve/.*README", {"drop": "mid_response_fin"}, True),
    "validation cut before": ("POST", "/validate-yaml", {"drop": "before"}, True),
    "validation cut after": ("POST", "/validate-yaml", {"drop": "after"}, True),
    "validation 503": ("POST", "/validate-yaml", {"status": 503}, True),
    "preupload cut before": ("POST", "/preupload/", {"drop": "before"}, True),
    "preupload cut after": ("POST", "/preupload/", {"drop": "after"}, True),
    "preupload 503": ("POST", "/preupload/", {"status": 503, "times": 2}, True),
    "preupload 429 ratelimit": (
        "POST",
        "/preupload/",
        {"status": 429, "headers": {"ratelimit": '"api";r=0;t=7'}},
        True,
    ),
    "batch 500": ("POST", LFS, {"status": 500}, True),
    "batch cut after": ("POST", LFS, {"drop": "after"}, True),
    "put 503": ("PUT", "/storage/upload", {"status": 503}, True),
    "put cut": ("PUT", "/storage/upload", {"drop": "mid_request"}, True),
    "put cut after": ("PUT", "/storage/upload", {"drop": "after"}, True),
    "put not stored": ("PUT", "/storage/upload", {"status": 200}, True),
    "put never stored": ("PUT", "/storage/upload", {"status": 200, "times": 99}, False),
    "put 403": ("PUT", "/storage/upload", {"status": 403, "times": 99}, False),
    "verify 500": ("POST", "lfs/verify", {"status": 500}, True),
    "verify cut": ("POST", "lfs/verify", {"drop": "before"}, True),
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


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Two versions of every kind of folder."""
    root = tmp_path_factory.mktemp("versions")
    return {kind: (make(kind, root / kind / "1", 1), make(kind, root / kind / "2", 2)) for kind in KINDS}


@pytest.fixture(scope="module")
def calm(versions: dict[str, tuple[Path, Path]]) -> dict[str, dict[str, bytes]]:
    """The trees that the second versions make when nothing disturbs them."""
    trees = {}
    for kind, folders in versions.items():
        with HubServer() as server, pytest.MonkeyPatch.context() as patch:
            patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
            patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
            for folder in folders:
                publish(server, folder)
            trees[kind] = server.repo(REPO_TYPES[kind], NAME).files()
    return trees


# All kinds take the same way until the commit: for adapters and Spaces, what fails before it is left to the slow tier.
AFTER_FAULTS = [
    pytest.param(
        name, kind, marks=[] if kind == "dataset" or name.startswith(("commit", "tag", "put")) else [pytest.mark.slow]
    )
    for name in FAULTS
    for kind in KINDS
]


@pytest.mark.parametrize(("name", "kind"), AFTER_FAULTS)
def test_after_a_fault_the_tree_is_old_or_new_and_the_next_run_converges(
    hub: HubServer, versions: dict, calm: dict, client: list[float], name: str, kind: str
) -> None:
    old_folder, new_folder = versions[kind]
    new = calm[kind]
    method, path, how, ends_well = FAULTS[name]
    repo = hub.repo(REPO_TYPES[kind], NAME)
    publish(hub, old_folder, tag="v1")
    old = repo.files()
    assert old != new
    client.clear()
    fault = hub.fault(method, path, **how)
    if ends_well:
        publish(hub, new_folder, tag="v2")
        assert repo.files() == new and repo.refs["refs/tags/v2"] == repo.head
    else:
        line = refusal(hub, new_folder, tag="v2")
        tagging = "tag" in name
        assert repo.files() == (new if tagging else old)
        assert ("published as commit" in line) == tagging, line
    assert fault.fired >= 1, "the fault never struck"
    if re.search("commit 40[013]|tag 403", name):
        assert fault.fired == 1, "a refusal was tried again"
    assert sum(client) <= 60, "too long a wait"
    if "Retry-After" in name or "ratelimit" in name:
        assert max(client) >= 7
    hub.faults.clear()
    publish(hub, new_folder, tag="v2")
    assert repo.files() == new and repo.refs["refs/tags/v2"] == repo.head
    assert len(repo.commits()) == 3, "a duplicate commit"


CREATE_FAULTS = {
    "cut before": {"drop": "before"},
    "cut after": {"drop": "after"},
    "500": {"status": 500},
    "500 but made": {"status": 500, "applied": True},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CREATE_FAULTS)
def test_faults_while_the_repository_is_made(
    hub: HubServer, versions: dict[str, tuple[Path, Path]], kind: str, name: str
) -> None:
    fault = hub.fault("POST", "/api/repos/create", **CREATE_FAULTS[name])
    publish(hub, versions[kind][0], tag="v1")
    assert fault.fired == 1 and len(titles(hub, kind)) == 2


def test_somebody_else_makes_the_repository_first(hub: HubServer, tmp_path: Path) -> None:
    hub.fault("POST", "/api/repos/create", hook=lambda request: hub.create_repo("dataset", NAME, private=True))
    publish(hub, preferences(tmp_path / "a"))
    assert len(titles(hub, "dataset")) == 2


def test_the_repository_vanishes_before_the_commit(hub: HubServer, tmp_path: Path) -> None:
    folder = preferences(tmp_path / "a")
    hub.fault("POST", COMMIT, hook=lambda request: hub.repo("dataset", NAME).delete())
    assert "not found" in refusal(hub, folder)
    assert not hub.repo("dataset", NAME).exists
    publish(hub, folder)


@pytest.mark.parametrize("change", [{"private": True}, {"gated": "manual"}], ids=["private", "gated"])
def test_the_repository_is_closed_meanwhile(hub: HubServer, tmp_path: Path, change: dict) -> None:
    publish(hub, preferences(tmp_path / "a"), public=True)
    hub.fault("POST", COMMIT, hook=lambda request: hub.repo("dataset", NAME).set(**change))
    publish(hub, preferences(tmp_path / "b", rows=5))
    assert len(titles(hub, "dataset")) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_concurrent_commit_is_kept(hub: HubServer, tmp_path: Path, kind: str) -> None:
    repo = hub.repo(REPO_TYPES[kind], NAME)
    hub.fault("POST", COMMIT, times=2, hook=lambda request: repo.commit({f"notes{len(repo.commits())}.txt": b"kept"}))
    publish(hub, make(kind, tmp_path / "a", 1))
    assert titles(hub, kind)[0].startswith("Publish") and len(repo.commits()) == 4
    assert repo.read("notes1.txt") == repo.read("notes2.txt") == b"kept" and MANIFEST in repo.tree()


def edit_card(repo, words: str, **keys: object) -> None:
    """Edit a published card by hand: words below the generated part, keys in the front matter."""
    card = read_card(repo.read("README.md").decode(), "test")
    front = f"---\n{yaml.safe_dump({**card.data, **keys})}---\n" if keys else card.front
    text = f"{front}{card.before}{card.generated}{card.after}\n{words}\n"
    repo.commit({"README.md": text.encode()}, message="edited by hand")


@pytest.mark.parametrize("kind", KINDS)
def test_a_concurrent_edit_of_the_card_is_merged(hub: HubServer, tmp_path: Path, kind: str) -> None:
    repo = hub.repo(REPO_TYPES[kind], NAME)
    publish(hub, make(kind, tmp_path / "a", 1))
    hub.fault("POST", COMMIT, hook=lambda request: edit_card(repo, "## By hand", thumbnail="x.png"))
    second = make(kind, tmp_path / "b", 2)
    publish(hub, second)
    card = read_card(repo.read("README.md").decode(), "test")
    assert card.data["thumbnail"] == "x.png" and card.by_hand == "## By hand"
    assert titles(hub, kind)[:2] == [titles(hub, kind)[2], "edited by hand"]
    rendered = addressed(marked(read_card((second / "README.md").read_text(), "test")), NAME)
    assert card.generated == rendered.generated
    assert not publish(hub, second).changed


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_commits_right_after_our_lost_answer(hub: HubServer, tmp_path: Path, kind: str) -> None:
    """Ours was made and is found by its publish id; what came after is not overwritten."""
    repo = hub.repo(REPO_TYPES[kind], NAME)
    publish(hub, make(kind, tmp_path / "a", 1))
    hub.fault("POST", COMMIT, drop="after")
    # The look at the head after the lost answer.
    hub.fault("GET", "/revision/main", skip=1, hook=lambda request: repo.commit({"README.md": b"# Mine\n"}))
    done = publish(hub, make(kind, tmp_path / "b", 2), tag="v2")
    assert len(repo.commits()) == 4 and repo.read("README.md") == b"# Mine\n"
    assert done.commit == repo.commits()[1].id == repo.refs["refs/tags/v2"]


def test_a_token_revoked_between_upload_and_commit(hub: HubServer, tmp_path: Path) -> None:
    folder = preferences(tmp_path / "a")
    hub.fault("POST", "/preupload/", hook=lambda request: None)
    publish(hub, folder)
    before = hub.repo("dataset", NAME).files()
    hub.fault("POST", "lfs/verify", hook=lambda request: hub.accounts.revoke(hub.owner_token))
    assert "401" in refusal(hub, preferences(tmp_path / "b", rows=5))
    assert hub.repo("dataset", NAME).files() == before


def test_a_failing_part_of_a_large_file_is_sent_again(hub: HubServer, tmp_path: Path) -> None:
    hub.chunk_size = 100
    fault = hub.fault("PUT", "/storage/upload/.*/2", status=500)
    publish(hub, adapter(tmp_path / "adapter"))
    assert fault.fired == 1 and len(titles(hub, "adapter")) == 2


def test_preupload_failing_for_ever_ends_in_bounded_time(hub: HubServer, tmp_path: Path, client: list[float]) -> None:
    hub.fault("POST", "/preupload/", times=999, status=503)
    assert "503" in refusal(hub, preferences(tmp_path / "a"))
    assert sum(client) < 60 and len(titles(hub, "dataset")) == 1


def test_a_commit_that_does_not_hold_what_was_sent_is_reported(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from builders.publishing.repository import Repository

    whole = Repository.tree
    monkeypatch.setattr(
        Repository,
        "tree",
        lambda self, revision: {k: v for k, v in whole(self, revision).items() if k != "build.json"},
    )
    line = refusal(hub, preferences(tmp_path / "a"))
    assert "build.json" in line and "does not hold what was sent" in line


@pytest.mark.parametrize("same", [True, False], ids=["identical", "different"])
@pytest.mark.parametrize("kind", KINDS)
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

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(isinstance(result, Published) for result in done) and len(done) == 2, done
    repo = hub.repo(REPO_TYPES[kind], NAME)
    assert len(repo.commits()) == (3 if same else 4)
    for number, folder in enumerate(folders):
        for name in ("build.json", "training.json", "space.json"):
            if (folder / name).exists():
                assert repo.read(name, f"v{number}") == (folder / name).read_bytes()


def test_two_commands_at_once_from_nothing(hub: HubServer, tmp_path: Path) -> None:
    """Two processes make the repository, commit with xet on, and tag."""
    folders = [preferences(tmp_path / "1", rows=4), preferences(tmp_path / "2", rows=5)]
    done: dict[int, subprocess.CompletedProcess[str]] = {}

    def one(number: int) -> None:
        done[number] = command(hub, folders[number], "--repo_id", NAME, "--tag", f"v{number}", xet=True)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [done[n].returncode for n in range(2)] == [0, 0], [done[n].stderr for n in range(2)]
    repo = hub.repo("dataset", NAME)
    assert len(repo.commits()) == 3
    for number, rows in enumerate((4, 5)):
        assert json.loads(repo.read("build.json", f"v{number}"))["rows"]["preference"]["train"] == rows


# ------------------------------------------------------------------------------------------------- sudden death


def _killed_publish(hub: HubServer, folder: Path, method: str, path: str, skip: int = 0) -> None:
    """Publish in a process that is killed by SIGKILL when its request arrives."""
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", "builders", "publish", str(folder), "--repo_id", NAME, "--tag", "v2"],
            env=client_environment(hub, Path(home)),
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

        def kill(request: object) -> None:
            process.send_signal(signal.SIGKILL)
            process.wait()

        fault = hub.fault(method, path, skip=skip, hook=kill)
        assert process.wait(120) == -signal.SIGKILL and fault.fired == 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of more than 300 files."""
    with pytest.MonkeyPatch.context() as patch:
        return many_shards(tmp_path_factory.mktemp("large") / "dataset", patch)


@pytest.fixture(scope="module")
def calm_large(large: Path) -> dict[str, bytes]:
    """The tree that it makes when nothing disturbs its publish."""
    with HubServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        publish(server, large)
        return server.repo("dataset", NAME).files()


FIXED_MOMENTS = {
    "in the midst of the upload": ("PUT", "/storage/upload", 40),
    "before the commit": ("POST", COMMIT, 0),
    "before the tag": ("POST", "/tag/", 0),
}


@pytest.mark.parametrize("moment", FIXED_MOMENTS)
def test_killed_then_run_again(hub: HubServer, tmp_path: Path, large: Path, calm_large: dict, moment: str) -> None:
    publish(hub, preferences(tmp_path / "old"), tag="v1")
    repo = hub.repo("dataset", NAME)
    old = repo.files()
    method, path, skip = FIXED_MOMENTS[moment]
    _killed_publish(hub, large, method, path, skip)
    # The work of the request that was under way is done by the server all the same.
    time.sleep(0.3)
    made = len(repo.commits()) == 3
    assert made or repo.files() == old
    stored = len(hub.requests("PUT", "/storage/upload"))
    hub.log.clear()
    publish(hub, large, tag="v2")
    assert len(repo.commits()) == 3 and repo.refs["refs/tags/v2"] == repo.head
    again = len(hub.requests("PUT", "/storage/upload"))
    assert 0 < stored and stored + again <= 310 and (again == 0 or "upload" in moment), "files were uploaded twice"
    assert repo.files() == calm_large


@pytest.mark.slow
def test_killed_at_twenty_random_moments(large: Path, calm_large: dict) -> None:
    chance = random.Random(0)
    with HubServer() as undisturbed:
        publish(undisturbed, large, tag="v2")
        requests = len(undisturbed.log)
    for _ in range(20):
        with HubServer() as server:
            _killed_publish(server, large, "*", "", chance.randrange(requests))
            server.faults.clear()
            time.sleep(0.3)
            repo = server.repo("dataset", NAME)
            assert not repo.exists or repo.files() in ({}, calm_large)
            publish(server, large, tag="v2")
            assert repo.files() == calm_large and len(repo.commits()) == 2 and repo.refs["refs/tags/v2"] == repo.head


# ------------------------------------------------------------------------------------------------- the card


def test_hand_edits_survive_and_the_generated_part_is_replaced(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, adapter(tmp_path / "a", 1))
    repo = hub.repo("model", NAME)
    card = read_card(repo.read("README.md").decode(), "test")
    data = {**card.data, "tags": [*card.data["tags"], "mine"], "extra_gated_prompt": "Ask — nicely", "license": "mit"}
    edited = card.generated.replace("nDCG@10", "EDITED INSIDE")
    text = f"---\n{yaml.safe_dump(data, allow_unicode=True)}---\n\nAbove.\n\n{edited}\n\n## Below\n"
    repo.commit({"README.md": text.encode()})
    for step in (2, 2, 3):
        publish(hub, adapter(tmp_path / "a", step))
        card = read_card(repo.read("README.md").decode(), "test")
        assert card.before.strip() == "Above." and card.after.strip() == "## Below"
        assert f"nDCG@10 {0.5 + step / 100}" in card.generated and "EDITED" not in card.generated
        assert card.data["tags"] == ["lora", "mine"] and card.data["extra_gated_prompt"] == "Ask — nicely"
        assert card.data["license"] == "apache-2.0", "a key of the kit's own"
        assert card.data["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.5 + step / 100
    assert len(repo.commits()) == 5, "publishing the same twice made a commit"


def test_a_key_that_the_kit_no_longer_writes_goes(hub: HubServer, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    card = folder / "README.md"
    card.write_text(card.read_text().replace("license:", "datasets:\n- kit-owner/data\nlicense:"))
    publish(hub, folder)
    card.write_text(adapter_card(BASE, 0.5))
    publish(hub, folder)
    assert "datasets" not in read_card(hub.repo("model", NAME).read("README.md").decode(), "test").data


def test_words_of_the_folders_own_card_can_change(hub: HubServer, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    card = folder / "README.md"
    for words in ("First words.", "Other words."):
        card.write_text(adapter_card(BASE, 0.5) + f"\n{words}\n")
        publish(hub, folder)
        assert read_card(hub.repo("model", NAME).read("README.md").decode(), "test").by_hand == words


def test_a_card_that_was_there_before_the_kit_stays_below(hub: HubServer, tmp_path: Path) -> None:
    hub.create_repo("model", NAME).commit({"README.md": b"---\nthumbnail: a.png\n---\nMy own words.\n"})
    publish(hub, adapter(tmp_path / "a"))
    card = read_card(hub.repo("model", NAME).read("README.md").decode(), "test")
    assert card.data["thumbnail"] == "a.png" and card.by_hand == "My own words."
    assert not publish(hub, adapter(tmp_path / "a")).changed


@pytest.mark.parametrize(
    "broken",
    [
        "---\ntags: [a\n---\ntext\n",
        "---\n- a list\n---\ntext\n",
        "---\nlicense: mit\ntext without an end\n",
        "---\nlicense: mit\n---\ntext without marks\n",
        "---\nlicense: mit\n---\n<!-- generated: x -->\nthe closing mark is gone\n",
    ],
    ids=["yaml", "list", "unclosed", "no marks", "one mark"],
)
def test_a_card_broken_by_hand_is_one_line(hub: HubServer, tmp_path: Path, broken: str) -> None:
    publish(hub, adapter(tmp_path / "a", 1))
    repo = hub.repo("model", NAME)
    repo.commit({"README.md": broken.encode()})
    head = repo.head
    line = refusal(hub, adapter(tmp_path / "a", 2))
    assert "README.md" in line and "on the Hub" in line and repo.head == head


def test_merging_is_stable() -> None:
    rendered = read_card(adapter_card(BASE, 0.5), "a")
    published = read_card("---\nlicense: mit\nx: 1\ntags: mine\n---\nwords\n", "b")
    once = merge(rendered, published, None)
    assert str(merge(rendered, read_card(str(once), "c"), None)) == str(once)
    assert once.data["x"] == 1 and once.data["tags"] == ["lora", "mine"]


# ------------------------------------------------------------------------------------------------- bad input


def test_the_command_says_one_line_and_exits_with_2(hub: HubServer, tmp_path: Path) -> None:
    """The same refusals as below, through the command and its environment."""
    folder = preferences(tmp_path / "a")
    cases = [
        (["--repo_id", NAME], {"token": ""}, "no access token"),
        (["--repo_id", NAME], {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
        (["--repo_id", NAME], {"HF_ENDPOINT": "not an address"}, "HF_ENDPOINT"),
        (["--repo_id", NAME], {"token": "hf_" + "x" * 34}, "401"),
        (["--repo_id", NAME, "--tg", "v1"], {}, "--tg"),
    ]
    for arguments, environment, words in cases:
        done = command(hub, folder, *arguments, **environment)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.returncode == 2 and len(lines) == 1 and words in lines[0], done.stderr
        assert "Traceback" not in done.stderr and "hf_x" not in done.stderr
    assert not hub.repo("dataset", NAME).exists


def test_a_token_file_of_hf_auth_login(hub: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "hf"
    home.mkdir()
    (home / "token").write_text(hub.owner_token)
    folder = preferences(tmp_path / "a")
    done = command(hub, "--folder", folder, "--repo_id", NAME, token="", HF_HOME=str(home))
    assert done.returncode == 0 and hub.repo("dataset", NAME).exists, done.stderr


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


def test_a_read_only_token_on_an_existing_repository(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, preferences(tmp_path / "a"), public=True)
    head = hub.repo("dataset", NAME).head
    for token in (hub.read_token, hub.stranger_token):
        assert "403" in refusal(hub, preferences(tmp_path / "b", rows=5), token=token)
    assert hub.repo("dataset", NAME).head == head and not [e for e in hub.requests("PUT") if e.status == 403]


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
    repo = hub.repo(REPO_TYPES[kind], NAME)
    before = repo.refs
    assert "never moved" in refusal(hub, new, tag="v1") and repo.refs == before
    repo.tag("by-hand", repo.commits()[-1].id)
    assert "never moved" in refusal(hub, new, tag="by-hand") and repo.refs == {**before, **repo.refs}
    assert "--tag" in refusal(hub, new, tag="no tag!")
    publish(hub, new, tag="v2")
    # The old folder is still what v1 is: going back to it needs no new tag.
    publish(hub, old, tag="v1")
    assert repo.refs["refs/tags/v1"] == before["refs/tags/v1"]


def test_a_tag_that_fails_is_told_and_mended(hub: HubServer, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    hub.fault("POST", "/tag/", times=99, status=500)
    assert re.search(r"published as commit [0-9a-f]{40}, but not all is done", refusal(hub, folder, tag="v1"))
    hub.faults.clear()
    publish(hub, folder, tag="v1")
    assert len(titles(hub, "adapter")) == 2 and "refs/tags/v1" in hub.repo("model", NAME).refs


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
    "a card of another base": ("adapter", lambda f: _edit(f / "README.md", BASE, "other/base"), "adapter of"),
    "cut weights": ("adapter", lambda f: os.truncate(f / "adapter_model.safetensors", 90), "truncated"),
    "no training record": ("adapter", lambda f: _drop(f / "training.json"), "no finished"),
    "a Space without its app": ("space", lambda f: _drop(f / "app.py"), "app.py is missing"),
    "a Space of another sdk": ("space", lambda f: _edit(f / "README.md", "sdk: gradio", "sdk: docker"), "sdk"),
    "a card that the Hub refuses": (
        "space",
        lambda f: _edit(f / "README.md", "license: mit", "license: mine"),
        "refuse",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_folder_that_is_not_fit(hub: HubServer, tmp_path: Path, name: str) -> None:
    kind, spoil, words = UNFIT[name]
    folder = {"preferences": preferences, "adapter": adapter, "space": space}[kind](tmp_path / "folder")
    spoil(folder)
    assert words in refusal(hub, folder)
    assert not hub.store.repos, "something was created"


def test_a_server_that_is_down_or_no_hub(hub: HubServer, tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    folder = preferences(tmp_path / "a")
    for address, words in (
        ("http://127.0.0.1:9", "no answer"),
        (f"{hub.url}/nothing", ""),
        ("ftp://x", "HF_ENDPOINT"),
    ):
        with pytest.raises(KitError, match=words) as caught:
            publish_folder(folder, NAME, api=HfApi(address, hub.owner_token))
        assert "\n" not in str(caught.value)
    hub.unrouted.clear()


def test_a_slow_server_is_waited_for(hub: HubServer, tmp_path: Path) -> None:
    hub.fault("POST", COMMIT, delay=1.5)
    assert publish(hub, preferences(tmp_path / "a")).changed


# ------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_holds_a_token_stays_here(hub: HubServer, tmp_path: Path, kind: str) -> None:
    folder = make(kind, tmp_path / "a", 1)
    secret = "hf_" + "Ab1" * 11
    if kind == "dataset":
        from builders.publishing.folder import render_dataset

        record = {**build("preferences", 1), "command": f"python -m builders --token {secret}"}
        render_dataset(folder, {"preference": {"train": [preference_row(1)]}}, record, {})
    else:
        name = {"adapter": "tokenizer_config.json", "space": "app.py"}[kind]
        (folder / name).write_text(f"token = '{secret}'")
    line = refusal(hub, folder)
    assert "access token" in line and secret not in line and not hub.store.repos


def test_the_token_shows_nowhere(hub: HubServer, tmp_path: Path, capsys, caplog) -> None:
    """In no line, no message of a whole chain of exceptions, no file of the folder or the repository, and in no
    request to the storage; whatever goes wrong."""
    caplog.set_level("INFO")
    folder = preferences(tmp_path / "a")
    texts = []
    leaky = {"error": f"token {hub.owner_token} is bad"}
    faults = [("/preupload/", 400), (COMMIT, 401), (COMMIT, 403), (COMMIT, 500), ("/tag/", 403), ("/create", 403)]
    for number, (path, status) in enumerate(faults):
        hub.fault("POST", path, times=99, status=status, body=leaky, headers={"X-Error-Message": leaky["error"]})
        try:
            publish(hub, folder, f"kit-owner/x{number}", tag="v1", public=True)
        except KitError as error:
            texts.append(str(error))
        hub.faults.clear()
    assert len(texts) == len(faults)
    # The lowest level would show what this server put into its answers; here it shows all that the client sends.
    caplog.set_level("DEBUG")
    publish(hub, folder, public=True)
    texts += [*capsys.readouterr(), caplog.text]
    for type, name in hub.store.repos:
        for content in hub.repo(type, name).files().values():
            assert hub.owner_token.encode() not in content
    for text in texts:
        assert hub.owner_token not in text
    storage = hub.requests("*", "/storage/")
    assert storage and not [entry for entry in storage if entry.had_authorization]


def test_the_token_shows_nowhere_in_a_process(hub: HubServer, tmp_path: Path) -> None:
    hub.fault("POST", COMMIT, status=401)
    done = command(hub, preferences(tmp_path / "a"), "--repo_id", NAME, HF_DEBUG="", HF_HUB_VERBOSITY="debug")
    assert done.returncode == 2 and hub.owner_token not in done.stdout + done.stderr


# ------------------------------------------------------------------------------------------------- builders


def test_preferences_push_to_hub(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the folder is up to date; and the setting does not count as one of the dataset's."""
    from builders import preferences as stage

    calls = []
    monkeypatch.setattr("builders.publishing.hub.publish_folder", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(stage, "build_preferences", lambda args: Path(args.output_dir))
    arguments = ["--output_dir", str(tmp_path), "--expansions", "x", "--push_to_hub"]
    stage.main([*arguments, "--repo_id", NAME])
    assert calls == [(tmp_path, NAME)]
    with pytest.raises(KitError, match="--repo_id"):
        stage.main(arguments)
    assert {"push_to_hub", "repo_id"} <= set(stage.NOT_SETTINGS)


def test_expansions_push_to_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from builders import expansions as stage

    calls = []
    monkeypatch.setattr("builders.publishing.hub.publish_folder", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(stage, "build_expansions", lambda args: Path(args.output_dir))
    stage.main(["--output_dir", str(tmp_path), "--push_to_hub", "--repo_id", NAME])
    stage.main(["--output_dir", str(tmp_path)])
    assert calls == [(tmp_path, NAME)] and {"push_to_hub", "repo_id"} <= set(stage.NOT_SETTINGS)


# ------------------------------------------------------------------------------------------------- real adapters


TINY = """
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("with_xet", [False, True], ids=["lfs", "xet"])
def test_an_adapter_is_loaded_by_its_id_and_generates_the_same(hub: HubServer, tmp_path: Path, with_xet: bool) -> None:
    folder = adapter(tmp_path / "adapter")
    made = run_client(
        hub,
        TINY
        + """
config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4)
model = LlamaForCausalLM(config)
model.push_to_hub(base)
model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
model.peft_config["default"].base_model_name_or_path = base
model.save_pretrained(folder)
os.remove(folder + "/README.md")
ids = torch.arange(8)[None]
result["out"] = model.generate(input_ids=ids, do_sample=False, max_new_tokens=8, eos_token_id=-1).tolist()
""",
        base=BASE,
        folder=str(folder),
    )
    (folder / "README.md").write_text(adapter_card(BASE, 0.5))
    done = command(hub, folder, "--repo_id", NAME, "--tag", "v1", xet=with_xet)
    assert done.returncode == 0, done.stderr
    loaded = run_client(
        hub,
        TINY
        + """
ids = torch.arange(8)[None]
direct = AutoModelForCausalLM.from_pretrained(repo)  # A revision here would be asked of the base model too.
by_peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), repo, revision="v1")
for name, model in (("direct", direct), ("by_peft", by_peft)):
    result[name] = model.generate(input_ids=ids, do_sample=False, max_new_tokens=8, eos_token_id=-1).tolist()
""",
        xet=with_xet,
        base=BASE,
        repo=NAME,
    )
    assert loaded["direct"] == loaded["by_peft"] == made["out"]


@pytest.mark.parametrize("with_xet", [False, True], ids=["lfs", "xet"])
def test_a_space_starts_from_its_snapshot_alone(hub: HubServer, tmp_path: Path, with_xet: bool) -> None:
    done = command(hub, space(tmp_path / "space"), "--repo_id", NAME, "--public", xet=with_xet)
    assert done.returncode == 0, done.stderr
    result = run_client(
        hub,
        """
        import subprocess
        from huggingface_hub import snapshot_download
        folder = snapshot_download(repo, repo_type="space")
        result["said"] = subprocess.run([sys.executable, "app.py"], cwd=folder, capture_output=True, text=True).stdout
        """,
        token="",
        xet=with_xet,
        repo=NAME,
    )
    assert result["said"] == "started 1\n"

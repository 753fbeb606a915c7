"""What a publish leaves on the Hub: one commit with exactly the folder, on the branch, tag or proposal asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from builders.publishing.card_merge import read_card
from builders.publishing.manifest import MANIFEST
from builders.publishing.repository import Repository
from tests.hub_server import HubServer
from tests.support.publishing_client import KINDS, NAME, files_in, publish, refusal, repo, titles
from tests.support.rendered_folders import (
    adapter,
    build,
    expansions,
    make,
    preference_row,
    preferences,
    raw_row,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_goes_up_in_one_commit(hub: HubServer, tmp_path: Path, kind: str) -> None:
    folder = make(kind, tmp_path / "folder", 1)
    done = publish(hub, folder, tag="v1")
    there = repo(hub, kind)
    assert len(there.commits()) == 2 and done.commit == there.head == there.refs["refs/tags/v1"]
    sent, found = files_in(folder), there.files()
    manifest = json.loads(found.pop(MANIFEST))
    assert set(manifest["files"]) == set(sent) == set(found)
    rendered, published = sent.pop("README.md").decode(), found.pop("README.md").decode()
    if kind == "space":
        # Its template has no marks, so they are put around the text.
        front, _, text = rendered.rpartition("---\n")
        assert published.startswith(front) and text.strip() in published and "generated" in published
    else:
        # Rendered before it had a name, the card loads a folder of ours; published, it loads its repository.
        place = str(folder) if kind == "dataset" else "out/models/tiny"
        assert f'"{place}"' in rendered and published == rendered.replace(f'"{place}"', f'"{NAME}"')
    assert found == sent
    assert there.commits()[0].message == f"publish-id: {manifest['publish_id']}"


@pytest.mark.parametrize("kind", KINDS)
def test_publishing_twice_makes_one_commit(hub: HubServer, versions: dict, kind: str) -> None:
    folder = versions[kind][0]
    first = publish(hub, folder, tag="v1")
    hub.log.clear()
    second = publish(hub, folder, tag="v1")
    assert second.commit == first.commit and not second.changed
    assert len(titles(hub, kind)) == 2
    assert [entry.path for entry in hub.requests("POST")] == ["/api/validate-yaml"] and not hub.requests("PUT")


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_card_is_one_small_commit(hub: HubServer, tmp_path: Path, kind: str) -> None:
    folder = make(kind, tmp_path / "folder", 1)
    publish(hub, folder)
    before = repo(hub, kind).tree()
    card = folder / "README.md"
    card.write_text(f"{card.read_text()}\nOther words.\n")
    hub.log.clear()
    publish(hub, folder)
    after = repo(hub, kind).tree()
    assert {path for path in after if after[path] != before.get(path)} == {"README.md", MANIFEST}
    assert set(after) == set(before) and len(titles(hub, kind)) == 3
    assert not hub.requests("PUT") and not hub.requests("POST", "lfs")


def test_append_keeps_earlier_rows_and_history(hub: HubServer, tmp_path: Path) -> None:
    first = publish(hub, preferences(tmp_path / "a", rows=4), tag="v1")
    second = publish(hub, preferences(tmp_path / "b", rows=9), tag="v2")
    there = repo(hub, "dataset")
    assert [commit.id for commit in there.commits()][:2] == [second.commit, first.commit]
    assert there.refs["refs/tags/v1"] == first.commit and there.refs["refs/tags/v2"] == second.commit
    assert _rows(there, tmp_path, "v1") == [preference_row(n) for n in range(4)]
    assert _rows(there, tmp_path, "main") == [preference_row(n) for n in range(9)]


def _rows(there, tmp_path: Path, revision: str) -> list[dict]:
    import pyarrow.parquet as parquet

    path = tmp_path / f"{revision}.parquet"
    path.write_bytes(there.read("data/preference/train-00000-of-00001.parquet", revision))
    return parquet.read_table(path).to_pylist()


def test_vanished_shards_are_deleted_and_other_peoples_files_stay(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than 50 shards, then one."""
    with monkeypatch.context() as patch:
        patch.setattr("builders.artifacts.render.SHARD_BYTES", 1)
        publish(hub, preferences(tmp_path / "many", rows=51))
    there = repo(hub, "dataset")
    assert len([path for path in there.tree() if path.endswith(".parquet")]) == 52 and len(there.commits()) == 2
    there.commit({"notes.txt": b"by hand", "data/other/mine.parquet": b"PAR1"})
    publish(hub, preferences(tmp_path / "one", rows=51))
    shards = [path for path in there.tree() if path.startswith("data/preference")]
    assert shards == [f"data/preference/{split}-00000-of-00001.parquet" for split in ("train", "validation")]
    assert there.read("notes.txt") == b"by hand" and "data/other/mine.parquet" in there.tree()


def test_a_config_that_is_no_longer_there_goes(hub: HubServer, tmp_path: Path) -> None:
    """Its shards and its lines in the card; asked for, since it is all the rows of a config."""
    from builders.artifacts.render import render_dataset

    publish(hub, expansions(tmp_path / "two"))
    folder = tmp_path / "one"
    render_dataset(folder, {"raw": {"train": [raw_row(n) for n in range(4)]}}, build("expansions", 4), {})
    assert "config 'distillation' has 4 rows there and 0" in refusal(hub, folder)
    publish(hub, folder, allow_shrink=True)
    there = repo(hub, "dataset")
    assert [path for path in there.tree() if path.endswith("parquet")] == ["data/raw/train-00000-of-00001.parquet"]
    data = read_card(there.read("README.md").decode(), "test").data
    assert [config["config_name"] for config in data["configs"]] == ["raw"]
    assert "distillation" not in str(data["dataset_info"])


@pytest.mark.parametrize("kind", ["adapter", "space"])
def test_hundreds_of_small_files_and_an_empty_one(hub: HubServer, tmp_path: Path, kind: str) -> None:
    """More than one page of the tree, more than one question about uploads, one commit."""
    folder = make(kind, tmp_path / "folder", 1)
    (folder / "notes").mkdir()
    for number in range(300):
        (folder / "notes" / f"{number}.txt").write_bytes(b"%d" % number if number else b"")
    hub.page_size = 100
    publish(hub, folder)
    there = repo(hub, kind)
    assert {name for name in there.tree() if name.startswith("notes/")} == {f"notes/{n}.txt" for n in range(300)}
    assert there.read("notes/0.txt") == b"" and len(there.commits()) == 2
    assert len(hub.requests("POST", "/preupload/")) == 2 and hub.requests("GET", "cursor=")
    assert not publish(hub, folder).changed


def test_a_dataset_of_more_than_300_files_is_one_commit(large: Path, calm_large) -> None:
    """With xet on, which in other ways of uploading makes several."""
    assert len(calm_large.titles) == 2 and set(files_in(large)) == set(calm_large.tree) - {MANIFEST}
    assert len(calm_large.tree) > 302
    assert len([entry for entry in calm_large.log if entry.method == "POST" and "/commit/" in entry.path]) == 1
    assert any("/xet-write-token/" in entry.path for entry in calm_large.log)
    assert not any("/storage/upload" in entry.path for entry in calm_large.log)


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


@pytest.mark.parametrize("kind", KINDS)
def test_organisation_branch_and_public(hub: HubServer, versions: dict, kind: str) -> None:
    name = f"{hub.organisation}/thing"
    first, second = versions[kind]
    publish(hub, first, name, public=True)
    there = repo(hub, kind, name)
    assert not there.record.private and (kind != "space" or there.record.sdk == "gradio")
    publish(hub, second, name, revision="next/one", tag="v2")
    assert titles(hub, kind, name, "next/one") == [titles(hub, kind, name)[0]] * 2 + ["initial commit"]
    assert len(there.commits()) == 2 and there.refs["refs/tags/v2"] == there.refs["refs/heads/next/one"]
    # The branch is there now: a third publish goes on from it.
    publish(hub, first, name, revision="next/one")
    assert len(there.commits("next/one")) == 4 and there.files("next/one") == there.files()


@pytest.mark.parametrize("kind", KINDS)
def test_made_public_only_when_complete(hub: HubServer, versions: dict, kind: str) -> None:
    seen = []
    for path in ("/commit/", "/tag/", "/settings"):
        hub.fault("*", path, hook=lambda request: seen.append(repo(hub, kind).record.private))
    publish(hub, versions[kind][0], public=True, tag="v1")
    assert seen == [True, True, True] and not repo(hub, kind).record.private
    publish(hub, versions[kind][1])
    assert not repo(hub, kind).record.private, "publishing without --public hid a public repository"


def test_pull_request_is_opened_once(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, preferences(tmp_path / "a"))
    folder = preferences(tmp_path / "b", rows=5)
    first = publish(hub, folder, create_pr=True)
    assert first.url == f"{hub.url}/datasets/{NAME}/discussions/1"
    assert publish(hub, folder, create_pr=True).url == first.url
    hub.fault("POST", "/commit/", drop="after")
    third = publish(hub, preferences(tmp_path / "c", rows=6), create_pr=True)
    there = repo(hub, "dataset")
    assert third.url.endswith("/2") and len(there.record.discussions) == 2 and len(there.commits()) == 2
    assert json.loads(there.read("build.json", "refs/pr/2"))["rows"]["preference"]["train"] == 6


@pytest.mark.parametrize("kind", ["adapter", "space"])
def test_pull_requests_of_the_other_kinds(hub: HubServer, versions: dict, calm: dict, kind: str) -> None:
    publish(hub, versions[kind][0])
    old = repo(hub, kind).files()
    done = publish(hub, versions[kind][1], create_pr=True)
    assert done.url.endswith(f"{NAME}/discussions/1") and repo(hub, kind).files() == old
    assert repo(hub, kind).files("refs/pr/1") == calm[kind]


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


@pytest.mark.parametrize("kind", ["adapter", "space"])
def test_dry_runs_of_the_other_kinds(hub: HubServer, versions: dict, capsys, kind: str) -> None:
    publish(hub, versions[kind][0], dry_run=True)
    told = capsys.readouterr().err
    for name, content in files_in(versions[kind][0]).items():
        assert re.search(rf"write +[\d,]+  {re.escape(name)}$", told, re.M), (name, len(content))
    assert re.search(r"^  a new card, \d+ lines: .*README.md$", told, re.M) and not hub.store.repos
    assert {entry.method for entry in hub.log} == {"GET", "POST"} and len(hub.requests("POST")) == 1


def test_lists_of_pull_requests_end(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many pages are read and no more, with a line; a page without any is the last."""
    publish(hub, preferences(tmp_path / "a"))
    folders = [preferences(tmp_path / f"{rows}", rows=rows) for rows in (5, 6, 7)]
    for folder in folders:
        publish(hub, folder, create_pr=True)
    monkeypatch.setattr("builders.publishing.repository.PAGES", 2)
    hub.page_size = 1
    hub.log.clear()
    capsys.readouterr()
    assert publish(hub, folders[1], create_pr=True).url.endswith("/2")
    said = capsys.readouterr().err
    assert "has more than 2 pages of pull requests; only the newest were looked at" in said
    asked = [entry for entry in hub.requests("GET", "/discussions") if "p=" in entry.path]
    assert {entry.path.partition("p=")[2] for entry in asked} == {"0", "1"}
    there = Repository(HfApi(hub.url, hub.owner_token), NAME, "dataset")
    for page in ([], [{"num": 1, "status": "open"}]):  # For ever.
        hub.fault("GET", r"/discussions\?", times=99, body={"discussions": page, "count": 1000, "start": 0})
        assert there.proposals("no such id") == []
        hub.faults.clear()

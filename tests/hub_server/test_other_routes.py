"""Collections, Spaces, discussions, lists, cards, and the `hf` command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.hub_server.cards import validate
from tests.hub_server.fixtures import raw, run_client, run_command


def test_collections(hub: HubServer) -> None:
    hub.create_repo("dataset", "kit-owner/data")
    hub.create_repo("space", "kit-owner/demo", sdk="gradio")
    hub.create_repo("model", "kit-owner/hidden", private=True)
    result = run_client(
        hub,
        """
        c = api.create_collection("A kit: v1", namespace="kit-org", description="all of it")
        result["slug"], result["owner"] = c.slug, c.owner
        result["twice"] = name_of(api.create_collection, "A kit: v1", namespace="kit-org")[:2]
        result["exists_ok"] = api.create_collection("A kit: v1", namespace="kit-org", exists_ok=True).slug == c.slug
        for id, kind in (("kit-owner/data", "dataset"), ("kit-owner/demo", "space"), ("kit-owner/hidden", "model")):
            c = api.add_collection_item(c.slug, id, kind, note=kind + " note")
        result["item twice"] = name_of(api.add_collection_item, c.slug, "kit-owner/data", "dataset")[:2]
        result["missing"] = name_of(api.add_collection_item, c.slug, "kit-owner/none", "model")[:2]
        api.update_collection_item(c.slug, c.items[1].item_object_id, position=0, note="first")
        api.delete_collection_item(c.slug, c.items[0].item_object_id)
        result["no item"] = name_of(api.delete_collection_item, c.slug, c.items[0].item_object_id)[:2]
        new = api.update_collection_metadata(c.slug, title="Renamed", theme="pink")
        result["renamed"] = [new.slug, new.theme, api.get_collection(c.slug).title]
        result["items"] = [[i.item_id, i.item_type, i.position, i.note] for i in api.get_collection(new.slug).items]
        result["listed"] = [x.title for x in api.list_collections(owner="kit-org")]
        from huggingface_hub import HfApi
        nobody = HfApi(token=False)
        result["for all"] = [i.item_id for i in nobody.get_collection(new.slug).items]
        result["anonymous"] = name_of(nobody.delete_collection, new.slug)[:2]
        p = api.create_collection("Secret", private=True)
        result["private"] = name_of(nobody.get_collection, p.slug)[:2]
        api.delete_collection(p.slug)
        result["gone"] = name_of(api.get_collection, p.slug)[:2]
        """,
    )
    assert re.fullmatch("kit-org/a-kit-v1-[0-9a-f]{24}", result["slug"]) and result["exists_ok"]
    assert result["owner"] == {"name": "kit-org", "type": "org"}
    assert result["twice"] == result["item twice"] == ["HfHubHTTPError", 409]
    assert result["missing"] == ["RepositoryNotFoundError", 404]
    assert result["no item"] == result["private"] == result["gone"] == ["HfHubHTTPError", 404]
    slug, theme, title = result["renamed"]
    assert slug.startswith("kit-org/renamed-") and theme == "pink" and title == "Renamed"
    expected = [["kit-owner/demo", "space", 0, "first"], ["kit-owner/hidden", "model", 1, "model note"]]
    assert result["items"] == expected and result["listed"] == ["Renamed"]
    assert result["for all"] == ["kit-owner/demo"]
    assert result["anonymous"] == ["HfHubHTTPError", 401]


def test_spaces_and_discussions(hub: HubServer) -> None:
    result = run_client(
        hub,
        """
        id = "kit-owner/demo"
        api.create_repo(id, repo_type="space", space_sdk="gradio", space_variables=[{"key": "A", "value": "1"}])
        result["empty"] = api.get_space_runtime(id).stage
        api.upload_file(path_or_fileobj=b"import gradio", path_in_repo="app.py", repo_id=id, repo_type="space")
        api.add_space_secret(id, "TOKEN", "planted-secret", description="why")
        api.add_space_variable(id, "B", "2")
        result["variables"] = {k: v.value for k, v in api.delete_space_variable(id, "A").items()}
        result["secrets"] = {k: v.description for k, v in api.get_space_secrets(id).items()}
        runtime = api.request_space_hardware(id, "t4-small", sleep_time=60)
        result["runtime"] = [runtime.stage, runtime.hardware, runtime.sleep_time]
        result["paused"] = api.pause_space(id).stage
        result["restarted"] = api.restart_space(id).stage
        result["sdk"] = api.space_info(id).sdk
        result["bad sdk"] = name_of(api.create_repo, "kit-owner/s2", repo_type="space", space_sdk="static")[0]
        api.delete_space_secret(id, "TOKEN")

        api.create_repo("kit-owner/m")
        d = api.create_discussion("kit-owner/m", "A question", description="Is it so?")
        api.comment_discussion("kit-owner/m", d.num, "It is.")
        api.rename_discussion("kit-owner/m", d.num, "An answer")
        api.change_discussion_status("kit-owner/m", d.num, "closed", comment="done")
        d = api.get_discussion_details("kit-owner/m", d.num)
        result["discussion"] = [d.title, d.status, [e.type for e in d.events]]
        for path, base, pr in (("a.txt", b"1", b"2"),):
            api.upload_file(path_or_fileobj=base, path_in_repo=path, repo_id="kit-owner/m")
            p = api.create_pull_request("kit-owner/m", "A change")
            api.upload_file(path_or_fileobj=pr, path_in_repo=path, repo_id="kit-owner/m", revision=p.git_reference)
            api.upload_file(path_or_fileobj=b"3", path_in_repo=path, repo_id="kit-owner/m")
        result["draft"] = [p.status, name_of(api.merge_pull_request, "kit-owner/m", p.num)[:2]]
        api.change_discussion_status("kit-owner/m", p.num, "open")
        result["conflict"] = [api.get_discussion_details("kit-owner/m", p.num).conflicting_files,
                              name_of(api.merge_pull_request, "kit-owner/m", p.num)[:2]]
        result["list"] = [[x.num, x.is_pull_request, x.status] for x in api.get_repo_discussions("kit-owner/m")]
        """,
    )
    assert result.pop("list") == [[2, True, "open"], [1, False, "closed"]]
    assert result == {
        "empty": "NO_APP_FILE",
        "variables": {"B": "2"},
        "secrets": {"TOKEN": "why"},
        "runtime": ["RUNNING", "t4-small", 60],
        "paused": "PAUSED",
        "restarted": "RUNNING",
        "sdk": "gradio",
        "bad sdk": "ok",
        "discussion": ["An answer", "closed", ["comment", "comment", "title-change", "comment", "status-change"]],
        "draft": ["draft", ["BadRequestError", 400]],
        "conflict": [["a.txt"], ["HfHubHTTPError", 409]],
    }
    token = {"Authorization": f"Bearer {hub.owner_token}"}
    view = hub.repo("space", "kit-owner/demo")
    view.record.secrets["TOKEN"] = {"value": "planted-secret", "description": "", "updatedAt": "x"}
    for name in ("secrets", "variables", "runtime"):
        assert b"planted-secret" not in raw(hub, "GET", f"/api/spaces/kit-owner/demo/{name}", **token).content
    assert raw(hub, "GET", "/api/spaces/kit-owner/demo/secrets").status == 401


def test_pages_of_lists(hub: HubServer) -> None:
    """Lists longer than a page come whole: files, commits, repositories, discussions."""
    hub.page_size = 3
    view = hub.create_repo("model", "kit-owner/m")
    for n in range(4):
        view.commit({f"d{n}/{m}.txt": b"x" for m in range(4)}, message=f"commit {n}")
        hub.create_repo("dataset", f"kit-owner/data-{n}")
    result = run_client(
        hub,
        """
        result["files"] = len(api.list_repo_files("kit-owner/m"))
        result["tree"] = [x.path for x in api.list_repo_tree("kit-owner/m")]
        result["folder"] = [x.last_commit.title for x in api.list_repo_tree("kit-owner/m", "d1", expand=True)]
        result["no folder"] = name_of(list, api.list_repo_tree("kit-owner/m", "none"))[:2]
        result["commits"] = len(api.list_repo_commits("kit-owner/m"))
        result["datasets"] = [x.id for x in api.list_datasets(author="kit-owner")]
        for n in range(4):
            api.create_discussion("kit-owner/m", f"Question {n}")
        result["discussions"] = len(list(api.get_repo_discussions("kit-owner/m")))
        from huggingface_hub import snapshot_download
        folder = snapshot_download("kit-owner/m", allow_patterns="d*/1.txt", revision=api.repo_info("kit-owner/m").sha)
        result["snapshot"] = sorted(os.listdir(folder)), os.listdir(folder + "/d2")
        """,
    )
    assert result["files"] == 17 and result["commits"] == 5 and result["discussions"] == 4
    assert result["tree"] == [".gitattributes", "d0", "d1", "d2", "d3"]
    assert result["folder"] == ["commit 1"] * 4
    assert result["no folder"] == ["RemoteEntryNotFoundError", 404]
    assert result["datasets"] == [f"kit-owner/data-{n}" for n in range(4)]
    assert result["snapshot"] == [["d0", "d1", "d2", "d3"], ["1.txt"]]
    assert any("cursor=15" in entry.path for entry in hub.requests("GET", "/tree/"))


def test_validate_yaml(hub: HubServer) -> None:
    result = run_client(
        hub,
        """
        import warnings
        from huggingface_hub import ModelCard
        card = ModelCard("---\\nlicense: apache-2.0\\nbase_model: a/b\\n---\\n# Card\\n")
        result["good"] = name_of(card.validate, "model")
        result["bad"] = name_of(ModelCard("---\\nlicense: 3\\n---\\n").validate, "model")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            api.create_repo("kit-owner/m")
            api.upload_file(path_or_fileobj=b"# No metadata", path_in_repo="README.md", repo_id="kit-owner/m")
            result["warned"] = any("metadata" in str(w.message) for w in caught)
        result["pushed"] = name_of(card.push_to_hub, "kit-owner/m")[0]
        result["loaded"] = ModelCard.load("kit-owner/m").data.base_model
        """,
    )
    assert result["good"] == ["ok", "None"] and result["pushed"] == "ok" and result["loaded"] == "a/b"
    assert result["bad"][0] == "ValueError" and "license" in result["bad"][2] and result["warned"]
    assert not hub.requests("POST", "/api/validate-yaml")[0].had_authorization, "the card's own check sends no token"


@pytest.mark.parametrize(
    ("kind", "metadata", "complaint"),
    [
        ("model", "license: apache-2.0\nbase_model_relation: adapter\nlanguage: en", None),
        ("model", "a: [", "invalid"),
        ("model", "a: 1\na: 2", "duplicated"),
        ("model", "- a", "mapping"),
        ("model", "license: [mit, other]", None),
        ("model", "license: MIT", "license"),
        ("model", "license:", "license"),
        ("model", "base_model: /home/me/model", "base_model"),
        ("model", "base_model_relation: child", "base_model_relation"),
        ("model", "tags: one", "tags"),
        ("model", "language: [no]", "language"),
        ("model", "model-index: [{name: m, results: [{task: {type: t}}]}]", "dataset.type"),
        (
            "model",
            "model-index: [{name: m, results: [{task: {type: t}, dataset: {type: d, name: D},"
            " metrics: [{type: ndcg, value: 0.5}]}]}]",
            None,
        ),
        ("dataset", "configs: [{config_name: a, data_files: [{split: train, path: a/*}]}]", None),
        ("dataset", "configs: [{data_files: a}]", "config_name"),
        ("dataset", "configs: [{config_name: a}, {config_name: a}]", "twice"),
        ("dataset", "dataset_info: 3", "dataset_info"),
        ("space", "sdk: gradio\ncolorFrom: blue\nemoji: 🔎\ntitle: T", None),
        ("space", "title: T", "sdk"),
        ("space", "sdk: gradio\ncolorTo: beige", "colorTo"),
        ("space", "sdk: gradio\nemoji: ok", "emoji"),
        ("space", f"sdk: gradio\nshort_description: {'x' * 61}", "short_description"),
    ],
)
def test_card_rules(kind: str, metadata: str, complaint: str | None) -> None:
    errors, _ = validate(f"---\n{metadata}\n---\n# Card\n", kind)
    assert not errors if complaint is None else complaint in " ".join(errors), errors


def test_hf_command(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "w.bin").write_bytes(b"w" * 2000)
    (tmp_path / "folder" / "a.txt").write_text("a")

    def hf(*arguments: str, **options: str) -> str:
        done = run_command(hub, ["hf", *arguments], cwd=tmp_path, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "kit-owner" in hf("auth", "whoami")
    assert "kit-owner/by-hand" in hf("repos", "create", "kit-owner/by-hand", "--repo-type", "dataset")
    hf("upload", "kit-owner/by-hand", "folder", ".", "--repo-type", "dataset", "--commit-message", "by hand")
    hf("download", "kit-owner/by-hand", "--repo-type", "dataset", "--local-dir", "down")
    assert (tmp_path / "down" / "w.bin").read_bytes() == b"w" * 2000
    assert (tmp_path / "down" / "a.txt").read_text() == "a"
    assert hub.repo("dataset", "kit-owner/by-hand").commits()[0].title == "by hand"
    refused = run_command(hub, ["hf", "upload", "kit-owner/by-hand", "folder"], token=hub.stranger_token, cwd=tmp_path)
    assert refused.returncode != 0 and hub.stranger_token not in refused.stdout + refused.stderr

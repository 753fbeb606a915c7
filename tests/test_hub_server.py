"""The test Hub against the real clients, over real HTTP. What it cannot prove is in its README."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.hub_server.cards import validate
from tests.hub_server.fixtures import DEAD_PROXY, hub, run_client, run_command
from tests.hub_server.gitignore import is_ignored
from tests.hub_server.objects import Entry
from tests.hub_server.pull_requests import merge_trees


__all__ = ["hub"]

CARD = b"---\nlicense: mit\n---\n# A card\n"


def raw(hub: HubServer, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
    """One request by the standard library's client; the body is read already."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, names)
    response = connection.getresponse()
    response.content = response.read()
    connection.close()
    return response


# ---------------------------------------------------------------------------------------------- repositories


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_repository_round_trip(hub: HubServer, kind: str) -> None:
    """Create, commit, tag, branch, pull request, merge, copy, delete, move: every step through HfApi."""
    result = run_client(
        hub,
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
        t = {"repo_type": kind}
        id = "kit-owner/first"
        url = api.create_repo(id, space_sdk="gradio" if kind == "space" else None, private=True, **t)
        result["url"] = [str(url), url.repo_id, url.repo_type]
        sdk = "gradio" if kind == "space" else None
        result["create again"] = name_of(api.create_repo, id, space_sdk=sdk, **t)
        result["exist_ok"] = str(api.create_repo(id, space_sdk=sdk, exist_ok=True, **t)) == str(url)
        card = "---\\nlicense: mit\\nsdk: gradio\\ntags: [one]\\n---\\n# A card\\n"
        first = api.create_commit(id, [
            CommitOperationAdd("README.md", card.encode()),
            CommitOperationAdd("a/b/weights.bin", b"w" * 5000),
            CommitOperationAdd("a/empty.parquet", b""),
            CommitOperationAdd("a/x y#%.txt", "é".encode()),
        ], commit_message="first", commit_description="why", **t)
        result["commit"] = [first.oid, first.commit_url]
        api.create_tag(id, tag="v1", **t)
        result["tag again"] = name_of(api.create_tag, id, tag="v1", **t)
        api.create_tag(id, tag="v1", exist_ok=True, **t)
        api.create_branch(id, branch="dev/x", **t)
        result["branch again"] = name_of(api.create_branch, id, branch="dev/x", **t)
        api.upload_file(path_or_fileobj=b"on dev", path_in_repo="dev.txt", repo_id=id, revision="dev/x", **t)
        pr = api.create_commit(id, [CommitOperationAdd("pr.txt", b"proposed")], commit_message="a proposal",
                               create_pr=True, **t)
        result["pr"] = [pr.pr_url, pr.pr_num, pr.pr_revision]
        details = api.get_discussion_details(id, 1, **t)
        result["details"] = [details.status, details.title, details.conflicting_files, details.target_branch]
        result["diff"] = details.diff
        result["on pr"] = open(api.hf_hub_download(id, "pr.txt", revision="refs/pr/1", **t)).read()
        result["not on main"] = name_of(api.hf_hub_download, id, "pr.txt", **t)
        api.merge_pull_request(id, 1, **t)
        details = api.get_discussion_details(id, 1, **t)
        result["merged"] = [details.status, details.merge_commit_oid, api.repo_info(id, **t).sha]
        api.create_commit(id, [
            CommitOperationCopy("a/b/weights.bin", "copied.bin"),
            CommitOperationCopy("pr.txt", "copied.txt"),
            CommitOperationDelete("a/"),
        ], commit_message="copy and delete", **t)
        result["delete absent"] = name_of(api.delete_file, "absent.txt", id, **t)
        result["files"] = api.list_repo_files(id, **t)
        result["files v1"] = api.list_repo_files(id, revision="v1", **t)
        result["files dev"] = api.list_repo_files(id, revision="dev/x", **t)
        refs = api.list_repo_refs(id, include_pull_requests=True, **t)
        result["refs"] = [[ref.ref for ref in group] for group in (refs.branches, refs.tags, refs.pull_requests)]
        commits = api.list_repo_commits(id, **t)
        result["commits"] = [[c.title, c.message, c.authors] for c in commits]
        info = api.repo_info(id, files_metadata=True, **t)
        result["info"] = [info.private, info.author, info.card_data.license, "one" in info.tags]
        result["sizes"] = {s.rfilename: [s.size, s.lfs.sha256 if s.lfs else s.blob_id] for s in info.siblings}
        paths = api.get_paths_info(id, ["copied.bin", "nothing", "README.md"], expand=True, **t)
        result["paths"] = [[p.path, p.size, p.last_commit.title] for p in paths]
        result["short revision"] = api.repo_info(id, revision=first.oid[:7], **t).sha
        result["no revision"] = name_of(api.repo_info, id, revision="nowhere", **t)
        result["odd name"] = open(api.hf_hub_download(id, "a/x y#%.txt", revision="v1", **t)).read()
        result["empty"] = os.path.getsize(api.hf_hub_download(id, "a/empty.parquet", revision="v1", **t))
        api.delete_tag(id, tag="v1", **t)
        api.delete_branch(id, branch="dev/x", **t)
        result["delete main"] = name_of(api.delete_branch, id, branch="main", **t)
        result["no tag"] = name_of(api.delete_tag, id, tag="v1", **t)
        api.update_repo_settings(id, visibility="public", gated="auto", **t)
        info = api.repo_info(id, **t)
        result["settings"] = [info.private, getattr(info, "gated", "auto")]
        api.move_repo(id, "kit-org/second", **t)
        result["exists"] = [api.repo_exists(i, **t) for i in (id, "kit-org/second")]
        lister = {"model": api.list_models, "dataset": api.list_datasets, "space": api.list_spaces}[kind]
        result["list"] = [[r.id for r in lister(author="kit-org")], [r.id for r in lister(search="SECO")],
                          [r.id for r in lister(author="kit-owner")]]
        api.delete_repo("kit-org/second", **t)
        result["gone"] = name_of(api.delete_repo, "kit-org/second", **t)
        """,
        kind=kind,
    )
    prefix = {"model": "", "dataset": "datasets/", "space": "spaces/"}[kind]
    assert result["url"] == [f"{hub.url}/{prefix}kit-owner/first", "kit-owner/first", kind]
    assert result["create again"][:2] == ["HfHubHTTPError", 409] and result["exist_ok"]
    oid, url = result["commit"]
    assert re.fullmatch("[0-9a-f]{40}", oid) and url == f"{hub.url}/{prefix}kit-owner/first/commit/{oid}"
    assert result["tag again"][:2] == result["branch again"][:2] == ["HfHubHTTPError", 409]
    assert result["pr"] == [f"{hub.url}/{prefix}kit-owner/first/discussions/1", 1, "refs/pr/1"]
    assert result["details"] == ["open", "a proposal", [], "refs/heads/main"]
    assert "+proposed" in result["diff"] and result["on pr"] == "proposed"
    assert result["not on main"][0] == "RemoteEntryNotFoundError"
    status, merge_commit, head = result["merged"]
    assert status == "merged" and merge_commit == head
    assert result["delete absent"][:2] == ["RemoteEntryNotFoundError", 404]
    assert result["files"] == [".gitattributes", "README.md", "copied.bin", "copied.txt", "pr.txt"]
    first = [".gitattributes", "README.md", "a/b/weights.bin", "a/empty.parquet", "a/x y#%.txt"]
    assert result["files v1"] == first and result["files dev"] == [*first, "dev.txt"]
    assert result["refs"] == [["refs/heads/main", "refs/heads/dev/x"], ["refs/tags/v1"], ["refs/pr/1"]]
    titles = [title for title, _, _ in result["commits"]]
    assert titles == ["copy and delete", "a proposal (#1)", "first", "initial commit"]
    assert result["commits"][2] == ["first", "why", ["kit-owner"]]
    assert result["info"] == [True, "kit-owner", "mit", True]
    assert result["sizes"]["copied.bin"] == [5000, Entry.regular(b"w" * 5000).sha256]
    assert result["sizes"]["pr.txt"] == [8, Entry.regular(b"proposed").oid]
    assert result["paths"] == [["copied.bin", 5000, "copy and delete"], ["README.md", 54, "first"]]
    assert result["short revision"] == oid
    assert result["no revision"][:2] == ["RevisionNotFoundError", 404]
    assert result["odd name"] == "é" and result["empty"] == 0
    assert result["delete main"][:2] == ["HfHubHTTPError", 403]
    assert result["no tag"][:2] == ["RevisionNotFoundError", 404]
    assert result["settings"] == [False, "auto"]
    assert result["exists"] == [False, True]
    assert result["list"] == [["kit-org/second"], ["kit-org/second"], []]
    assert result["gone"][:2] == ["RepositoryNotFoundError", 404]


def test_commit_rules(hub: HubServer) -> None:
    """A stale parent is refused, publishing again commits nothing, a bad commit changes nothing."""
    hub.create_repo("dataset", "kit-owner/data").commit({"README.md": CARD})
    view = hub.repo("dataset", "kit-owner/data")
    stale = view.head
    view.commit({"other.txt": b"by somebody else"})
    head, log_start = view.head, len(hub.log)
    result = run_client(
        hub,
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        def commit(files, **kwargs):
            ops = [CommitOperationAdd(path, content) for path, content in files.items()]
            return api.create_commit("kit-owner/data", ops, commit_message="c", repo_type="dataset", **kwargs)
        result["stale"] = name_of(commit, {"a.txt": b"a"}, parent_commit=stale)
        result["stale PR"] = commit({"p.txt": b"p"}, parent_commit=stale, create_pr=True).pr_num
        result["path"] = name_of(commit, {"other.txt/below": b"a"})
        result["card"] = name_of(commit, {"README.md": b"---\\nlicense: [no, such]\\n---\\n"})
        result["branch"] = name_of(commit, {"a.txt": b"a"}, revision="nowhere")
        result["on a tag"] = name_of(commit, {"a.txt": b"a"}, revision=stale)
        result["before"] = api.repo_info("kit-owner/data", repo_type="dataset").sha
        files = {"a.txt": b"a", "b.parquet": b"b" * 1000, ".gitignore": b"*.tmp\\n", "e.txt": b""}
        result["good"] = commit(files, parent_commit=head[:8]).oid
        result["again"] = commit(files).oid
        result["ignored"] = commit({"x.tmp": b"x", "y.txt": b"y"}).oid
        """,
        stale=stale,
        head=head,
    )
    assert result["stale"][:2] == ["HfHubHTTPError", 412]
    assert result["path"][:2] == ["BadRequestError", 400]
    assert result["card"][0] == "ValueError" and '"license"' in result["card"][2]
    assert result["branch"][:2] == result["on a tag"][:2] == ["RevisionNotFoundError", 404]
    assert result["before"] == head
    assert result["again"] == result["good"] != head
    assert result["ignored"] == view.head
    assert [commit.parents for commit in view.commits()][:2] == [[result["good"]], [head]]
    assert set(view.tree()) == {"README.md", "other.txt", "a.txt", "b.parquet", ".gitignore", "e.txt", "y.txt"}
    # The pull request starts from the commit that it names.
    assert set(view.tree("refs/pr/1")) == {"README.md", "p.txt"} and result["stale PR"] == 1
    assert [entry.status for entry in hub.log[log_start:] if "/commit/main" in entry.path].count(412) == 1


def test_server_refuses_what_the_hub_refuses(hub: HubServer) -> None:
    """Requests that no well-behaved client makes."""
    view = hub.create_repo("model", "kit-owner/m")
    head = view.head
    token = {"Authorization": f"Bearer {hub.owner_token}"}

    def commit(*lines: object, content_type: str = "application/x-ndjson") -> tuple[int, str]:
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        answer = raw(hub, "POST", "/api/models/kit-owner/m/commit/main", body, Content_Type=content_type, **token)
        return answer.status, answer.content.decode()

    header = {"key": "header", "value": {"summary": "s"}}
    lfs = {"path": "w.bin", "algo": "sha256", "oid": "0" * 64, "size": 3}
    good = {"key": "file", "value": {"path": "a.txt", "content": "YQ==", "encoding": "base64"}}
    assert commit(header, good, {"key": "lfsFile", "value": lfs})[0] == 400
    assert commit(header, good, {"key": "file", "value": {"path": "../up", "content": "x"}})[0] == 400
    assert (
        commit(header, good, {"key": "file", "value": {"path": "b", "content": "!", "encoding": "base64"}})[0] == 400
    )
    assert commit(header, good, {"key": "rename", "value": {"path": "b"}})[0] == 400
    assert commit(good)[0] == 400
    assert commit(header, good, content_type="application/json")[0] == 400
    status, body = commit(header, good, {"key": "deletedFile", "value": {"path": "absent"}})
    assert status == 404 and json.loads(body)["error"].startswith("A file with this name doesn't exist")
    card = {"path": "README.md", "content": "---\nlicense: nonsense\n---\n", "encoding": "utf-8"}
    status, body = commit(header, {"key": "file", "value": card})
    assert status == 400 and "license" in body
    assert view.head == head

    files = [{"path": f"{n}.txt", "size": 1, "sample": ""} for n in range(257)]
    payload = json.dumps({"files": files}).encode()
    assert raw(hub, "POST", "/api/models/kit-owner/m/preupload/main", payload, **token).status == 400
    for name in ("a--b", "a..b", ".a", "a.git", "x" * 97, "a b"):
        payload = json.dumps({"name": name}).encode()
        assert raw(hub, "POST", "/api/repos/create", payload, **token).status == 400, name
    payload = json.dumps({"name": "s", "type": "space", "sdk": "flask"}).encode()
    assert raw(hub, "POST", "/api/repos/create", payload, **token).status == 400
    for tag in ("a b", "refs/heads/x", "a..b", ""):
        payload = json.dumps({"tag": tag}).encode()
        assert raw(hub, "POST", "/api/models/kit-owner/m/tag/main", payload, **token).status == 400, tag


# ---------------------------------------------------------------------------------------------- large files


def test_lfs_basic_and_multipart(hub: HubServer) -> None:
    """Large files by LFS: in one piece and in parts, stored once, never with the token."""
    hub.chunk_size = 50_000
    result = run_client(
        hub,
        """
        from huggingface_hub import CommitOperationAdd
        api.create_repo("kit-owner/m")
        api.create_repo("kit-owner/other")
        small, big = b"s" * 40_000, bytes(range(256)) * 1000
        def commit(id, **files):
            ops = [CommitOperationAdd(name + ".bin", content) for name, content in files.items()]
            return api.create_commit(id, ops, commit_message="c").oid
        commit("kit-owner/m", small=small, big=big)
        commit("kit-owner/m", renamed=big)
        commit("kit-owner/other", big=big)
        path = api.hf_hub_download("kit-owner/m", "renamed.bin")
        result["same"] = open(path, "rb").read() == big
        from huggingface_hub import HfFileSystem
        with HfFileSystem().open("kit-owner/m/big.bin", block_size=1000) as file:
            file.seek(70_001)
            result["range"] = file.read(5).hex()
        local = api.snapshot_download("kit-owner/m", local_dir="local")
        result["mismatches"] = len(api.verify_repo_checksums("kit-owner/m", local_dir=local).mismatches)
        """,
    )
    content = bytes(range(256)) * 1000
    assert result == {"same": True, "range": content[70_001:70_006].hex(), "mismatches": 0}
    assert hub.repo("model", "kit-owner/m").read("renamed.bin") == content
    puts = hub.requests("PUT", "/storage/upload/")
    # One small file, six parts, and six more for the other repository: objects belong to one repository.
    assert len(puts) == 13 and not any(entry.had_authorization for entry in puts)
    assert len(hub.requests("POST", "/lfs/complete/")) == 2
    blobs = hub.requests("GET", "/storage/blob/")
    assert blobs and not any(entry.had_authorization for entry in blobs)
    assert {entry.status for entry in blobs} <= {200, 206} and 206 in {entry.status for entry in blobs}


def test_storage_checks_bytes_signatures_and_tokens(hub: HubServer) -> None:
    hub.create_repo("model", "kit-owner/m").commit({"w.bin": b"w" * 100})
    token = {"Authorization": f"Bearer {hub.owner_token}"}
    content = b"new" * 10
    oid = Entry.regular(content).sha256
    accept = {"Accept": "application/vnd.git-lfs+json"}
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": 30}], "ref": {"name": "main"}}
    path = "/kit-owner/m.git/info/lfs/objects/batch"
    answer = raw(hub, "POST", path, json.dumps(batch).encode(), **token, **accept)
    actions = json.loads(answer.content)["objects"][0]["actions"]
    verify = json.dumps({"oid": oid, "size": 30}).encode()
    assert raw(hub, "POST", "/kit-owner/m.git/info/lfs/verify", verify, **token).status == 404
    upload = actions["upload"]["href"].split(str(hub.port))[1]
    assert actions["upload"]["href"].startswith(f"http://localhost:{hub.port}/storage/")
    assert raw(hub, "PUT", upload, content, **token).status == 400
    assert raw(hub, "PUT", upload, content + b"!").status == 400
    assert raw(hub, "PUT", upload + "x", content).status == 403
    assert oid not in hub.store.objects
    assert raw(hub, "PUT", upload, content).status == 200
    assert raw(hub, "POST", "/kit-owner/m.git/info/lfs/verify", verify, **token).status == 200
    wrong = json.dumps({"oid": oid, "size": 31}).encode()
    assert raw(hub, "POST", "/kit-owner/m.git/info/lfs/verify", wrong, **token).status == 404
    answer = raw(hub, "POST", path, json.dumps(batch).encode(), **token, **accept)
    assert "actions" not in json.loads(answer.content)["objects"][0]

    found = raw(hub, "HEAD", "/kit-owner/m/resolve/main/w.bin")
    location = found.getheader("Location")
    assert found.status == 302 and location.startswith(f"http://localhost:{hub.port}/storage/blob/")
    assert found.getheader("X-Linked-Size") == "100" and found.getheader("X-Repo-Commit")
    blob = location.split(str(hub.port))[1]
    assert raw(hub, "GET", blob).content == b"w" * 100
    assert raw(hub, "GET", blob, **token).status == 400
    assert raw(hub, "GET", blob[:-1] + ("0" if blob[-1] != "0" else "1")).status == 403
    assert raw(hub, "GET", re.sub(r"Expires=\d+", "Expires=9999999999", blob)).status == 403


def test_xet_round_trip_of_302_files_is_one_commit(hub: HubServer) -> None:
    """With xet on, `create_commit` is one commit whatever the number of files, and plain clients can read it."""
    pytest.importorskip("hf_xet", reason="xet storage needs hf_xet")
    result = run_client(
        hub,
        """
        from huggingface_hub import CommitOperationAdd
        import numpy as np
        api.create_repo("kit-owner/data", repo_type="dataset")
        noise = np.random.default_rng(0).bytes(300_000)
        files = {f"data/{n:03}.parquet": b"%d-" % n + noise[:500 + n] for n in range(300)}
        files |= {"noise.bin": noise, "README.md": b"---\\nlicense: mit\\n---\\n"}
        ops = [CommitOperationAdd(path, content) for path, content in files.items()]
        result["oid"] = api.create_commit("kit-owner/data", ops, commit_message="all", repo_type="dataset").oid
        ops = [CommitOperationAdd(path, content) for path, content in files.items()]
        result["again"] = api.create_commit("kit-owner/data", ops, commit_message="all", repo_type="dataset").oid
        for path in ("noise.bin", "data/007.parquet"):
            local = api.hf_hub_download("kit-owner/data", path, repo_type="dataset")
            result[path] = open(local, "rb").read() == files[path]
        """,
        xet=True,
    )
    view = hub.repo("dataset", "kit-owner/data")
    assert result.pop("oid") == result.pop("again") == view.head
    assert result == {"noise.bin": True, "data/007.parquet": True}
    assert len(view.commits()) == 2 and len(view.tree()) == 302
    assert len(hub.requests("POST", "/preupload/")) == 4, "302 files are asked about in pieces of 256"
    assert hub.requests("GET", "/xet-write-token/") and hub.requests("GET", "/xet-read-token/")
    assert not hub.requests(path="/storage/") and not hub.requests(path="/info/lfs/"), "all bytes went by xet"
    plain = run_client(
        hub,
        """
        folder = api.snapshot_download("kit-owner/data", repo_type="dataset")
        result["files"] = sum(len(names) for _, _, names in os.walk(folder))
        result["noise"] = open(folder + "/noise.bin", "rb").read().hex()[:20]
        """,
    )
    assert plain == {"files": 303, "noise": view.read("noise.bin").hex()[:20]}
    assert hub.requests("GET", "/storage/blob/")


# ---------------------------------------------------------------------------------------------- datasets

PUSH = """
from datasets import Dataset, DatasetDict, load_dataset, get_dataset_config_names
id = "kit-owner/pairs"
def rows(n, seed):
    return [{"query": f"q{seed}-{i}", "score": i / 7, "docs": [str(i)] * (i % 3)} for i in range(n)]
first = DatasetDict(train=Dataset.from_list(rows(30, 1)), test=Dataset.from_list(rows(5, 2)))
second = DatasetDict(train=Dataset.from_list(rows(12, 3)))
first.push_to_hub(id, config_name="first", private=True)
info = second.push_to_hub(id, config_name="second", num_shards={"train": 4})
api.create_tag(id, tag="v1", repo_type="dataset")
second.push_to_hub(id, config_name="second", num_shards={"train": 2})
Dataset.from_list(rows(3, 4)).push_to_hub(id, config_name="dev", revision="dev")
pr = Dataset.from_list(rows(2, 5)).push_to_hub(id, config_name="third", create_pr=True)
result["configs"] = get_dataset_config_names(id)
result["pr"] = pr.pr_revision
loaded = load_dataset(id, "first")
result["first"] = {split: loaded[split].to_list() == first[split].to_list() for split in loaded}
result["stream"] = list(load_dataset(id, "second", split="train", streaming=True)) == second["train"].to_list()
result["tag"] = load_dataset(id, "second", split="train", revision="v1").to_list() == second["train"].to_list()
result["dev"] = load_dataset(id, "dev", split="train", revision="dev").num_rows
result["from pr"] = load_dataset(id, "third", split="train", revision=pr.pr_revision).num_rows
result["hf"] = load_dataset("parquet", data_files="hf://datasets/kit-owner/pairs@v1/second/*.parquet")["train"].num_rows
"""


@pytest.mark.parametrize("xet", [False, True], ids=["xet off", "xet on"])
def test_datasets_push_and_load(hub: HubServer, xet: bool) -> None:
    if xet:
        pytest.importorskip("hf_xet", reason="xet storage needs hf_xet")
    result = run_client(hub, PUSH, xet=xet)
    assert result == {
        "configs": ["first", "second"],
        "pr": "refs/pr/1",
        "first": {"train": True, "test": True},
        "stream": True,
        "tag": True,
        "dev": 3,
        "from pr": 2,
        "hf": 12,
    }
    view = hub.repo("dataset", "kit-owner/pairs")
    assert view.record.private
    assert [path for path in view.tree() if path.startswith("second/")] == [
        "second/train-00000-of-00002.parquet",
        "second/train-00001-of-00002.parquet",
    ]
    assert len([path for path in view.tree("v1") if path.startswith("second/")]) == 4
    assert bool(hub.requests(path="/info/lfs/")) is not xet


# ---------------------------------------------------------------------------------------------- permissions


def test_tokens_and_visibility(hub: HubServer) -> None:
    """Who may do what, and which exception class the client makes of the answer."""
    hub.create_repo("model", "kit-owner/public").commit({"a.txt": b"a"})
    hub.create_repo("model", "kit-owner/private", private=True).commit({"a.txt": b"a"})
    gated = hub.create_repo("dataset", "kit-owner/gated")
    gated.commit({"a.txt": b"a"})
    gated.set(gated="manual")
    hub.create_repo("model", "kit-watched/theirs", private=True).commit({"a.txt": b"a"})
    script = """
        from huggingface_hub import CommitOperationAdd
        def upload(id, **kwargs):
            return api.create_commit(id, [CommitOperationAdd("n.txt", b"n")], commit_message="c", **kwargs).oid
        def get(id, **kwargs):
            try:
                return open(api.hf_hub_download(id, "a.txt", force_download=True, **kwargs)).read()
            except ValueError as error:
                raise error.__cause__
        result["whoami"] = name_of(api.whoami)
        result["public"] = name_of(api.repo_info, "kit-owner/public")
        result["private"] = name_of(api.repo_info, "kit-owner/private")
        result["missing"] = name_of(api.repo_info, "kit-owner/missing")
        result["gated info"] = name_of(api.dataset_info, "kit-owner/gated")
        result["gated check"] = name_of(api.auth_check, "kit-owner/gated", repo_type="dataset")
        result["gated file"] = name_of(get, "kit-owner/gated", repo_type="dataset")
        result["private file"] = name_of(get, "kit-owner/private")
        result["upload"] = name_of(upload, "kit-owner/public")
        result["upload private"] = name_of(upload, "kit-owner/private")
        result["proposal"] = name_of(upload, "kit-owner/public", create_pr=True)
        result["tag"] = name_of(api.create_tag, "kit-owner/public", tag="t")
        result["delete"] = name_of(api.delete_repo, "kit-owner/public")
        result["create"] = name_of(api.create_repo, "kit-owner/new-" + who)
        result["create if missing"] = name_of(api.create_repo, "kit-owner/public", exist_ok=True)
        result["create org"] = name_of(api.create_repo, "kit-org/new-" + who)
        result["create watched"] = name_of(api.create_repo, "kit-watched/new")
        result["watched"] = name_of(api.repo_info, "kit-watched/theirs")
        result["watched upload"] = name_of(upload, "kit-watched/theirs")
        result["settings"] = name_of(api.update_repo_settings, "kit-owner/public", private=True)
        """
    classes = {}
    for who, token in {
        "owner": hub.owner_token,
        "reader": hub.read_token,
        "stranger": hub.stranger_token,
        "anonymous": "",
        "forged": "hf_nobodyknowsthistoken",
    }.items():
        steps = script
        if who == "owner":
            # What would change the scene for the others is left out.
            steps = re.sub(r".*result\[.(delete|settings|upload|upload private|tag).\].*\n", "", script)
        result = run_client(hub, steps, token=token, who=who)
        classes[who] = {step: tuple(answer[:2]) if answer[0] != "ok" else "ok" for step, answer in result.items()}
        assert all(value not in json.dumps(result) for value in (hub.owner_token, hub.read_token, hub.stranger_token))

    denied, hidden = ("HfHubHTTPError", 403), ("RepositoryNotFoundError", 404)
    refused = {"missing": hidden, "create watched": denied, "watched upload": denied}
    assert {step: answer for step, answer in classes["owner"].items() if answer != "ok"} == refused

    reader = classes["reader"]
    readable = {"whoami", "public", "private", "gated info", "gated check", "gated file", "private file", "watched"}
    # With `exist_ok` a refused creation of a repository that exists is fine.
    assert {step for step, answer in reader.items() if answer == "ok"} == readable | {"create if missing"}
    assert reader.pop("missing") == hidden
    assert {answer for answer in reader.values() if answer != "ok"} == {denied}

    stranger = classes["stranger"]
    assert {step for step, answer in stranger.items() if answer == "ok"} == {
        "whoami",
        "public",
        "gated info",
        "proposal",
        "create if missing",
    }
    for step in ("private", "missing", "private file", "upload private", "watched", "watched upload"):
        assert stranger[step] == hidden, step
    assert stranger["gated check"] == stranger["gated file"] == ("GatedRepoError", 403)
    for step in ("upload", "tag", "delete", "create", "create org", "settings"):
        assert stranger[step] == denied, step

    anonymous = classes["anonymous"]
    assert {step for step, answer in anonymous.items() if answer == "ok"} == {
        "public",
        "gated info",
        "create if missing",
    }
    assert anonymous["private"] == anonymous["missing"] == ("RepositoryNotFoundError", 401)
    assert anonymous["gated file"] == ("GatedRepoError", 401)
    assert anonymous["upload"] == anonymous["create"] == ("HfHubHTTPError", 401)
    assert {answer[-1] for answer in classes["forged"].values()} == {401}

    view = hub.repo("model", "kit-owner/public")
    assert len(view.commits()) == 2 and set(view.refs) == {"refs/heads/main", "refs/pr/1", "refs/pr/2"}
    hub.accounts.revoke(hub.stranger_token)
    assert raw(hub, "GET", "/api/whoami-v2", Authorization=f"Bearer {hub.stranger_token}").status == 401


# ---------------------------------------------------------------------------------------------- faults

BARE_CLIENT = """
from huggingface_hub import CommitOperationAdd
def commit(id, files=None, **kwargs):
    files = files or {"a.txt": b"a", "w.bin": b"w" * 20_000}
    ops = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api.create_commit(id, ops, commit_message="c", **kwargs).oid
for name in names:
    api.create_repo("kit-owner/" + name)
for name in names:
    result[name] = name_of(commit, "kit-owner/" + name)[:2]
    result[name + " again"] = name_of(commit, "kit-owner/" + name)[:2]
"""


def test_faults_of_a_commit(hub: HubServer) -> None:
    """The commit request is never retried: whether it was applied is for the caller to find out."""
    statuses = {"s503": 503, "s429": 429, "s409": 409, "s401": 401, "s500": 500}
    for name, status in statuses.items():
        hub.fault("POST", f"/{name}/commit/", status=status)
    hub.fault("POST", "/s500-applied/commit/", status=500, applied=True)
    for drop in ("before", "mid_request", "after", "mid_response", "mid_response_fin"):
        hub.fault("POST", f"/{drop}/commit/", drop=drop)
    names = [*statuses, "s500-applied", "before", "mid_request", "after", "mid_response", "mid_response_fin"]
    planted = list(hub.faults.planted)
    result = run_client(hub, BARE_CLIENT, names=names)
    assert [fault.fired for fault in planted] == [1] * len(planted)
    for name, status in statuses.items():
        assert result[name] == ["HfHubHTTPError", status]
    assert result["s500-applied"] == ["HfHubHTTPError", 500]
    lost = {"ReadError", "RemoteProtocolError"}
    # A reset met while writing is swallowed by the client, which then reads the end of the stream.
    resets = {*lost, "WriteError"}
    for drop in ("before", "mid_request"):
        assert result[drop][0] in resets, (drop, result[drop])
    for drop in ("after", "mid_response", "mid_response_fin"):
        assert result[drop][0] in lost, (drop, result[drop])
    assert result["mid_response"][0] == "ReadError" and result["mid_response_fin"][0] == "RemoteProtocolError"
    # Run again it converges, and what was applied is not committed twice.
    for name in names:
        assert result[f"{name} again"][0] == "ok"
        view = hub.repo("model", f"kit-owner/{name}")
        assert len(view.commits()) == 2 and set(view.tree()) == {"a.txt", "w.bin"}, name
        assert len(hub.requests("PUT", "/storage/")) == len(names), "blobs are kept for the next attempt"
        expected = 2 if name in {*statuses, "before", "mid_request"} else 1
        commits = hub.requests("POST", f"/{name}/commit/")
        assert len(commits) == expected, name
        if name not in {*statuses, "s500-applied"}:
            assert commits[0].drop == name
            assert (commits[0].status is None) is (name in {"before", "mid_request", "after"})


def test_faults_before_a_commit_are_retried(hub: HubServer) -> None:
    """The client retries uploads and questions; a rate limit tells it how long to wait."""
    hub.chunk_size = 15_000
    seen: list[int] = []
    hub.fault("PUT", "/storage/upload/[^/]+/1", status=500, times=2)
    hub.fault("PUT", "/storage/upload/[^/]+/2", drop="mid_request")
    hub.fault("POST", "/preupload/", status=429, headers={"ratelimit": '"api";r=0;t=1'})
    hub.fault("POST", "/lfs/objects/batch", status=429, headers={"Retry-After": "1"})
    hub.fault("POST", "/commit/", delay=0.3, hook=lambda request: seen.append(len(request.body)))
    result = run_client(hub, BARE_CLIENT, names=["retried"])
    assert result == {
        "retried": ["ok", hub.repo("model", "kit-owner/retried").head],
        "retried again": result["retried"],
    }
    assert all(fault.fired for fault in hub.faults.planted) and seen[0] > 100
    assert hub.repo("model", "kit-owner/retried").read("w.bin") == b"w" * 20_000
    first, second = (entry for entry in hub.requests("POST", "/preupload/")[:2])
    assert (first.status, second.status) == (429, 200)
    assert hub.requests("POST", "/commit/")[0].seconds >= 0.3


def test_concurrent_commit_by_a_hook(hub: HubServer) -> None:
    """A hook commits as somebody else just before the client does."""
    view = hub.create_repo("model", "kit-owner/m")
    parent = view.head
    hub.fault("POST", "/commit/main", hook=lambda request: view.commit({"theirs.txt": b"t"}))
    hub.fault("POST", "/preupload/", skip=1, hook=lambda request: view.set(private=True))
    script = """
        from huggingface_hub import CommitOperationAdd
        def commit(path, **kwargs):
            return api.create_commit("kit-owner/m", [CommitOperationAdd(path, b"x")], commit_message="c", **kwargs).oid
        result["raced"] = name_of(commit, "a.txt", parent_commit=parent)
        result["without parent"] = name_of(commit, "b.txt")
        """
    result = run_client(hub, script, parent=parent)
    assert result["raced"][:2] == ["HfHubHTTPError", 412] and result["without parent"][0] == "ok"
    assert set(view.tree()) == {"theirs.txt", "b.txt"} and view.record.private


def test_faults_of_a_download(hub: HubServer) -> None:
    """Cut by an orderly close a download goes on; cut by a reset it fails; wrong bytes of the right length pass."""
    content = bytes(range(256)) * 400
    names = ["fin", "rst", "wrong", "short"]
    for name in names:
        hub.create_repo("model", f"kit-owner/{name}").commit({f"{name}.bin": bytes(content) + name.encode()})
    digest = {name: hub.repo("model", f"kit-owner/{name}").tree()[f"{name}.bin"].sha256 for name in names}
    hub.fault("GET", digest["fin"], drop="mid_response_fin")
    hub.fault("GET", digest["rst"], drop="mid_response")
    hub.fault("GET", digest["wrong"], body=b"!" * (len(content) + 5))
    hub.fault("GET", digest["short"], body=b"!", times=9)
    result = run_client(
        hub,
        """
        for name in names:
            try:
                path = api.hf_hub_download("kit-owner/" + name, name + ".bin")
                result[name] = [os.path.getsize(path), open(path, "rb").read(1).hex()]
            except Exception as error:
                result[name] = [type(error).__name__]
        """,
        names=names,
    )
    assert result["fin"] == [len(content) + 3, "00"]
    assert result["rst"] == ["ReadError"]
    assert result["wrong"] == [len(content) + 5, b"!".hex()], "the client checks the length only"
    assert result["short"] == ["OSError"]


@pytest.mark.slow
def test_questions_failing_for_ever_end_in_bounded_time(hub: HubServer) -> None:
    hub.fault("POST", "/preupload/", status=503, times=99)
    started = time.monotonic()
    result = run_client(hub, BARE_CLIENT, names=["m"])
    assert result["m"] == ["HfHubHTTPError", 503]
    assert len(hub.requests("POST", "/preupload/")) == 12 and time.monotonic() - started < 90
    assert len(hub.repo("model", "kit-owner/m").commits()) == 1


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "parent_commit"])
def test_upload_folder_with_xet_repeats_a_lost_commit(hub: HubServer, guarded: bool) -> None:
    """Why the kit does not use `upload_folder`: with xet on it repeats a commit whose answer was lost."""
    pytest.importorskip("hf_xet", reason="xet storage needs hf_xet")
    hub.fault("POST", "/commit/", drop="after")
    result = run_client(
        hub,
        """
        api.create_repo("kit-owner/m")
        os.makedirs("folder")
        open("folder/w.bin", "wb").write(b"w" * 5000)
        parent = api.repo_info("kit-owner/m").sha if guarded else None
        where = {"repo_id": "kit-owner/m", "folder_path": "folder"}
        result["upload"] = name_of(api.upload_folder, parent_commit=parent, **where)
        """,
        xet=True,
        guarded=guarded,
    )
    commits = hub.repo("model", "kit-owner/m").commits()
    if guarded:
        assert result["upload"][:2] == ["HfHubHTTPError", 412] and len(commits) == 2
    else:
        assert result["upload"][0] == "ok" and len(commits) == 3, "a duplicate commit"


# ---------------------------------------------------------------------------------------------- the rest of the Hub


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


# ---------------------------------------------------------------------------------------------- the server itself


def test_plain_http(hub: HubServer) -> None:
    """Headers, ranges, chunked bodies, keep-alive."""
    view = hub.create_repo("model", "kit-owner/m")
    view.commit({"t.txt": b"0123456789"})
    path = "/kit-owner/m/resolve/main/t.txt"
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)

    def ask(method: str, headers: dict[str, str] | None = None, target: str = path) -> http.client.HTTPResponse:
        connection.request(method, target, headers=headers or {})
        response = connection.getresponse()
        response.content = response.read()
        return response

    head, get = ask("HEAD"), ask("GET")
    assert head.content == b"" and get.content == b"0123456789"
    assert head.getheader("Content-Length") == get.getheader("Content-Length") == "10"
    assert get.getheader("ETag") == f'"{view.tree()["t.txt"].oid}"' and get.getheader("X-Repo-Commit") == view.head
    assert get.getheader("X-Request-Id") and get.getheader("Accept-Ranges") == "bytes"
    for wanted, content, where in (("2-4", b"234", "2-4"), ("7-", b"789", "7-9"), ("-3", b"789", "7-9")):
        part = ask("GET", {"Range": f"bytes={wanted}"})
        assert (part.status, part.content, part.getheader("Content-Range")) == (206, content, f"bytes {where}/10")
    past = ask("GET", {"Range": "bytes=10-"})
    assert past.status == 416 and past.getheader("Content-Range") == "bytes */10"
    absent = ask("GET", target="/kit-owner/m/resolve/main/absent.py")
    assert absent.status == 404 and absent.getheader("X-Error-Code") == "EntryNotFound"
    assert absent.getheader("X-Repo-Commit") == view.head
    assert ask("GET", target="/api/agent-harnesses").status == 404

    # A chunked body, an error answer, and then another request on the same connection.
    connection.request(
        "POST", "/api/validate-yaml", iter([b'{"content": "---\\nli', b'cense: 1\\n---\\n", "repoType": "model"}'])
    )
    refused = connection.getresponse()
    assert refused.status == 400 and "license" in json.loads(refused.read())["errors"][0]["message"]
    connection.request("POST", "/api/repos/create", b'{"name": "x"}')
    refused = connection.getresponse()
    assert refused.status == 401 and json.loads(refused.read())["error"]
    assert ask("GET").status == 200
    connection.close()
    assert {entry.had_authorization for entry in hub.log} == {False}


def test_drops_on_the_wire(hub: HubServer) -> None:
    """What a plain socket sees of each drop, and what the server did."""
    view = hub.create_repo("model", "kit-owner/m")
    body = b'{"tag": "NAME"}'

    def send(drop: str) -> tuple[bytes, bool]:
        hub.fault("POST", "/tag/main", drop=drop)
        content = body.replace(b"NAME", drop.encode())
        with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as connection:
            request = (
                f"POST /api/models/kit-owner/m/tag/main HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n"
                f"Authorization: Bearer {hub.owner_token}\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            received = b""
            try:
                connection.sendall(request.encode() + content)
                while chunk := connection.recv(1000):
                    received += chunk
            except ConnectionError:
                return received, True
            return received, False

    done = set()
    for drop in ("before", "mid_request", "after", "mid_response", "mid_response_fin"):
        received, reset = send(drop)
        assert reset is (drop != "mid_response_fin"), drop
        assert received.startswith(b"HTTP/1.1 201") is drop.startswith("mid_response"), (drop, received)
        if received:
            head, _, content = received.partition(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])
            assert len(content) == length // 2
        if f"refs/tags/{drop}" in view.refs:
            done.add(drop)
    assert done == {"after", "mid_response", "mid_response_fin"}
    assert [entry.drop for entry in hub.log] == ["before", "mid_request", "after", "mid_response", "mid_response_fin"]


def test_unknown_routes_are_recorded(hub: HubServer) -> None:
    for path in ("/api/models/kit-owner/m/no-such-thing", "/api/datasets/a/b/parquet"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(hub.url + path)
    assert raw(hub, "PATCH", "/api/whoami-v2").status == 404
    assert [path for _, path in hub.unrouted][-1] == "/api/whoami-v2" and len(hub.unrouted) == 3
    with pytest.raises(AssertionError, match="no-such-thing"):
        hub.assert_clean()
    hub.unrouted.clear()
    hub.fault("GET", "/api/whoami-v2", hook=lambda request: hub.store.repos.clear())
    hub.assert_clean()
    # An error of the server itself fails the test too.
    broken = hub.create_repo("model", "kit-owner/m")
    broken.record.refs["refs/heads/main"] = "f" * 40
    assert raw(hub, "GET", "/api/models/kit-owner/m").status == 500
    with pytest.raises(AssertionError, match="FileNotFoundError"):
        hub.assert_clean()
    hub.errors.clear()


def test_stopping_ends_open_connections() -> None:
    with HubServer() as hub:
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=5)
        connection.request("GET", "/api/agent-harnesses")
        connection.getresponse().read()
        folder = hub.folder
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.request("GET", "/api/agent-harnesses")
        connection.getresponse()
    connection.close()


def test_run_by_hand_keeps_its_state(tmp_path: Path) -> None:
    """`python -m tests.hub_server --folder` prints two exports; a second run finds repositories and tokens again."""

    def serve() -> tuple[subprocess.Popen[str], dict[str, str]]:
        command = [sys.executable, "-m", "tests.hub_server", "--folder", str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        exports = [process.stdout.readline().strip().removeprefix("export ").split("=", 1) for _ in range(2)]
        return process, dict(exports)

    def ask(variables: dict[str, str], path: str, body: bytes | None = None) -> dict:
        headers = {"Authorization": f"Bearer {variables['HF_TOKEN']}"}
        request = urllib.request.Request(variables["HF_ENDPOINT"] + path, body, headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    process, first = serve()
    try:
        assert set(first) == {"HF_ENDPOINT", "HF_TOKEN"}
        ask(first, "/api/repos/create", b'{"name": "kept", "visibility": "private"}')
        sha = ask(first, "/api/models/kit-owner/kept")["sha"]
    finally:
        process.kill()
        process.communicate()
    process, second = serve()
    try:
        assert second["HF_TOKEN"] == first["HF_TOKEN"]
        assert ask(second, "/api/models/kit-owner/kept")["sha"] == sha
    finally:
        process.terminate()
        process.communicate()


def test_gitignore() -> None:
    content = "# note\n*.log\n/build\ncache/\n!keep.log\ndocs/**/x.txt\n[ab]?.tmp\n"
    ignored = [
        "a.log",
        "d/b.log",
        "build",
        "build/x",
        "cache/a",
        "d/cache/a",
        "docs/x.txt",
        "docs/a/b/x.txt",
        "a1.tmp",
    ]
    kept = ["keep.log", "d/build", "cache", "a.txt", "x.txt", "c1.tmp", "a.log.txt"]
    assert [path for path in [*ignored, *kept] if is_ignored(path, content)] == ignored


def test_merge_trees() -> None:
    one, two, three = (Entry.regular(text) for text in (b"1", b"2", b"3"))
    start = {"a": one, "b": one, "c": one, "d": one}
    ours = {"a": two, "b": one, "c": two, "d": one, "e": one}
    theirs = {"a": one, "b": two, "c": three, "f": one}
    merged, conflicts = merge_trees(start, ours, theirs)
    assert merged == {"a": two, "b": two, "c": two, "e": one, "f": one} and conflicts == ["c"]


def test_the_proxy_guard_stops_stray_requests(hub: HubServer) -> None:
    """A client that leaves this server fails at once instead of reaching the network."""
    result = run_client(
        hub,
        """
        result["answer"] = name_of(HfApi(endpoint="https://huggingface.co").whoami)[:1]
        result["proxy"] = os.environ["HTTPS_PROXY"]
        """,
    )
    assert result["answer"][0] in {"ConnectError", "ProxyError"} and result["proxy"] == DEAD_PROXY

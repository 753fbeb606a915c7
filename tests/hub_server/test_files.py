"""Large files by LFS and xet, and datasets through their own library."""

from __future__ import annotations

import json
import re

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import raw, run_client
from tests.hub_server.objects import Entry


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
    # Rows need no torch, and its import takes seconds.
    result = run_client(hub, PUSH, xet=xet, environment={"USE_TORCH": "0"})
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

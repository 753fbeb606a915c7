"""Repositories by `HfApi`: commits, refs, pull requests, what is refused."""

from __future__ import annotations

import json
import re

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import raw, run_client
from tests.hub_server.objects import Entry


CARD = b"---\nlicense: mit\n---\n# A card\n"


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

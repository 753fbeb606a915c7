"""Writing a repository: the question before an upload, and the commit."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from . import auth
from .cards import validate
from .gitignore import is_ignored
from .messages import HubError, Request, Response, entry_not_found, revision_not_found
from .objects import REGULAR_LIMIT, Entry, belongs_in_lfs
from .pull_requests import open_pull_request
from .repos import Repo, Tree, check_paths
from .routing import PREFIXES, route


MOST_FILES = 256


def _target(request: Request, repo: Repo, revision: str) -> str:
    """The ref that takes the commit. Opening a pull request needs less right and accepts any revision."""
    if request.flag("create_pr"):
        auth.require_proposal(request, repo)
        ref = revision if repo.resolve(revision) else None
    else:
        ref = repo.branch(revision)
        auth.require_write(request, repo, ref)
    if ref is None:
        raise revision_not_found(revision)
    return ref


@route("POST", "/api/{kind}/{repo}/preupload/{revision}")
def preupload(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    ref = _target(request, repo, revision)
    payload = request.json()
    files = payload.get("files")
    if not isinstance(files, list) or len(files) > MOST_FILES:
        raise HubError(400, f"files must be a list of at most {MOST_FILES}")
    store = request.hub.store
    tree = store.commit(repo.resolve(ref) or "").tree
    ignore = payload.get("gitIgnore")
    if ignore is None and ".gitignore" in tree:
        ignore = store.objects.read(tree[".gitignore"].sha256).decode(errors="replace")
    answers = []
    for file in files:
        path, size = file.get("path"), file.get("size")
        if not isinstance(path, str) or not isinstance(size, int) or not isinstance(file.get("sample"), str):
            raise HubError(400, "Each file needs a path, a size and a sample")
        answer: dict[str, Any] = {
            "path": path,
            "uploadMode": "lfs" if belongs_in_lfs(path, size) else "regular",
            "shouldIgnore": is_ignored(path, ignore or ""),
        }
        if path in tree:
            # The client leaves out files whose id has not changed: this makes publishing again a no-op.
            answer["oid"] = tree[path].upload_oid
        answers.append(answer)
    return Response.json({"files": answers})


def _read_lines(body: bytes) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    header: dict[str, Any] | None = None
    operations = []
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            key, value = item["key"], item["value"]
        except (ValueError, KeyError, TypeError):
            raise HubError(400, "Each line must be an object with a key and a value") from None
        if not isinstance(value, dict):
            raise HubError(400, "The value of a line must be an object")
        if key == "header":
            header = value
        elif key in {"file", "lfsFile", "deletedFile", "deletedFolder"} and isinstance(value.get("path"), str):
            operations.append((key, value))
        else:
            raise HubError(400, f"Unknown or incomplete operation: {key}")
    if header is None or not isinstance(header.get("summary"), str) or not header["summary"].strip():
        raise HubError(400, "The commit has no summary")
    return header, operations


def _content(repo: Repo, value: dict[str, Any]) -> bytes:
    if value.get("encoding", "utf-8") == "base64":
        try:
            content = base64.b64decode(value["content"], validate=True)
        except (binascii.Error, KeyError, TypeError):
            raise HubError(400, f"{value['path']}: the content is not base64") from None
    else:
        content = str(value.get("content", "")).encode()
    if len(content) >= REGULAR_LIMIT:
        raise HubError(400, f"{value['path']}: files of 10 MiB and more must go to LFS")
    if value["path"] == "README.md":
        errors, _ = validate(content.decode(errors="replace"), repo.type)
        if errors:
            raise HubError(400, "Invalid metadata in README.md: " + "; ".join(errors))
    return content


def apply(request: Request, repo: Repo, parent: str, operations: list[tuple[str, dict[str, Any]]]) -> Tree:
    """The parent's tree after the operations, in their order. Nothing visible is written."""
    store, xet = request.hub.store, request.hub.xet
    tree: Tree = dict(store.commit(parent).tree)
    regular: list[bytes] = []
    from_xet = []
    for key, value in operations:
        path = value["path"]
        if key == "file":
            content = _content(repo, value)
            regular.append(content)
            tree[path] = Entry.regular(content)
        elif key == "lfsFile":
            oid = value.get("oid")
            found = xet.find(repo, oid) if isinstance(oid, str) and oid not in repo.objects else None
            size = found.size if found else repo.objects.get(oid or "")
            if value.get("algo") != "sha256" or size is None or value.get("size", size) != size:
                raise HubError(400, f"{path}: the LFS object {oid} was not uploaded")
            if found:
                from_xet.append(found)
            tree[path] = Entry.large(str(oid), size)
        elif key == "deletedFile":
            if tree.pop(path, None) is None:
                raise entry_not_found(f"A file with this name doesn't exist: {path}", parent)
        else:
            inside = [name for name in tree if name.startswith(path.rstrip("/") + "/")]
            if not inside:
                raise entry_not_found(f"A file with this name doesn't exist: {path}", parent)
            for name in inside:
                del tree[name]
    check_paths(tree)
    xet.materialise(from_xet, store.objects)
    repo.objects.update({file.sha256: file.size for file in from_xet})
    for content in regular:
        store.objects.put(content)
    return tree


@route("POST", "/api/{kind}/{repo}/commit/{revision}")
def commit(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    ref = _target(request, repo, revision)
    if not request.headers.get("Content-Type", "").startswith("application/x-ndjson"):
        raise HubError(400, "A commit is sent as application/x-ndjson")
    header, operations = _read_lines(request.body)
    tip = repo.resolve(ref) or ""
    parent = header.get("parentCommit")
    summary, description = header["summary"], header.get("description") or ""
    identity = auth.require_write_token(request)
    answer = {"success": True, "hookOutput": ""}
    if request.flag("create_pr"):
        # A pull request starts from the parent that the client names, however old.
        start = tip if parent is None else repo.resolve(str(parent))
        if start is None:
            raise revision_not_found(str(parent))
        tree = apply(request, repo, start, operations)
        number = open_pull_request(repo, identity.user, summary, description, start, "open")
        ref = f"refs/pr/{number}"
        url = f"{request.base}/{PREFIXES[repo.type]}{repo.id}/discussions/{number}"
        answer |= {"pullRequestUrl": url, "pullRequestNum": number}
    else:
        if parent is not None and not (isinstance(parent, str) and len(parent) >= 5 and tip.startswith(parent)):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        tree = apply(request, repo, tip, operations)
    made = request.hub.store.add_commit(repo, ref, tree, summary, description, identity.user)
    url = f"{request.base}/{PREFIXES[repo.type]}{repo.id}/commit/{made.id}"
    return Response.json({**answer, "commitOid": made.id, "commitUrl": url})

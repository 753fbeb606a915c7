"""How repositories, files and folders look in answers."""

from __future__ import annotations

import hashlib
from typing import Any

from .cards import card_data
from .messages import Request
from .objects import Entry
from .repos import Commit, Repo
from .storage import Store


APP_FILES = {"gradio": "app.py", "streamlit": "app.py", "docker": "Dockerfile", "static": "index.html"}


def last_commits(store: Store, commit_id: str) -> dict[str, Commit]:
    """For each file of a commit, the commit that gave it its present content."""
    history = store.history(commit_id)
    found: dict[str, Commit] = {}
    for path, entry in history[0].tree.items():
        for newer, older in zip(history, [*history[1:], None], strict=True):
            if older is None or older.tree.get(path) != entry:
                found[path] = newer
                break
    return found


def _commit_stub(commit: Commit) -> dict[str, str]:
    return {"id": commit.id, "title": commit.title, "date": commit.date}


def file_object(path: str, entry: Entry, last: Commit | None = None) -> dict[str, Any]:
    """A file in a listing. `xetHash` is left out, so that clients ask for the file and find the way to its storage."""
    item: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
    if entry.lfs:
        item["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
    if last is not None:
        item["lastCommit"] = _commit_stub(last)
        item["securityFileStatus"] = None
    return item


def folder_object(path: str, commit: Commit, last: dict[str, Commit] | None = None) -> dict[str, Any]:
    """A folder in a listing."""
    inside = {name: entry.oid for name, entry in commit.tree.items() if name.startswith(path + "/")}
    oid = hashlib.sha1(repr(sorted(inside.items())).encode()).hexdigest()
    item: dict[str, Any] = {"type": "directory", "oid": oid, "size": 0, "path": path}
    if last is not None:
        item["lastCommit"] = _commit_stub(max((last[name] for name in inside), key=lambda found: found.date))
    return item


def folders_of(commit: Commit) -> set[str]:
    """Every folder of a commit."""
    return {
        "/".join(parts[:depth])
        for parts in (path.split("/") for path in commit.tree)
        for depth in range(1, len(parts))
    }


def listing(store: Store, commit: Commit, folder: str, recursive: bool, expand: bool) -> list[dict[str, Any]] | None:
    """What lies in a folder, in the order of the paths; None when there is no such folder."""
    start = f"{folder}/" if folder else ""
    folders = folders_of(commit)
    if folder and folder not in folders:
        return None
    last = last_commits(store, commit.id) if expand else None
    items = []
    for path in sorted([*commit.tree, *folders]):
        if path.startswith(start) and path != folder and (recursive or "/" not in path[len(start) :]):
            if path in commit.tree:
                items.append(file_object(path, commit.tree[path], last[path] if last else None))
            else:
                items.append(folder_object(path, commit, last))
    return items


def runtime(store: Store, repo: Repo) -> dict[str, Any]:
    """What a Space does at the moment; nothing is ever built here."""
    tree = store.commit(repo.refs["refs/heads/main"]).tree
    card = card_data(store.objects.read(tree["README.md"].sha256)) if "README.md" in tree else {}
    app_file = card.get("app_file") or APP_FILES[repo.sdk or "gradio"]
    stage = "PAUSED" if repo.paused else "RUNNING" if app_file in tree else "NO_APP_FILE"
    return {
        "stage": stage,
        "hardware": {"current": repo.hardware if stage == "RUNNING" else None, "requested": repo.hardware},
        "storage": None,
        "gcTimeout": repo.sleep_time,
        "replicas": {"current": 1 if stage == "RUNNING" else 0, "requested": 1},
    }


def repo_info(request: Request, repo: Repo, commit: Commit, blobs: bool = False) -> dict[str, Any]:
    """The record of a repository at a commit."""
    store = request.hub.store
    readme = commit.tree.get("README.md")
    card = card_data(store.objects.read(readme.sha256)) if readme is not None else {}
    tags = [tag for tag in card.get("tags") or [] if isinstance(tag, str)]
    if isinstance(card.get("license"), str):
        tags.append(f"license:{card['license']}")
    info: dict[str, Any] = {
        "_id": repo.uid,
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.id,
        "lastModified": repo.lastModified,
        "createdAt": repo.createdAt,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [*tags, "region:us"],
        "siblings": [_sibling(path, entry, blobs) for path, entry in commit.tree.items()],
    }
    if card:
        info["cardData"] = card
    if repo.type == "model":
        info["modelId"] = repo.id
        for key in ("library_name", "pipeline_tag"):
            if isinstance(card.get(key), str):
                info[key] = card[key]
    if repo.type == "space":
        info |= {"sdk": repo.sdk, "runtime": runtime(store, repo)}
    return info


def _sibling(path: str, entry: Entry, blobs: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"rfilename": path}
    if blobs:
        item |= {"size": entry.size, "blobId": entry.oid}
        if entry.lfs:
            item["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": entry.pointer_size}
    return item

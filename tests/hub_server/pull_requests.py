"""Discussions and pull requests as stored, and what merging one does."""

from __future__ import annotations

import difflib
import secrets
from typing import Any

from .messages import HubError, now
from .repos import MAIN, Commit, Repo, Tree
from .storage import Store


def event(kind: str, author: str, **data: Any) -> dict[str, Any]:
    """Something that happened in a discussion."""
    return {
        "id": secrets.token_hex(12),
        "type": kind,
        "createdAt": now(),
        "author": {"name": author},
        "data": data,
    }


def comment_event(author: str, text: str) -> dict[str, Any]:
    """A comment."""
    return event("comment", author, edited=False, hidden=False, latest={"raw": text, "updatedAt": now()})


def open_discussion(repo: Repo, author: str, title: str, text: str, status: str = "open") -> dict[str, Any]:
    """A new discussion; the caller saves."""
    discussion: dict[str, Any] = {
        "num": len(repo.discussions) + 1,
        "title": title,
        "author": {"name": author},
        "createdAt": now(),
        "status": status,
        "isPullRequest": False,
        "events": [comment_event(author, text)] if text else [],
    }
    repo.discussions.append(discussion)
    return discussion


def open_pull_request(repo: Repo, author: str, title: str, text: str, start: str, status: str) -> int:
    """A new pull request: a discussion with a ref of its own; the caller saves."""
    discussion = open_discussion(repo, author, title, text, status)
    discussion |= {"isPullRequest": True, "start": start}
    repo.refs[f"refs/pr/{discussion['num']}"] = start
    return discussion["num"]


def merge_trees(start: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, list[str]]:
    """Their changes since the start applied to ours, and the files that both changed in different ways."""
    merged, conflicts = dict(ours), []
    for path in sorted({*start, *theirs}):
        before, mine, other = start.get(path), ours.get(path), theirs.get(path)
        if other == before or other == mine:
            continue
        if mine != before:
            conflicts.append(path)
        elif other is None:
            del merged[path]
        else:
            merged[path] = other
    return merged, conflicts


def merged_tree(store: Store, repo: Repo, discussion: dict[str, Any]) -> tuple[Tree, list[str]]:
    """What merging a pull request now would give."""
    commits = (discussion["start"], repo.refs[MAIN], repo.refs[f"refs/pr/{discussion['num']}"])
    start, ours, theirs = (store.commit(commit).tree for commit in commits)
    return merge_trees(start, ours, theirs)


def merge(store: Store, repo: Repo, discussion: dict[str, Any], author: str) -> Commit:
    """Merge a pull request into main."""
    if discussion["status"] != "open":
        raise HubError(400, f"A pull request that is {discussion['status']} cannot be merged")
    tree, conflicts = merged_tree(store, repo, discussion)
    if conflicts:
        raise HubError(409, f"Conflicts in {', '.join(conflicts)}")
    number = discussion["num"]
    parents = [repo.refs[MAIN], repo.refs[f"refs/pr/{number}"]]
    discussion["status"] = "merged"
    made = store.add_commit(repo, MAIN, tree, f"{discussion['title']} (#{number})", "", author, parents)
    discussion["mergeCommitId"] = made.id
    return made


def diff(store: Store, repo: Repo, discussion: dict[str, Any]) -> str:
    """The change of a pull request as a patch."""
    start = store.commit(discussion["start"]).tree
    head = store.commit(repo.refs[f"refs/pr/{discussion['num']}"]).tree
    lines: list[str] = []
    for path in sorted({*start, *head}):
        if start.get(path) == head.get(path):
            continue
        lines.append(f"diff --git a/{path} b/{path}\n")
        before, after = _text(store, start, path), _text(store, head, path)
        changes = difflib.unified_diff(before, after, path, path)
        lines += [line if line.endswith("\n") else line + "\n" for line in changes]
    return "".join(lines)


def _text(store: Store, tree: Tree, path: str) -> list[str]:
    entry = tree.get(path)
    if entry is None:
        return []
    if entry.lfs:
        return [f"oid sha256:{entry.sha256}\n"]
    return store.objects.read(entry.sha256).decode(errors="replace").splitlines(keepends=True)

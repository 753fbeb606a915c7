"""Everything the server remembers, in one folder.

`objects/` holds contents by sha256, `commits/` one immutable file per commit, `state.json` the rest. The last is
replaced whole by every change, so a killed server loses at most the change in progress.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from pathlib import Path
from typing import Any

from .messages import HubError, now
from .objects import Entry, Objects, write_whole
from .repos import GIT_ATTRIBUTES, MAIN, Commit, Repo, Tree, check_paths


class Store:
    """Repositories, commits, collections and accounts; `lock` guards every change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.objects = Objects(folder / "objects")
        self.repos: dict[tuple[str, str], Repo] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        self.accounts: dict[str, Any] = {}
        self.secret = secrets.token_hex(16)
        self._commits: dict[str, Commit] = {}
        self._load()

    def _load(self) -> None:
        path = self.folder / "state.json"
        if not path.is_file():
            return
        state = json.loads(path.read_bytes())
        self.secret, self.accounts, self.collections = state["secret"], state["accounts"], state["collections"]
        for data in state["repos"]:
            self.repos[data["type"], data["id"]] = Repo(**data)

    def save(self) -> None:
        """Replace the saved state."""
        state = {
            "secret": self.secret,
            "accounts": self.accounts,
            "collections": self.collections,
            "repos": [repo.to_json() for repo in self.repos.values()],
        }
        write_whole(self.folder / "state.json", json.dumps(state).encode())

    def commit(self, commit_id: str) -> Commit:
        """A commit by its full id."""
        if commit_id not in self._commits:
            data = json.loads((self.folder / "commits" / f"{commit_id}.json").read_bytes())
            self._commits[commit_id] = Commit.from_json(data)
        return self._commits[commit_id]

    def add_commit(
        self,
        repo: Repo,
        ref: str,
        tree: Tree,
        title: str,
        message: str = "",
        author: str = "",
        parents: list[str] | None = None,
    ) -> Commit:
        """Write a commit and move a ref to it. The state is saved last: it is what makes the commit exist."""
        check_paths(tree)
        if parents is None:
            parents = [repo.refs[ref]] if ref in repo.refs else []
        date = now()
        seed = json.dumps([repo.uid, ref, parents, date, secrets.token_hex(8)])
        commit_id = hashlib.sha1(seed.encode()).hexdigest()
        commit = Commit(commit_id, parents, title, message, date, author or repo.author, dict(sorted(tree.items())))
        write_whole(self.folder / "commits" / f"{commit_id}.json", json.dumps(commit.to_json()).encode())
        self._commits[commit_id] = commit
        repo.commits.append(commit_id)
        repo.refs[ref] = commit_id
        repo.lastModified = date
        self.save()
        return commit

    def history(self, commit_id: str) -> list[Commit]:
        """A commit and its first parents, newest first."""
        commits = [self.commit(commit_id)]
        while commits[-1].parents:
            commits.append(self.commit(commits[-1].parents[0]))
        return commits

    def create(self, type: str, id: str, author: str, private: bool = False, sdk: str | None = None) -> Repo:
        """A new repository, which already has one commit."""
        if (type, id) in self.repos:
            raise HubError(409, f"You already created this {type} repo: {id}")
        date = now()
        repo = Repo(type, id, secrets.token_hex(12), author, date, date, private=private, sdk=sdk)
        self.repos[type, id] = repo
        self.objects.put(GIT_ATTRIBUTES)
        self.add_commit(repo, MAIN, {".gitattributes": Entry.regular(GIT_ATTRIBUTES)}, "initial commit")
        return repo

    def move(self, repo: Repo, new_id: str) -> None:
        """Rename a repository."""
        del self.repos[repo.type, repo.id]
        repo.id = new_id
        self.repos[repo.type, new_id] = repo
        self.save()

    def delete(self, repo: Repo) -> None:
        """Forget a repository."""
        del self.repos[repo.type, repo.id]
        self.save()

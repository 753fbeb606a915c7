"""Repositories, commits and revisions."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from .messages import HubError
from .objects import Entry


MAIN = "refs/heads/main"
GIT_ATTRIBUTES = b"*.bin filter=lfs diff=lfs merge=lfs -text\n*.parquet filter=lfs diff=lfs merge=lfs -text\n"
Tree = dict[str, Entry]


@dataclass(frozen=True)
class Commit:
    """A whole snapshot. It never changes once written."""

    id: str
    parents: list[str]
    title: str
    message: str
    date: str
    author: str
    tree: Tree

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Commit:
        """The reverse of `to_json`."""
        return cls(**{**data, "tree": {path: Entry(*entry) for path, entry in data["tree"].items()}})

    def to_json(self) -> dict[str, Any]:
        """What is saved."""
        tree = {path: [entry.oid, entry.size, entry.sha256, entry.lfs] for path, entry in self.tree.items()}
        return {**self.__dict__, "tree": tree}


@dataclass
class Repo:
    """A model, dataset or Space repository; its commits lie in the store."""

    type: str
    id: str
    uid: str
    author: str
    createdAt: str
    lastModified: str
    private: bool = False
    gated: Any = False
    sdk: str | None = None
    refs: dict[str, str] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    # The large files uploaded for this repository (sha256 to size): those of another one do not count.
    objects: dict[str, int] = field(default_factory=dict)
    discussions: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    hardware: str = "cpu-basic"
    sleep_time: int | None = None
    paused: bool = False

    @property
    def namespace(self) -> str:
        """The user or organisation that owns it."""
        return self.id.split("/")[0]

    def to_json(self) -> dict[str, Any]:
        """What is saved."""
        return asdict(self)

    def branch(self, revision: str) -> str | None:
        """The full name of a ref that takes commits: a branch or a pull request."""
        for name in (f"refs/heads/{revision}", revision):
            if name in self.refs and name.startswith(("refs/heads/", "refs/pr/")):
                return name
        return None

    def resolve(self, revision: str) -> str | None:
        """A branch, tag, full ref name or commit prefix of at least five digits as a commit id."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in self.refs:
                return self.refs[name]
        if re.fullmatch("[0-9a-f]{5,40}", revision):
            matches = [commit for commit in self.commits if commit.startswith(revision)]
            return matches[0] if len(matches) == 1 else None
        return None


def check_repo_name(name: str) -> None:
    """The Hub's rule for the part after the slash."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}", name) or re.search(r"--|\.\.|[.-]$|\.git$", name):
        raise HubError(400, f"Invalid repository name: {name!r}")


def check_ref_name(name: str) -> None:
    """Names that git refuses for a branch or a tag, and names that would hide another ref."""
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/.-]|[/.]$|\.lock$", name)
    if not name or bad or name.startswith("refs/") or re.fullmatch("[0-9a-f]{40}", name):
        raise HubError(400, f"Invalid reference name: {name!r}")


def check_paths(tree: Tree) -> None:
    """A tree must be one that git can hold: no odd paths, no file where a folder is."""
    for path in tree:
        parts = path.split("/")
        if any(part in {"", ".", "..", ".git"} for part in parts) or "\\" in path or "\0" in path:
            raise HubError(400, f"Invalid path in repository: {path!r}")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in tree:
                raise HubError(400, f"{'/'.join(parts[:depth])!r} is both a file and a folder")

"""A repository as tests see it: state without HTTP, and changes made behind the clients' backs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .objects import Entry, belongs_in_lfs
from .repos import MAIN, Commit, Repo
from .storage import Store


class RepoView:
    """One repository of a running server. Look-ups are made anew on every call."""

    def __init__(self, store: Store, type: str, id: str) -> None:
        self.store, self.type, self.id = store, type, id

    @property
    def exists(self) -> bool:
        """Whether there is such a repository."""
        return (self.type, self.id) in self.store.repos

    @property
    def record(self) -> Repo:
        """The stored record: `private`, `gated`, `discussions`, `secrets`, `variables`, `hardware` and more."""
        return self.store.repos[self.type, self.id]

    @property
    def refs(self) -> dict[str, str]:
        """Full ref names and their commits."""
        return dict(self.record.refs)

    @property
    def head(self) -> str:
        """The commit that main is at."""
        return self.record.refs[MAIN]

    def _commit(self, revision: str) -> Commit:
        commit = self.record.resolve(revision)
        if commit is None:
            raise KeyError(f"{self.id} has no revision {revision}")
        return self.store.commit(commit)

    def commits(self, revision: str = "main") -> list[Commit]:
        """Commits of a revision, newest first; the last is the one that creating the repository made."""
        return self.store.history(self._commit(revision).id)

    def tree(self, revision: str = "main") -> dict[str, Entry]:
        """Files of a revision, without the `.gitattributes` that the Hub adds."""
        return {path: entry for path, entry in self._commit(revision).tree.items() if path != ".gitattributes"}

    def read(self, path: str, revision: str = "main") -> bytes:
        """The bytes of a file."""
        return self.store.objects.read(self._commit(revision).tree[path].sha256)

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """All files of a revision with their bytes."""
        return {path: self.read(path, revision) for path in self.tree(revision)}

    def commit(
        self,
        files: Mapping[str, bytes] | None = None,
        delete: Iterable[str] = (),
        message: str = "a commit by somebody else",
        revision: str = "main",
        author: str = "",
    ) -> str:
        """Commit as somebody else would, for instance from a fault's hook."""
        with self.store.lock:
            repo = self.record
            ref = repo.branch(revision)
            if ref is None:
                raise KeyError(f"{self.id} has no branch {revision}")
            tree = dict(self._commit(ref).tree)
            for path in delete:
                del tree[path]
            for path, content in (files or {}).items():
                sha256 = self.store.objects.put(content)
                large = len(content) > 0 and belongs_in_lfs(path, len(content))
                tree[path] = Entry.large(sha256, len(content)) if large else Entry.regular(content)
                if large:
                    repo.objects[sha256] = len(content)
            return self.store.add_commit(repo, ref, tree, message, author=author).id

    def tag(self, name: str, revision: str = "main") -> None:
        """Tag a revision."""
        with self.store.lock:
            self.record.refs[f"refs/tags/{name}"] = self._commit(revision).id
            self.store.save()

    def set(self, **values: Any) -> None:
        """Change the record: `private=True`, `gated="auto"`."""
        with self.store.lock:
            for name, value in values.items():
                if not hasattr(self.record, name):
                    raise AttributeError(name)
                setattr(self.record, name, value)
            self.store.save()

    def delete(self) -> None:
        """Delete the repository."""
        with self.store.lock:
            self.store.delete(self.record)

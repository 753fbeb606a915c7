"""Read a repository on the Hub, and send the few requests that change it. Retries of whole publishes are not here.

Reading is repeated where that may help; what changes something is sent once, and `hub` decides what a failure means.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.cli import say
from builders.masking import without_login
from builders.publishing.failure import SENSELESS, NotSeen, patiently
from builders.publishing.hub_client import use_bounded_client


if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi

REPO_TYPES = ("model", "dataset", "space")
# Of a list of pull requests so many pages are read.
PAGES = 50


def size_of(content: bytes | Path) -> int:
    """Size in bytes of something to be published."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


@dataclass(frozen=True)
class Stored:
    """A file on the Hub: its size in bytes, and what tells whether it has the same bytes as one here."""

    size: int
    sha256: str | None
    blob_id: str

    def holds(self, content: bytes | Path) -> bool:
        """Whether it has exactly these bytes."""
        if self.size != size_of(content):
            return False
        digest = hashlib.sha256() if self.sha256 is not None else hashlib.sha1(b"blob %d\0" % self.size)
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest() == (self.sha256 or self.blob_id)


@dataclass(frozen=True)
class State:
    """A repository at one commit.

    Args:
        head (`str`):
            The branch's commit.
        branch_exists (`bool`):
            Whether the branch is there; if not, `head` is main's.
        private (`bool`), sdk (`str`, *optional*):
            As the Hub tells.
        tree (`Mapping[str, Stored]`):
            Path → file at `head`.
    """

    head: str
    branch_exists: bool
    private: bool
    sdk: str | None
    tree: Mapping[str, Stored]


class Repository:
    """One repository of a Hub, which may not exist yet.

    Args:
        api (`HfApi`):
            The client: address and token.
        id (`str`), type (`str`), branch (`str`):
            Which repository, and which of its branches (or `refs/pr/N`).
    """

    def __init__(self, api: "HfApi", id: str, type: str, branch: str = "main") -> None:
        use_bounded_client()
        self.api, self.id, self.type, self.branch = api, id, type, branch

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        prefix = {"model": "", "dataset": "datasets/", "space": "spaces/"}[self.type]
        return without_login(f"{self.api.endpoint}/{prefix}{self.id}")

    def read(self) -> State | None:
        """The repository as it is now; `None` where there is none, or none that this token may see."""
        return patiently(self._read, self.url)

    def _read(self) -> State | None:
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        try:
            info: Any = self._info(self.branch)
            branch_exists = True
        except RepositoryNotFoundError as error:
            if error.response.status_code == 401 and "nvalid credentials" in str(error):
                raise
            return None
        except RevisionNotFoundError:
            info, branch_exists = self._info("main"), False
        if not isinstance(info.sha, str) or not isinstance(info.private, bool):
            raise NotSeen("an answer without the head, or without who may see it: is this a Hub?")
        tree = self._tree(info.sha)
        if not {file.rfilename for file in info.siblings or ()} <= set(tree):
            raise NotSeen("the list of files came without some that are there")
        return State(info.sha, branch_exists, info.private, getattr(info, "sdk", None), tree)

    def _info(self, revision: str) -> Any:
        return self.api.repo_info(self.id, repo_type=self.type, revision=revision)

    def tree(self, revision: str, fresh: bool = False) -> dict[str, Stored]:
        """The files at a revision; a `fresh` one was only just made."""
        return patiently(lambda: self._tree(revision), self.url, fresh)

    def _tree(self, revision: str) -> dict[str, Stored]:
        from huggingface_hub.hf_api import RepoFile

        entries = self.api.list_repo_tree(self.id, recursive=True, revision=revision, repo_type=self.type)
        return {
            entry.path: Stored(entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
            for entry in entries
            if isinstance(entry, RepoFile)
        }

    def content(self, path: str, revision: str, stored: Stored) -> bytes:
        """A small file, fresh from the Hub and past every cache; other bytes than it has there are asked for again."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = hf_hub_url(self.id, path, repo_type=self.type, revision=revision, endpoint=self.api.endpoint)

        def get() -> bytes:
            response = get_session().get(url, headers=build_hf_headers(token=self.api.token))
            hf_raise_for_status(response)
            if not stored.holds(response.content):
                raise ConnectionError(f"{path} arrived with other bytes than it has there")
            return bytes(response.content)

        return patiently(get, self.url)

    def tags(self) -> dict[str, str]:
        """Tag → commit."""
        refs = patiently(lambda: self.api.list_repo_refs(self.id, repo_type=self.type), self.url)
        return {tag.name: tag.target_commit for tag in refs.tags}

    def type_of_namesake(self) -> str | None:
        """The type of a repository of another type that has the same id."""

        def exists(other: str) -> bool:
            return patiently(lambda: self.api.repo_exists(self.id, repo_type=other), self.url)

        return next((other for other in REPO_TYPES if other != self.type and exists(other)), None)

    def card_errors(self, text: str) -> list[str]:
        """What the Hub has against a card. Nothing is changed there."""
        from huggingface_hub.utils import get_session, hf_raise_for_status

        def ask() -> list[str]:
            body = {"content": text, "repoType": self.type}
            response = get_session().post(f"{self.api.endpoint}/api/validate-yaml", json=body)
            if response.status_code == 400:
                return [str(error.get("message")) for error in response.json().get("errors", [])] or [response.text]
            hf_raise_for_status(response)
            return []

        return patiently(ask, self.url)

    def create(self) -> None:
        """Create the repository, private, unless it is there."""
        options: Any = {"private": True, "space_sdk": "gradio" if self.type == "space" else None}

        def create() -> None:
            try:
                self.api.create_repo(self.id, repo_type=self.type, exist_ok=True, **options)
            except SENSELESS:
                # It may be there all the same.
                if self._read() is None:
                    raise

        patiently(create, self.url)

    def create_branch(self, start: str) -> None:
        """Create the branch from a commit, unless it is there."""
        branch = {"branch": self.branch, "revision": start}
        patiently(lambda: self.api.create_branch(self.id, repo_type=self.type, exist_ok=True, **branch), self.url)

    def make_public(self) -> None:
        """Let everybody see the repository; read back, for an answer alone may come from somebody else."""

        def open_up() -> None:
            self.api.update_repo_settings(self.id, visibility="public", repo_type=self.type)
            if self._info("main").private is not False:
                raise NotSeen("was made public, and is private still")

        patiently(open_up, self.url)

    def commits_since(self, start: str) -> list[tuple[str, str]]:
        """Id and message of the branch's commits after a commit, newest first."""
        commits = patiently(
            lambda: self.api.list_repo_commits(self.id, repo_type=self.type, revision=self.branch), self.url
        )
        later = takewhile(lambda commit: commit.commit_id != start, commits)
        return [(commit.commit_id, commit.message) for commit in later]

    def commit_of(self, description: str) -> str | None:
        """The newest commit of the branch whose message holds a text."""
        commits = patiently(
            lambda: self.api.list_repo_commits(self.id, repo_type=self.type, revision=self.branch), self.url
        )
        return next((commit.commit_id for commit in commits if description in commit.message), None)

    def proposals(self, publish_id: str) -> list[str]:
        """The addresses of the open pull requests that carry a publish id, the first one first."""

        def look() -> list[str]:
            found = []
            for number in sorted(self._open_pull_requests()):
                revision = f"refs/pr/{number}"
                commits = self.api.list_repo_commits(self.id, repo_type=self.type, revision=revision)
                if any(publish_id in commit.message for commit in commits):
                    found.append(f"{self.url}/discussions/{number}")
            return found

        return patiently(look, self.url)

    def _open_pull_requests(self) -> list[int]:
        """The numbers of the newest; the library's own list has no end where a server names none."""
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        address = f"{self.api.endpoint}/api/{self.type}s/{self.id}/discussions"
        numbers: list[int] = []
        for page in range(PAGES):
            asked: dict[str, Any] = {"type": "pull_request", "p": page}
            response = get_session().get(address, headers=build_hf_headers(token=self.api.token), params=asked)
            hf_raise_for_status(response)
            answer = response.json()
            numbers += [int(one["num"]) for one in answer["discussions"] if one["status"] in ("open", "draft")]
            if not answer["discussions"] or answer["start"] + len(answer["discussions"]) >= answer["count"]:
                return numbers
        say(f"{self.url}: has more than {PAGES} pages of pull requests; only the newest were looked at")
        return numbers

    def upload(self, additions: Mapping[str, bytes | Path], create_pr: bool) -> list[Any]:
        """Store the large files and return the additions that a commit takes. No commit is made, no ref is moved."""
        from huggingface_hub import CommitOperationAdd

        operations = [
            CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
            for path, content in additions.items()
        ]
        self.api.preupload_lfs_files(
            self.id,
            operations,
            repo_type=self.type,
            revision=self.branch,
            create_pr=create_pr,
            free_memory=False,
            # Else a .gitignore on the Hub would silently leave out files of ours.
            gitignore_content="",
        )
        return operations

    def commit(
        self,
        additions: list[Any],
        deletions: Iterable[str],
        message: str,
        description: str,
        head: str,
        create_pr: bool,
    ) -> "CommitInfo":
        """One commit on top of `head`, or none: sent once."""
        from huggingface_hub import CommitOperationDelete

        return self.api.create_commit(
            self.id,
            [*additions, *(CommitOperationDelete(path) for path in deletions)],
            commit_message=message,
            commit_description=description,
            repo_type=self.type,
            revision=self.branch,
            parent_commit=head,
            create_pr=create_pr,
        )

    def create_tag(self, tag: str, commit: str) -> None:
        """Tag a commit: sent once; fails where the tag exists."""
        self.api.create_tag(self.id, tag=tag, revision=commit, repo_type=self.type)

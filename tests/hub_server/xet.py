"""Large files by xet, through the `local://` storage of hf_xet: an undocumented form of its storage address.

The storage folder holds a database that only one process may open. So every write token names a fresh folder, every
read token a fresh copy of the folder that holds the file, and the server itself reads from a copy too.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import auth
from .messages import HubError, Request, Response, revision_not_found
from .objects import Objects
from .repos import Repo
from .routing import route


HEADER = RECORD = 48
END = b"\xff" * 32
HAS_VERIFICATION, HAS_METADATA = 1 << 31, 1 << 30


@dataclass(frozen=True)
class XetFile:
    """A file in a storage folder."""

    sha256: str
    xet_hash: str
    size: int
    folder: Path


def _hex(raw: bytes) -> str:
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def read_shard(content: bytes) -> Iterator[tuple[str, str, int]]:
    """The files of a shard (`.mdb`) as sha256, xet hash and size."""
    at = HEADER
    while at + RECORD <= len(content) and content[at : at + 32] != END:
        xet_hash = _hex(content[at : at + 32])
        flags, segments = struct.unpack_from("<II", content, at + 32)
        at += RECORD
        size = sum(struct.unpack_from("<I", content, at + n * RECORD + 36)[0] for n in range(segments))
        at += segments * RECORD * (2 if flags & HAS_VERIFICATION else 1)
        if flags & HAS_METADATA:
            yield _hex(content[at : at + 32]), xet_hash, size
            at += RECORD


class Xet:
    """The storage folders, one for each write token, under the repository that it was for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[tuple[str, str], XetFile] = {}
        self._read: set[Path] = set()

    def new_folder(self, repo: Repo) -> Path:
        """Where the next upload to a repository goes; hf_xet makes the folder."""
        parent = self.folder / repo.uid
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent))

    def scan(self, repo: Repo) -> None:
        """Read the shards that came since the last look."""
        for path in (self.folder / repo.uid).glob("*/xet/xorbs/shards/*.mdb"):
            if path not in self._read:
                for sha256, xet_hash, size in read_shard(path.read_bytes()):
                    folder = path.parents[3]
                    self.files[repo.uid, sha256] = XetFile(sha256, xet_hash, size, folder)
                self._read.add(path)

    def find(self, repo: Repo, sha256: str) -> XetFile | None:
        """A file that was uploaded to this repository."""
        if (repo.uid, sha256) not in self.files:
            self.scan(repo)
        return self.files.get((repo.uid, sha256))

    def copy(self, file: XetFile) -> Path:
        """A fresh copy of the folder that holds a file."""
        target = Path(tempfile.mkdtemp(dir=self.folder, prefix="copy-"))
        shutil.copytree(file.folder, target, dirs_exist_ok=True)
        return target

    def materialise(self, files: Iterable[XetFile], objects: Objects) -> None:
        """Put contents into the object store, for clients without xet."""
        by_folder: dict[Path, list[XetFile]] = {}
        for file in files:
            if file.sha256 not in objects:
                by_folder.setdefault(file.folder, []).append(file)
        for group in by_folder.values():
            self._fetch(group, objects)

    def _fetch(self, files: list[XetFile], objects: Objects) -> None:
        for attempt in range(10):
            copy = self.copy(files[0])
            out = copy / "out"
            out.mkdir()
            try:
                _download(files, copy, out)
                break
            except RuntimeError:
                # The uploading client may still hold the database open, and a copy taken then can be torn.
                if attempt == 9:
                    raise
                time.sleep(0.2)
        for file in files:
            content = (out / file.sha256).read_bytes()
            if objects.put(content) != file.sha256:
                raise HubError(500, f"xet storage gave other bytes for {file.sha256}")
        shutil.rmtree(copy, ignore_errors=True)


def _download(files: list[XetFile], storage: Path, out: Path) -> None:
    from hf_xet import XetFileInfo, XetSession

    session = XetSession()
    expiry = int(time.time()) + 3600
    group = session.new_file_download_group(endpoint=f"local://{storage}", token="x", token_expiry_unix_secs=expiry)
    with group:
        for file in files:
            group.start_download_file(XetFileInfo(file.xet_hash, file.size), str(out / file.sha256))


def _token_answer(folder: Path) -> Response:
    cas, token, expiry = f"local://{folder}", f"xet_{folder.name}", int(time.time()) + 3600
    headers = {"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expiry)}
    return Response.json({"casUrl": cas, "accessToken": token, "exp": expiry}, headers=headers)


@route("GET", "/api/{kind}/{repo}/xet-write-token/{revision}")
def write_token(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    if revision == "None" or request.flag("create_pr"):
        auth.require_proposal(request, repo)
    else:
        auth.require_write(request, repo, revision)
    return _token_answer(request.hub.xet.new_folder(repo))


@route("GET", "/api/{kind}/{repo}/xet-read-token/{revision}")
def read_token(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_download(request, repo)
    commit = repo.resolve(revision)
    if commit is None:
        raise revision_not_found(revision)
    for entry in request.hub.store.commit(commit).tree.values():
        file = request.hub.xet.find(repo, entry.sha256) if entry.lfs else None
        if file is not None and file.xet_hash == request.argument("hash"):
            return _token_answer(request.hub.xet.copy(file))
    raise HubError(404, "No xet file of that hash at this revision")

"""File contents, stored once by sha256, and the entries of a commit's tree."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


BLOCK = 1 << 20
REGULAR_LIMIT = 10 * 1024 * 1024
LFS_SUFFIXES = frozenset(
    ".parquet .arrow .bin .safetensors .pt .pth .ckpt .onnx .npy .npz .h5 .msgpack .zip .gz .tar .zst .gguf .pdf .jpg"
    " .jpeg .png .gif .webp .mp3 .wav .flac .mp4".split()
)


def belongs_in_lfs(path: str, size: int) -> bool:
    """Which files go to large file storage; the client sends empty files as regular whatever the answer."""
    return size >= REGULAR_LIMIT or PurePosixPath(path).suffix.lower() in LFS_SUFFIXES


def git_blob_sha1(content: bytes) -> str:
    """The id that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The text that stands for a large file in git."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass(frozen=True)
class Entry:
    """One file of a commit."""

    oid: str
    size: int
    sha256: str
    lfs: bool = False

    @classmethod
    def regular(cls, content: bytes) -> Entry:
        """A file kept in git."""
        return cls(git_blob_sha1(content), len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def large(cls, sha256: str, size: int) -> Entry:
        """A file kept in large file storage."""
        return cls(git_blob_sha1(lfs_pointer(sha256, size)), size, sha256, lfs=True)

    @property
    def pointer_size(self) -> int:
        """The length of the pointer text."""
        return len(lfs_pointer(self.sha256, self.size))

    @property
    def upload_oid(self) -> str:
        """What the client compares its file with before it uploads."""
        return self.sha256 if self.lfs else self.oid


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a restart after a kill, sees the old bytes or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(name, path)


def write_sparse(path: Path, offset: int, content: bytes) -> None:
    """Write into a file; blocks of zeros take no room on the disk."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        for start in range(0, len(content), BLOCK):
            block = content[start : start + BLOCK]
            if block.count(0) < len(block):
                file.seek(offset + start)
                file.write(block)
        file.truncate(max(os.path.getsize(path), offset + len(content)))


class Objects:
    """Contents by sha256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where a content lies, or would lie."""
        return self.folder / sha256[:2] / sha256

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def put(self, content: bytes) -> str:
        """Store a content, give back its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in self:
            write_whole(self.path(sha256), content)
        return sha256

    def begin(self, name: str) -> Path:
        """Where a content is put together piece by piece."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f".new-{name}"

    def take(self, path: Path, sha256: str) -> None:
        """Store what was put together."""
        self.path(sha256).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, self.path(sha256))

    def read(self, sha256: str) -> bytes:
        """The bytes of a stored content."""
        return self.path(sha256).read_bytes()

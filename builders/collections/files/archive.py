"""Unpacks the data files of a zip or tar file into the cache; no member leaves its folder."""

import hashlib
import io
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import cached_folder
from builders.collections.files.lines import COMPRESSED
from builders.errors import KitError


SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
# What a collection is read from; everything else stays in the archive.
_DATA = (".jsonl", ".json", ".tsv", ".csv", ".txt", ".parquet", ".yaml", *COMPRESSED)
_END = 1024
# zipfile says RuntimeError of encrypted members, NotImplementedError of methods that it lacks.
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, RuntimeError)


class _Member(NamedTuple):
    name: str
    size: int
    is_file: bool
    is_folder: bool


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive that can be read."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(path: Path) -> Path:
    """The folder with the archive's data files, unpacked once; the archive's only folder where it has but one.

    Raises:
        KitError: the archive is damaged, there is no room for its files, or a member would leave the folder or is no
            plain file: such an archive is refused as a whole.
    """
    facts = path.stat()
    key = hashlib.sha256(repr((str(path.resolve()), facts.st_size, facts.st_mtime_ns)).encode()).hexdigest()[:16]
    folder = cache_dir("archives") / f"{path.name.split('.')[0]}-{key}"
    if not folder.is_dir():
        try:
            with cached_folder(folder) as work:
                _unpack(path, work)
        except _DAMAGED as error:
            said = " ".join(str(error).split())[:200]
            raise KitError(f"{path}: cut off, damaged or encrypted ({said}); fetch the file again") from error
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _unpack(path: Path, work: Path) -> None:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as zipped:
            # In a zip file's attributes a link is a file of a special mode.
            members = [
                _Member(info.filename, info.file_size, info.external_attr >> 28 != 0xA, info.is_dir())
                for info in zipped.infolist()
            ]
            for name in _checked(path, members, work):
                zipped.extract(name, work)
        return
    if path.suffix.lower() == ".tar":
        # Python takes the end of the file for the end of the archive, which is two blocks of zeros.
        with path.open("rb") as file:
            file.seek(-min(path.stat().st_size, _END), io.SEEK_END)
            if any(file.read()):
                raise tarfile.ReadError("no end mark")
    with tarfile.open(path) as tar:
        members = [_Member(info.name, info.size, info.isfile(), info.isdir()) for info in tar.getmembers()]
        for name in _checked(path, members, work):
            tar.extract(name, work, filter="data")


def _checked(path: Path, members: list[_Member], work: Path) -> Iterator[str]:
    """The names of the data files, once every member has passed."""
    wanted = []
    for member in members:
        parts = (*PurePosixPath(member.name).parts, *PureWindowsPath(member.name).parts)
        windows = PureWindowsPath(member.name)
        if ".." in parts or PurePosixPath(member.name).is_absolute() or windows.is_absolute() or windows.drive:
            raise KitError(f"{path}: member {member.name!r} would be written outside of its folder; do not trust it")
        if not member.is_file and not member.is_folder:
            raise KitError(f"{path}: member {member.name!r} is a link or a device; do not trust this archive")
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if member.is_file and not member.is_folder and not hidden and member.name.lower().endswith(_DATA):
            wanted.append(member)
    if not wanted:
        raise KitError(f"{path}: no data files in it ({', '.join(_DATA)})")
    needed, free = sum(member.size for member in wanted), shutil.disk_usage(work).free
    if needed > free:
        raise KitError(f"{path}: its files take {needed >> 20} MiB, and {free >> 20} are free in {work.parent}")
    return iter([member.name for member in wanted])

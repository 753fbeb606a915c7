"""Unpacks the data files of a zip or tar file into the cache, one after the other; no member leaves its folder."""

import hashlib
import io
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import cached_folder
from builders.collections.files.decompressed import BLOCK, Decompressed, require_plausible
from builders.collections.files.lines import COMPRESSED
from builders.errors import KitError


SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
# What a collection is read from; everything else stays in the archive.
_DATA = (".jsonl", ".json", ".tsv", ".csv", ".txt", ".parquet", ".yaml", *COMPRESSED)
# Bytes of a name that file systems take; members that an archive may have, and how much of the disk they may fill.
_NAME, _MEMBERS, _SHARE = 255, 200_000, 0.9
_GZIP = b"\x1f\x8b"
_PLAIN = (0, stat.S_IFREG, stat.S_IFDIR)
_ENCRYPTED = 1
# zipfile says RuntimeError of what it cannot open, NotImplementedError of methods that it lacks.
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, RuntimeError)


class _Member(NamedTuple):
    name: str
    size: int
    is_plain: bool
    is_folder: bool
    is_encrypted: bool = False


class _TarFile(io.BufferedReader):
    """A tar file, perhaps compressed. What tarfile reads in one piece are headers, and none is that long."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= BLOCK:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive that can be read."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(path: Path) -> Path:
    """The folder with the archive's data files, unpacked once; the archive's only folder where it has but one.

    Raises:
        KitError: the archive is damaged, unpacks to more than is plausible or than there is room for, or a member
            would leave the folder, is no plain file, is encrypted, stands there twice or has a name that no disk
            takes: such an archive is refused as a whole.
    """
    facts = path.stat()
    key = hashlib.sha256(repr((str(path.resolve()), facts.st_size, facts.st_mtime_ns)).encode()).hexdigest()[:16]
    folder = cache_dir("archives") / f"{path.name.split('.')[0]}-{key}"
    if not folder.is_dir():
        try:
            with cached_folder(folder) as work:
                (_unpack_zip if path.suffix.lower() == ".zip" else _unpack_tar)(path, work)
                if not any(work.iterdir()):
                    raise KitError(f"{path}: no data files in it ({', '.join(_DATA)})")
        except _DAMAGED as error:
            said = " ".join(str(error).split())[:200]
            raise KitError(f"{path}: cut off, damaged or encrypted ({said}); fetch the file again") from error
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _unpack_zip(path: Path, work: Path) -> None:
    check = _Check(path, work)
    with zipfile.ZipFile(path) as zipped:
        # All before the first is written: a zip file says what is in it.
        wanted = [info for info in zipped.infolist() if check.wants(_zip_member(info))]
        for info in wanted:
            zipped.extract(info, work)


def _zip_member(info: zipfile.ZipInfo) -> _Member:
    # In a zip file's attributes a link is a file of a special mode.
    is_plain = stat.S_IFMT(info.external_attr >> 16) in _PLAIN
    return _Member(info.filename, info.file_size, is_plain, info.is_dir(), bool(info.flag_bits & _ENCRYPTED))


def _unpack_tar(path: Path, work: Path) -> None:
    check = _Check(path, work)
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
    with _TarFile(Decompressed(path) if is_packed else io.FileIO(path), BLOCK) as file:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all.
                if info.size < 0:
                    raise tarfile.ReadError(f"a member of {info.size} bytes")
                is_plain = info.isdir() or info.isreg() and not info.issparse()
                if check.wants(_Member(info.name, info.size, is_plain, info.isdir())):
                    tar.extract(info, work, filter="data")
            # It takes the end of the file, or what is no header, for the end of the archive: two blocks of zeros.
            file.seek(tar.offset)
            end = file.read(2 * tarfile.BLOCKSIZE)
            if len(end) < 2 * tarfile.BLOCKSIZE or any(end):
                raise tarfile.ReadError("no end mark")
            while file.read(BLOCK):  # To where gzip has its check sum.
                pass


class _Check:
    """Lets members pass, one after the other.

    Args:
        path (`Path`), work (`Path`):
            The archive, and where it is unpacked.
    """

    def __init__(self, path: Path, work: Path) -> None:
        self._path, self._work = path, work
        self._free = shutil.disk_usage(work).free
        self._members = self._needed = 0
        # Where data files go, and the folders that they lie in: whether it is a file.
        self._places = dict[tuple[str, ...], bool]()

    def wants(self, member: _Member) -> bool:
        """Whether a member is a data file.

        Raises:
            KitError: it is one that no archive of a collection has.
        """
        self._members += 1
        if self._members > _MEMBERS:
            raise KitError(f"{self._path}: more than {_MEMBERS:,} members; unpack it yourself, and give the folder")
        name = member.name
        shown = repr(name if len(name) < 80 else f"{name[:60]}…")
        where = f"{self._path}: member {shown}"
        windows = PureWindowsPath(name)
        parts = (*PurePosixPath(name).parts, *windows.parts)
        if ".." in parts or PurePosixPath(name).is_absolute() or windows.is_absolute() or windows.drive:
            raise KitError(f"{where} would be written outside of its folder; do not trust it")
        if not member.is_plain:
            raise KitError(f"{where} is a link or a device; do not trust this archive")
        if len(name) > 16 * _NAME or max((len(part.encode(errors="replace")) for part in parts), default=0) > _NAME:
            raise KitError(f"{where} has a name that is too long for a disk; rename it, and pack the archive again")
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if member.is_folder or hidden or not name.lower().endswith(_DATA):
            return False
        if member.is_encrypted:
            raise KitError(f"{where} is encrypted; unpack it yourself, and give the folder")
        self._require_own_place(PurePosixPath(name).parts, where)
        self._needed += member.size
        self._require_room()
        return True

    def _require_own_place(self, place: tuple[str, ...], where: str) -> None:
        above = [place[:depth] for depth in range(1, len(place))]
        if place in self._places or any(self._places.get(folder) for folder in above):
            raise KitError(f"{where} stands there twice; pack the archive again")
        self._places |= {**dict.fromkeys(above, False), place: True}

    def _require_room(self) -> None:
        require_plausible(self._path, self._needed)
        if self._needed > _SHARE * self._free:
            raise KitError(
                f"{self._path}: its files take {self._needed >> 20} MiB or more, too many for the {self._free >> 20} "
                f"that are free in {self._work.parent}"
            )

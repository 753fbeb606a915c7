"""Puts a finished folder in the place of an old one, so that a kill at any instant leaves the one or the other.

While it is filled, a folder is called `.NAME.MARK.xxxxxxxx` and lies beside its place; the mark says who fills it.
Where the file system can exchange two names in one step, the old folder is never away. Elsewhere it is called
`.NAME.old.MARK.xxxxxxxx` for a moment, and [`recover`], which every command calls, gives it its name back. Earlier
versions left no mark: of what they may have left, and of other machines, nobody knows whose it is, so it is only told.
"""

import ctypes
import errno
import functools
import logging
import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from builders.artifacts.writer import Writer, has_left, is_elsewhere


logger = logging.getLogger(__name__)

_MARK = re.compile(r"\.(?P<old>old\.)?(?:(?P<mark>[0-9a-f]{6}-\d+-[0-9a-f]{6})\.)?[a-z0-9_]{8}")
_CWD, _EXCHANGE, _SWAP = -100, 2, 2
# Windows has on the disk only what it may write.
_SYNCED = os.O_RDWR if os.name == "nt" else os.O_RDONLY


def temporary_name(path: Path) -> str:
    """How the name of what is to take the place of a path begins."""
    return f".{path.name}.{Writer.here().mark}."


def swap(made: Path, place: Path) -> None:
    """Give a finished folder its place. What stood there is gone afterwards, and not before the new one stands there.

    Args:
        made (`Path`):
            The folder, a sibling of its place.
        place (`Path`):
            Where it goes; a folder may stand there.
    """
    _sync_tree(made)
    while True:
        try:
            os.rename(made, place)  # Onto nothing, or an empty folder.
            sync_folder(place.parent)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        with suppress(FileNotFoundError):  # Somebody removed it in between.
            if not _exchange(made, place):
                _set_aside(made, place)
            sync_folder(place.parent)
            shutil.rmtree(made, ignore_errors=True)
            return


def discard(place: Path) -> None:
    """Remove a folder so that a kill leaves all of it, or nothing that the next command does not remove."""
    recover(place)
    if not place.is_dir():
        return
    with suppress(OSError):
        aside = Path(tempfile.mkdtemp(prefix=temporary_name(place), dir=place.parent))
        try:
            _rename(place, aside)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def recover(place: Path) -> None:
    """Put right what killed processes left beside a path: an old folder set aside comes back, the unfinished goes."""
    try:
        names = sorted(entry.name for entry in os.scandir(place.parent) if entry.name.startswith(f".{place.name}."))
    except OSError:
        return
    for name in names:
        found, path = _MARK.fullmatch(name.removeprefix(f".{place.name}")), place.with_name(name)
        if found is None:
            continue
        if not found["mark"] or is_elsewhere(found["mark"]):
            _tell(path)
        if not found["mark"] or not has_left(found["mark"]):
            continue
        with suppress(OSError):
            if found["old"] and not os.path.lexists(place) and any(path.iterdir()):
                os.rename(path, place)
                sync_folder(place.parent)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@functools.cache
def _tell(path: Path) -> None:
    """Name, once, what may be a leftover and may be somebody's."""
    logger.warning(f"{path}: may be left of a command that was killed: remove it if nobody uses it")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; a new file is safe only when the folder that names it is."""
    if os.name == "nt":  # Windows opens no folder, and has their names on the disk by itself.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # Some file systems of networks know no such thing.
            raise
    finally:
        os.close(handle)


def _sync_tree(folder: Path) -> None:
    """Have all that a folder holds on the disk."""
    for root, _, names in os.walk(folder):
        for path in filter(os.path.isfile, (os.path.join(root, name) for name in names)):
            handle = os.open(path, _SYNCED)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(root))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; `False` where the system or the file system cannot."""
    if os.name == "nt":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    names = (os.fsencode(one), os.fsencode(other))
    if sys.platform == "darwin":
        done = library.renamex_np(*names, _SWAP)
    elif hasattr(library, "renameat2"):
        done = library.renameat2(_CWD, names[0], _CWD, names[1], _EXCHANGE)
    else:
        return False
    code = ctypes.get_errno()
    if done and code not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(other))
    return not done


def _set_aside(made: Path, place: Path) -> None:
    """In two steps: the old folder is set aside, the new one takes its place and the old one the new one's name."""
    old = Path(tempfile.mkdtemp(prefix=f".{place.name}.old.{Writer.here().mark}.", dir=place.parent))
    try:
        _rename(place, old)
        sync_folder(place.parent)
        os.rename(made, place)
        sync_folder(place.parent)
        os.rename(old, made)
    except BaseException:
        if not os.path.lexists(place):
            os.rename(old, place)
        raise


def _rename(folder: Path, empty: Path) -> None:
    """Give a folder the name of an empty one, which goes first: Windows puts nothing in its place."""
    empty.rmdir()
    os.rename(folder, empty)

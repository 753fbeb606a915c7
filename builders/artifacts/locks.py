"""One command at a time in a work folder: a file beside it says who works there, and the next one is told."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from builders.artifacts.swap import sync_folder
from builders.artifacts.writer import Writer
from builders.errors import KitError
from builders.processes import Processes


@contextmanager
def locked(folder: Path, processes: Processes) -> Iterator[None]:
    """Work alone in a folder that keeps unfinished work; the processes of one launch share it.

    A killed command's lock is taken over. Where nothing can be written there is nothing to lock: whoever writes there
    learns it soon enough.

    Args:
        folder (`Path`):
            The work folder, there or not; `.NAME.lock` beside it is the lock.
        processes ([`Processes`]):
            Who shares the work; every one of them must call this.

    Raises:
        KitError: somebody else works there.
    """
    path, taken, refusal = folder.with_name(f".{folder.name}.lock"), False, None
    absent = [place for place in (path.parent, *path.parent.parents) if not place.exists()]
    if processes.is_main:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            taken = _take(path, folder)
        except OSError:
            pass
        except KitError as error:
            refusal = str(error)
    try:
        # The other processes would go on, and wait for the main one.
        if refused := next(filter(None, processes.gather([refusal])), None):
            raise KitError(refused)
        yield
    finally:
        if taken:
            with suppress(OSError):  # Windows removes no file that somebody reads; it is a dead process's lock then.
                path.unlink()
        with suppress(OSError):
            for place in absent if processes.is_main else ():
                place.rmdir()  # Unless something has been written there.


def _take(path: Path, folder: Path) -> bool:
    """Write this process into the lock; `False` where it stands there already."""
    here = Writer.here()
    with path.open("a+") as file:
        # Among those that read and write the lock at the same moment; the lock itself is what stands in the file.
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        if not (path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))):
            return _take(path, folder)  # Its owner has removed it by now.
        file.seek(0)
        there, since = _read(file.read())
        if there == here:
            return False
        if there is not None and there.is_alive():
            raise KitError(
                f"{folder}: process {there.pid} on {there.host} works there since {since}: wait for it or end it, or "
                f"give another --output_dir; if there is no such process, remove {path}"
            )
        file.truncate(0)
        file.write(json.dumps({**asdict(here), "since": time.strftime("%Y-%m-%d %H:%M:%S")}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return True


def _read(text: str) -> tuple[Writer | None, str]:
    """Who has the lock, and since when; a lock that a kill cut short is nobody's."""
    try:
        content = dict(json.loads(text))
        since = str(content.pop("since"))
        writer = Writer(**content)
        return (writer if isinstance(writer.pid, int) else None), since
    except (ValueError, TypeError, KeyError):
        return None, ""

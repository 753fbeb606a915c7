"""Files and folders written whole or not at all, JSON in the kit's one form, and hashes."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builders.artifacts.ownership import Kind, require_own
from builders.artifacts.swap import recover, swap, sync_folder, temporary_name
from builders.errors import KitError


def atomic_write(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: readers see the old bytes or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recover(path)
    handle, temporary = tempfile.mkstemp(prefix=temporary_name(path), dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path, kind: Kind) -> Iterator[Path]:
    """Fill a temporary sibling, which takes the place of `path` when the block ends well and vanishes when not.

    A kill leaves what stood there or, from the instant of the exchange, what was made; see [`swap`].

    Args:
        path (`Path`):
            Replaced as a whole if it exists; of a link, what it leads to.
        kind ([`Kind`]):
            What the block makes.

    Raises:
        KitError: the path holds something else, which must not be lost.
    """
    require_own(path, kind)
    with cached_folder(path.resolve()) as work:
        yield work


@contextmanager
def cached_folder(path: Path) -> Iterator[Path]:
    """The same for a folder of the cache, which is the kit's own whatever it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    recover(path)
    work = Path(tempfile.mkdtemp(prefix=temporary_name(path), dir=path.parent))
    os.chmod(work, 0o755)
    try:
        yield work
        swap(work, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def dump_json(value: Any) -> str:
    """JSON as the kit writes it: sorted, indented, readable in any language, equal bytes for equal values."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def file_hash(path: Path) -> str:
    """sha256 of a file, in hexadecimal digits.

    Raises:
        KitError: it is a pipe or a device, which may never end.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise KitError(f"{path}: no plain file; take it out")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> dict[str, Path]:
    """Relative path, as the Hub writes it → file, for all files of a folder."""
    paths = [Path(root, name) for root, _, names in os.walk(folder) for name in names]
    return dict(sorted((path.relative_to(folder).as_posix(), path) for path in paths))


def require_files(folder: Path, files: object, record: str, remedy: str) -> frozenset[str]:
    """Check the files that a folder's record vouches for.

    Args:
        folder (`Path`), record (`str`):
            The folder, and the name of its record.
        files (`object`):
            What the record says: name → sha256.
        remedy (`str`):
            What to do.

    Returns:
        Their names.

    Raises:
        KitError: one is missing, truncated or edited.
    """
    if not isinstance(files, dict):
        raise KitError(f"{folder}: {record} is broken; {remedy}")
    inside = files_below(folder)
    for name, expected in files.items():
        if name not in inside or not inside[name].is_file():
            raise KitError(f"{folder}: {name} is missing; {remedy}")
        if file_hash(inside[name]) != expected:
            what = "its weights differ from those measured" if name.endswith(".safetensors") else "truncated or edited"
            raise KitError(f"{inside[name]}: {what} (its hash is not the one in {record}); {remedy}")
    return frozenset(files)

"""What a source of collections, and a kind of folder, says of itself: how it is named, who reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builders.collections.collection import Collection
from builders.collections.files.metadata import Metadata


@dataclass(frozen=True)
class Source:
    """What `--collection` takes: see `builders.collections.load.SOURCES`.

    Args:
        forms (`tuple[str, ...]`):
            How its collections are named; what stands in capitals is chosen by the user.
        reads (`str`):
            What it reads, in the README's table.
        matches (`Callable[[str], bool]`):
            Whether a name is its own.
        load (`Callable[[str, str | None], Collection]`):
            The collection of a name, in a language (ISO 639-1) where the user states one.
    """

    forms: tuple[str, ...]
    reads: str
    matches: Callable[[str], bool]
    load: Callable[[str, str | None], Collection]


@dataclass(frozen=True)
class FolderKind:
    """A form that a collection's files may have: see `builders.collections.folder.KINDS`.

    Args:
        name (`str`):
            What `collection.yaml` calls it (`kind`).
        files (`str`), reads (`str`):
            The files that it has, for messages, and what it is, in the README's table.
        matches (`Callable[[Path], bool]`):
            Whether the names of a folder's files are its own.
        load (`Callable[[Path, str | None, Metadata], Collection]`):
            The collection in a folder, or in a single file, in a language, with what the folder states; at least a
            name.
        matches_file (`Callable[[Path], bool]`, *optional*):
            Whether a single file is a collection of this kind; without it none is.
    """

    name: str
    files: str
    reads: str
    matches: Callable[[Path], bool]
    load: Callable[[Path, str | None, Metadata], Collection]
    matches_file: Callable[[Path], bool] = lambda path: False

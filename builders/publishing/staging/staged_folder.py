"""Say what a folder is that may be published, which of its files go up, and check what all kinds have in common."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import file_hash, files_below
from builders.errors import KitError
from builders.publishing.card_merge import Card, addressed, marked, read_card


@dataclass(frozen=True)
class StagedFolder:
    """A folder that is ready to be published.

    Args:
        folder (`Path`):
            Where it lies.
        kind (`str`):
            `expansions`, `references`, `preferences`, `triplets`, `adapter`, `retriever`, `merged`, `gguf` or
            `space`.
        repo_type (`str`):
            The Hub's word for it: `dataset`, `model` or `space`.
        files (`Mapping[str, Path]`):
            Path in the repository → file. The card is among them.
        left_out (`tuple[str, ...]`):
            What lies in the folder and does not go up.
        version (`str`):
            The code that made it, for the commit message; may be empty.
        rows (`Mapping[str, int]`):
            Config → rows; empty unless this is a dataset.
        repo_id (`str`):
            Where it goes, for the card's load lines; empty leaves them as they were rendered.
    """

    folder: Path
    kind: str
    repo_type: str
    files: Mapping[str, Path]
    left_out: tuple[str, ...]
    version: str
    rows: Mapping[str, int]
    repo_id: str = ""

    @cached_property
    def card(self) -> Card:
        """The card, with marks around what was generated."""
        card = marked(_read_card(self.folder / CARD))
        return addressed(card, self.repo_id) if self.repo_id else card

    @cached_property
    def publish_id(self) -> str:
        """One hash for all that goes up: commits carry it, so that a lost commit is recognised."""
        digest = hashlib.sha256(f"{self.kind}\n{self.card}".encode())
        for name, path in sorted(self.files.items()):
            if name != CARD:
                digest.update(f"{name}\0{file_hash(path)}\n".encode())
        return digest.hexdigest()[:32]


def stage(
    folder: Path,
    kind: str,
    repo_type: str,
    record: dict[str, Any],
    goes_up: Callable[[str], bool],
    rows: Mapping[str, int] | None = None,
) -> StagedFolder:
    """Make a staged folder of a folder that holds what its record says; its card is not looked at yet.

    Args:
        folder (`Path`), kind (`str`), repo_type (`str`), rows (`Mapping[str, int]`, *optional*):
            See [`StagedFolder`].
        record (`dict`):
            Its provenance.
        goes_up (`Callable`):
            Whether the file of a name is published.

    Raises:
        KitError: it was made by edited code, or a file lies outside of it or is no file.
    """
    refuse_dirty(folder, record)
    inside = files_below(folder)
    left_out = tuple(name for name in inside if not goes_up(name))
    files = {name: path for name, path in inside.items() if name not in left_out}
    for path in files.values():
        _refuse_odd(folder, path)
    return StagedFolder(folder, kind, repo_type, files, left_out, str(record.get("code_version", "")), rows or {})


def read_card_data(folder: Path, missing: str, remedy: str) -> dict[str, Any]:
    """The front matter of a folder's card; raises KitError, with what is missing then and its remedy, without one."""
    path = folder / CARD
    if not path.is_file():
        raise KitError(f"{folder}: {missing}; {remedy}")
    return _read_card(path).data


def _read_card(path: Path) -> Card:
    try:
        return read_card(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise KitError(f"{path}: no text in UTF-8; make the folder's card again") from error


def require_base(folder: Path, data: Mapping[str, Any], base: str, relation: str, remedy: str) -> None:
    """Raise KitError unless a card's front matter names the base model, and the relation to it."""
    named = data.get("base_model")
    is_named = base in (named if isinstance(named, list) else [named])
    if not is_named or data.get("base_model_relation") != relation:
        raise KitError(f"{folder / CARD}: does not say that it was made of {base} (relation: {relation}); {remedy}")


def _refuse_odd(folder: Path, path: Path) -> None:
    """Refuse a link that leads out of the folder, whose target nobody meant to publish, and what is no plain file."""
    if folder.resolve() not in path.resolve().parents:
        raise KitError(f"{path}: a link to {os.readlink(path)}, outside of the folder: put the file itself there")
    if not path.is_file():
        raise KitError(f"{path}: no plain file; take it out")


def refuse_dirty(folder: Path, record: object) -> None:
    """Refuse what was made by edited code, or from something that was.

    Args:
        folder (`Path`):
            Named in the error.
        record (`object`):
            Provenance: JSON in which every `code_version`, however deep, is looked at.

    Raises:
        KitError: a code version ends with `.dirty`.
    """
    if isinstance(record, dict):
        version = record.get("code_version")
        if isinstance(version, str) and version.endswith(".dirty"):
            raise KitError(
                f"{folder}: made by edited code ({version}), so nobody could make it again: "
                "commit the code, then make the folder again"
            )
        record = list(record.values())
    for value in record if isinstance(record, list) else []:
        refuse_dirty(folder, value)

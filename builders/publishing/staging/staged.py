"""The rendered folder: what it is (dataset, adapter, retriever, export or Space), and which of its files go up."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import file_hash
from builders.errors import KitError
from builders.publishing.card_merge import Card, addressed, marked, read_card


@dataclass(frozen=True)
class Rendered:
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
        version (`str`):
            The code that made it, for the commit message; may be empty.
        rows (`Mapping[str, int]`):
            Config → rows; empty unless this is a dataset.
        left_out (`tuple[str, ...]`):
            What lies in the folder and does not go up.
        repo_id (`str`):
            Where it goes, for the card's load lines; empty leaves them as they were rendered.
    """

    folder: Path
    kind: str
    repo_type: str
    files: Mapping[str, Path]
    version: str
    rows: Mapping[str, int]
    left_out: tuple[str, ...] = ()
    repo_id: str = ""

    @cached_property
    def card(self) -> Card:
        """The card, with marks around what was generated."""
        card = marked(read_card((self.folder / CARD).read_text(), f"{self.folder / CARD}"))
        return addressed(card, self.repo_id) if self.repo_id else card

    @cached_property
    def publish_id(self) -> str:
        """One hash for all that goes up: commits carry it, so that a lost commit is recognised."""
        digest = hashlib.sha256(f"{self.kind}\n{self.card}".encode())
        for name, path in sorted(self.files.items()):
            if name != CARD:
                digest.update(f"{name}\0{file_hash(path)}\n".encode())
        return digest.hexdigest()[:32]


def files_below(folder: Path) -> dict[str, Path]:
    """Relative path, as the Hub writes it → file, for all files of a folder."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


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
        for value in record.values():
            refuse_dirty(folder, value)
    elif isinstance(record, list):
        for value in record:
            refuse_dirty(folder, value)

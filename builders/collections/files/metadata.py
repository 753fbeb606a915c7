"""Reads `collection.yaml`: what a folder says of its collection."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from builders.collections.collection import SPLITS, Split
from builders.collections.files.language import short_code
from builders.collections.files.lines import form_of
from builders.collections.files.sgml import holds_sgml
from builders.collections.files.tables import RECORD_FORMS
from builders.errors import KitError


FILE = "collection.yaml"
DIVIDE = "divide"

_LANGUAGE = re.compile(r"[a-z]{2}")


@dataclass(frozen=True)
class Metadata:
    """Facts about a collection that its files do not hold. Each may be left out.

    Args:
        name (`str`, *optional*):
            Short name; by default the folder's.
        kind (`str`, *optional*):
            What the files are (`builders.collections.folder.KINDS`); by default seen from their names.
        language (`str`, *optional*):
            ISO 639-1 code of documents and queries; by default guessed from their texts.
        source (`str`, *optional*), licence (`str`, *optional*), judgments (`str`, *optional*):
            As in [`Collection`].
        split (`Split` or `"divide"`, *optional*):
            Where all queries belong, whatever the files are called; `divide` parts them 70/10/20 by their ids.
        relevance_level (`int`, *optional*):
            As in [`Collection`].
        pooled (`bool`, *optional*):
            Whether the documents are a pooled subset: judgments of documents outside of it are then kept.
        index_title (`bool`, *optional*):
            As in [`Collection`].
        ignore_identical_ids (`bool`, *optional*):
            As in [`Collection`]; by default whether queries are seen to stand among the documents under their own ids.
        corpus (`str`, *optional*):
            Where the documents are, a file or a folder, relative to this folder: several collections may share one.
        columns (`Mapping[str, str]`, *optional*):
            For click logs: `query`, `document_id`, `text`, `title`, `count` or `rating` → the column's name.
    """

    name: str | None = None
    kind: str | None = None
    language: str | None = None
    source: str | None = None
    licence: str | None = None
    judgments: str | None = None
    split: str | None = None
    relevance_level: int | None = None
    pooled: bool | None = None
    index_title: bool | None = None
    ignore_identical_ids: bool | None = None
    corpus: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def or_else(self, **defaults: Any) -> "Metadata":
        """These facts, with others where none is stated."""
        return replace(self, **{name: value for name, value in defaults.items() if getattr(self, name) is None})

    def split_of(self, found: Split | None) -> Split | None:
        """The split of a judgment whose file names `found`; `None` where queries are divided by their ids."""
        if self.split is None:
            return found
        return next((split for split in SPLITS if split == self.split), None)

    def corpus_files(self, folder: Path, usual: re.Pattern[str] | None = None) -> tuple[Path, ...]:
        """The files of the corpus that is named; where none is, those in the folder that have a usual name.

        Raises:
            KitError: there is no such file or folder.
        """
        if self.corpus is None:
            return tuple(path for path in sorted(folder.iterdir()) if usual.match(path.name)) if usual else ()
        named = folder / Path(self.corpus).expanduser()
        inside = sorted(
            path for path in named.glob("*") if path.is_file() and (form_of(path) in RECORD_FORMS or holds_sgml(path))
        )
        files = (named,) if named.is_file() else tuple(inside)
        if not files:
            raise KitError(f"{folder / FILE}: corpus: {self.corpus!r} is no file, and no folder of such files")
        return files


def read_metadata(folder: Path) -> Metadata:
    """The folder's `collection.yaml`; without one, nothing is stated.

    Raises:
        KitError: it is no YAML, or a field has a name or a value that is not known.
    """
    path = folder / FILE
    if not path.is_file():
        return Metadata()
    import yaml

    try:
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KitError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(stated, dict):
        raise KitError(f"{path}: a mapping is expected, such as language: en")
    known = {field.name: field.type for field in fields(Metadata)}
    for name, value in stated.items():
        if name not in known:
            raise KitError(f"{path}: field {name!r} is not known; it may hold {', '.join(known)}")
        if complaint := _complaint(name, value):
            raise KitError(f"{path}: {name}: {value!r} is not {complaint}")
    return Metadata(**stated)


def check_language(language: str, where: str) -> str:
    """The language's ISO 639-1 code, which may be given in three letters (`deu`).

    Raises:
        KitError: it is no such code.
    """
    code = short_code(language)
    if not _LANGUAGE.fullmatch(code):
        raise KitError(f"{where}: {language!r} is not a language; give its ISO 639-1 code, such as en or zh")
    return code


def _complaint(name: str, value: Any) -> str:
    """What the value of a field ought to be, where it is something else."""
    if name in ("pooled", "index_title", "ignore_identical_ids"):
        return "" if isinstance(value, bool) else "true or false"
    if name == "relevance_level":
        whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
        return "" if whole else "a whole number above 0"
    if name == "columns":
        pairs = value.items() if isinstance(value, dict) else [(None, None)]
        right = all(isinstance(word, str) for pair in pairs for word in pair)
        return "" if right else "a mapping of names to the columns' names"
    if not isinstance(value, str) or not value.strip() or "\n" in value.strip():
        return "a line of text"
    if name == "split" and value not in (*SPLITS, DIVIDE):
        return f"one of {', '.join((*SPLITS, DIVIDE))}"
    if name == "language" and not _LANGUAGE.fullmatch(short_code(value)):
        return "an ISO 639-1 code, such as en or zh"
    return ""

"""Reads a collection from a path: the kind of its files tells who reads it; a further kind is one more in `KINDS`."""

from pathlib import Path

from builders.collections.beir import BEIR
from builders.collections.clicks import CLICKS
from builders.collections.collection import Collection
from builders.collections.files.archive import is_archive, unpack
from builders.collections.files.excluded import with_excluded
from builders.collections.files.metadata import FILE, Metadata, read_metadata
from builders.collections.miracl import MIRACL
from builders.collections.open_qa import OPEN_QA
from builders.collections.source import FolderKind, Source
from builders.collections.training_pairs import PAIRS
from builders.collections.trec import TREC
from builders.errors import KitError


# The first that knows a folder's files reads them, unless the folder states its kind.
KINDS: tuple[FolderKind, ...] = (BEIR, CLICKS, MIRACL, TREC, OPEN_QA, PAIRS)

# Names of a folder's files that a message lists.
LISTED = 12


def load_path(name: str, language: str | None = None) -> Collection:
    """Read a folder, an archive of one, a click log, or a file of questions.

    Args:
        name (`str`):
            The folder or file. What kind it is, its `collection.yaml` states, or the names of its files tell.
        language (`str`, *optional*):
            ISO 639-1 code; it goes before what the folder states.

    Raises:
        KitError: the folder has none of the forms that are known, or cannot be read in its form.
    """
    path = Path(name).expanduser()
    if path.is_file() and not is_archive(path):
        return _load_file(path, language)
    archive = path if path.is_file() else None
    folder = unpack(path) if archive else path
    stated = read_metadata(folder)
    if archive and stated.corpus is not None:
        if not (folder / stated.corpus).resolve().is_relative_to(folder.resolve()):
            raise KitError(f"{path}: {FILE}: corpus: {stated.corpus!r} lies outside of the archive; do not trust it")
    kind = folder_kind(folder, stated)
    if kind is None:
        forms = "; ".join(f"{kind.name}: {kind.files}" for kind in KINDS)
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:LISTED]) or "nothing"
        raise KitError(f"{path}: not a collection in a form that is known. There: {there}. Looked for {forms}")
    named = stated.or_else(name=_short(archive) if archive else folder.resolve().name)
    return with_excluded(kind.load(folder, language, named), folder)


def folder_kind(folder: Path, stated: Metadata) -> FolderKind | None:
    """The kind of a folder's files, by what it states or by their names; `None` where none is known.

    Raises:
        KitError: it states a kind that is not known.
    """
    known = {kind.name: kind for kind in KINDS}
    if stated.kind is not None and stated.kind not in known:
        raise KitError(f"{folder / FILE}: kind: {stated.kind!r} is not one of {', '.join(known)}")
    return known[stated.kind] if stated.kind else next((kind for kind in KINDS if kind.matches(folder)), None)


def _load_file(path: Path, language: str | None) -> Collection:
    for kind in KINDS:
        if kind.matches_file(path):
            return kind.load(path, language, Metadata(name=_short(path.resolve())))
    alone = " nor ".join(kind.reads for kind in (CLICKS, OPEN_QA, PAIRS))
    raise KitError(f"{path}: neither {alone}; a collection of several files is a folder")


def _short(path: Path) -> str:
    return path.name.split(".")[0]


PATHS = Source(
    ("PATH",),
    f"a folder, or an archive of one, of the kind {', '.join(kind.name for kind in KINDS)}; or a file of the kind "
    f"{CLICKS.name}, {OPEN_QA.name} or {PAIRS.name}",
    lambda name: bool(name) and Path(name).expanduser().exists(),
    load_path,
)

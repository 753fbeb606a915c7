"""A collection from a path: which kind its files are, and who reads it."""

from collections.abc import Callable
from pathlib import Path

from builders.collections import beir, clicks, miracl, open_qa, trec
from builders.collections.collection import Collection
from builders.collections.files.archive import is_archive, unpack
from builders.collections.files.metadata import FILE, KINDS, Kind, Metadata, read_metadata
from builders.collections.files.questions import holds_questions
from builders.errors import KitError


Loader = Callable[[Path, str | None, Metadata], Collection]

_LOADERS: dict[Kind, Loader] = {
    "beir": beir.load_beir,
    "clicks": clicks.load_clicks,
    "miracl": miracl.load_miracl,
    "open-qa": open_qa.load_open_qa,
    "trec": trec.load_trec,
}
_FORMS = {
    "beir": beir.FORM,
    "trec": trec.FORM,
    "miracl": miracl.FORM,
    "open-qa": open_qa.FORM,
    "clicks": clicks.FORM,
}


def load_path(path: Path, language: str | None = None) -> Collection:
    """Read a folder, an archive of one, a click log, or a file of questions.

    Args:
        path (`Path`):
            The folder or file. What kind it is, its `collection.yaml` states, or the names of its files tell.
        language (`str`, *optional*):
            ISO 639-1 code; it goes before what the folder states.

    Raises:
        KitError: the folder has none of the forms that are known, or cannot be read in its form.
    """
    if path.is_file() and not is_archive(path):
        return _load_file(path, language)
    archive = path if path.is_file() else None
    folder = unpack(path) if archive else path
    stated = read_metadata(folder)
    if archive:
        if stated.corpus is not None and not (folder / stated.corpus).resolve().is_relative_to(folder.resolve()):
            raise KitError(f"{path}: {FILE}: corpus: {stated.corpus!r} lies outside of the archive; do not trust it")
        stated = stated.or_else(name=archive.name.split(".")[0])
    kind = stated.kind or kind_of(folder)
    if kind is None:
        forms = "; ".join(f"{kind}: {_FORMS[kind]}" for kind in KINDS)
        raise KitError(f"{path}: not a collection in a form that is known. Looked for {forms}")
    return _LOADERS[kind](folder, language, stated)


def kind_of(folder: Path) -> Kind | None:
    """What the names of a folder's files tell; `None` where they tell nothing."""
    if beir.is_beir(folder):
        return "beir"
    if clicks.click_files(folder):
        return "clicks"
    if miracl.is_miracl(folder):
        return "miracl"
    if trec.is_trec(folder):
        return "trec"
    return "open-qa" if open_qa.question_files(folder) else None


def _load_file(path: Path, language: str | None) -> Collection:
    if clicks.holds_clicks(path):
        return clicks.load_clicks(path, language)
    if holds_questions(path):
        return open_qa.load_open_qa(path, language)
    raise KitError(
        f"{path}: neither a click log ({clicks.FORM}) nor questions (question, answers); a collection of several "
        "files is a folder"
    )

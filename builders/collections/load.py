"""Loads a collection by the name that `--collection` takes; a further source is one more in `SOURCES`."""

from builders.collections.collection import Collection
from builders.collections.files.metadata import check_language
from builders.collections.folder import PATHS
from builders.collections.hub import HUB
from builders.collections.ir_dataset import IR_DATASETS
from builders.collections.miracl import MIRACL_ON_HUB
from builders.collections.pydocs.pydocs import PYDOCS
from builders.collections.source import Source
from builders.errors import KitError


# The first that knows a name reads it.
SOURCES: tuple[Source, ...] = (PYDOCS, IR_DATASETS, MIRACL_ON_HUB, PATHS, HUB)


def load_collection(name: str, language: str | None = None) -> Collection:
    """Read the collection that a name means.

    Args:
        name (`str`):
            In one of the forms of [`SOURCES`], such as `pydocs`, the path of a folder, or `OWNER/NAME` of the Hub.
        language (`str`, *optional*):
            ISO 639-1 code of documents and queries; it decides analyzers and prompts. By default what the source
            states, else what the texts suggest.

    Raises:
        KitError: there is no such collection, or it cannot be read.
    """
    if language is not None:
        language = check_language(language, "--language")
    for source in SOURCES:
        if source.matches(name):
            return source.load(name, language)
    raise KitError(f"no collection {name!r}: give {_forms()}; PATH stands for {PATHS.reads}")


def collection_help() -> str:
    """The help of an option that takes a collection's name."""
    return f"{_forms()}."


def _forms() -> str:
    return ", ".join(form for source in SOURCES for form in source.forms)

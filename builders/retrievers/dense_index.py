"""Dense retrieval by an encoder: documents whose vectors lie closest to the query's, exactly or by faiss."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.encoder import EMBEDDED, Encoder
from builders.retrievers.faiss_index import Faiss
from builders.retrievers.nearest import Exact
from builders.retrievers.retriever import Hit, NamedRetriever
from builders.retrievers.vectors import document_vectors, vectors_folder


if TYPE_CHECKING:
    import numpy as np

# Collections of so many documents are searched by faiss, smaller ones exactly.
FAISS_FROM = 1_000_000

_NAME = re.compile(r"dense:(?P<model>.+?)(@(?P<revision>[^@/]+))?")


class DenseRetriever(NamedRetriever):
    """Ranks by the scalar product of vectors of length 1, the cosine. Ties are broken by document id.

    Every document is a hit, if only a distant one.

    Args:
        collection (`Collection`):
            What to search; its documents are encoded once and kept in the cache.
        model (`str`), revision (`str`, *optional*):
            See `builders.retrievers.encoder.Encoder`.

    Raises:
        KitError: the encoder cannot be had, or an extra is not installed.
    """

    forms = ("dense:MODEL[@REVISION]",)
    searches_by = (
        "the vectors of a sentence-transformers model: Hub id, folder, or "
        f"`{EMBEDDED}`, MiniLM from a pip package (extra `dense`; from a million documents on, extra `faiss`)"
    )
    languages = "the model's"

    def __init__(self, collection: Collection, model: str, revision: str | None = None) -> None:
        self._encoder = Encoder(model, revision)
        documents, self._ids = document_vectors(collection, self._encoder)
        self._columns = documents.shape[1]
        self._neighbours: Exact | Faiss = Exact(documents)
        if len(self._ids) >= FAISS_FROM:
            self._neighbours = Faiss(documents, vectors_folder(collection, self._encoder))
        self.name = f"dense({self._encoder.model_id},{self._encoder.revision},search={self._neighbours.name})"

    @classmethod
    def from_name(cls, name: str, collection: Collection, load: object = None) -> Self | None:
        """See `NamedRetriever.from_name`."""
        match = _NAME.fullmatch(name)
        return cls(collection, match["model"], match["revision"]) if match else None

    @classmethod
    def folders(cls, name: str) -> list[str]:
        """See `NamedRetriever.folders`: the encoder, where it is one."""
        match = _NAME.fullmatch(name)
        return [match["model"]] if match and Path(match["model"]).is_dir() else []

    @classmethod
    def pins(cls, name: str) -> list[str]:
        """See `NamedRetriever.pins`."""
        return [Encoder(folder).revision for folder in cls.folders(name)]

    def search(self, queries: Sequence[str], depth: int) -> list[list[Hit]]:
        """See `Retriever.search`."""
        return self.search_vectors(self.encode_queries(queries), depth)

    def encode_queries(self, texts: Sequence[str]) -> "np.ndarray":
        """See `VectorRetriever.encode_queries`."""
        return self._encoder.encode_queries(texts)

    def encode_passages(self, texts: Sequence[str]) -> "np.ndarray":
        """See `VectorRetriever.encode_passages`."""
        return self._encoder.encode_passages(texts)

    def search_vectors(self, vectors: "np.ndarray", depth: int) -> list[list[Hit]]:
        """See `VectorRetriever.search_vectors`."""
        if vectors.shape[1] != self._columns:
            raise KitError(
                f"{self.name}: its documents have vectors of {self._columns} numbers, and these queries of "
                f"{vectors.shape[1]}: of another encoder"
            )
        if depth < 1:
            return [[] for _ in vectors]
        rankings = []
        for rows, scores in self._neighbours.nearest(vectors, depth):
            hits = [Hit(self._ids[row], float(score)) for row, score in zip(rows, scores, strict=True)]
            rankings.append(sorted(hits, key=lambda hit: (-hit.score, hit.document_id))[:depth])
        return rankings

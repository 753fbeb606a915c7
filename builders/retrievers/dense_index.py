"""Dense retrieval: documents whose vectors lie closest to the query's, exactly or by faiss."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.encoder import Encoder
from builders.retrievers.retriever import Hit
from builders.retrievers.vectors import document_vectors, vectors_folder


if TYPE_CHECKING:
    import numpy as np

# Collections of so many documents are searched by faiss, smaller ones exactly.
FAISS_FROM = 1_000_000
# So many scores are held at once: 64 MiB.
QUERIES_TOGETHER, DOCUMENTS_TOGETHER = 256, 65_536
# Digits of a score. What comes after them is noise of the arithmetic, and would order equal documents by chance.
DIGITS = 6


class Neighbours(Protocol):
    """Finds the rows of a matrix with the largest scalar products. `name` says how, in provenance."""

    name: str

    def nearest(self, vectors: "np.ndarray", depth: int) -> "list[tuple[np.ndarray, np.ndarray]]":
        """For each vector the numbers of at least `depth` rows, as far as there are, in any order, and their scores.

        Whatever ties with the last one may come too.
        """
        ...


class DenseRetriever:
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

    def __init__(self, collection: Collection, model: str, revision: str | None = None) -> None:
        self._encoder = Encoder(model, revision)
        documents, self._ids = document_vectors(collection, self._encoder)
        self._columns = documents.shape[1]
        self._neighbours: Neighbours = Exact(documents)
        if len(self._ids) >= FAISS_FROM:
            from builders.retrievers.faiss_index import Faiss

            self._neighbours = Faiss(documents, vectors_folder(collection, self._encoder))
        self.name = f"dense({self._encoder.model_id},{self._encoder.revision},search={self._neighbours.name})"

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


class Exact:
    """Compares with every row, block by block, so that neither side has to fit into memory."""

    name = "exact"

    def __init__(self, documents: "np.ndarray") -> None:
        self._documents = documents

    def nearest(self, vectors: "np.ndarray", depth: int) -> "list[tuple[np.ndarray, np.ndarray]]":
        """See `Neighbours.nearest`."""
        found = []
        for first in range(0, len(vectors), QUERIES_TOGETHER):
            found += self._nearest(vectors[first : first + QUERIES_TOGETHER], depth)
        return found

    def _nearest(self, vectors: "np.ndarray", depth: int) -> "list[tuple[np.ndarray, np.ndarray]]":
        import numpy as np

        kept: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0, np.int64), np.empty(0, np.float64))] * len(vectors)
        for first in range(0, len(self._documents), DOCUMENTS_TOGETHER):
            block = np.asarray(self._documents[first : first + DOCUMENTS_TOGETHER])
            scores = np.round((vectors @ block.T).astype(np.float64), DIGITS)
            for number, of_query in enumerate(scores):
                places = best(of_query, depth)
                rows = np.concatenate([kept[number][0], first + places])
                both = np.concatenate([kept[number][1], of_query[places]])
                places = best(both, depth)
                kept[number] = rows[places], both[places]
        return kept


def best(scores: "np.ndarray", depth: int) -> "np.ndarray":
    """Places of the `depth` largest scores, and of all that tie with the last of them."""
    import numpy as np

    if len(scores) <= depth:
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, -depth)[-depth])

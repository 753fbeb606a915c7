"""Nearest vectors of a matrix by scalar product: exact search, block by block."""

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import numpy as np

# So many scores are held at once: 64 MiB.
QUERIES_TOGETHER, DOCUMENTS_TOGETHER = 256, 65_536
# Digits of a score. What comes after them is noise of the arithmetic, and would order equal documents by chance.
DIGITS = 6


class Exact:
    """Finds the rows of a matrix with the largest scalar products; `name` says how, in provenance.

    It compares with every row, block by block, so that neither side has to fit into memory.
    """

    name = "exact"

    def __init__(self, documents: "np.ndarray") -> None:
        self._documents = documents

    def nearest(self, vectors: "np.ndarray", depth: int) -> "list[tuple[np.ndarray, np.ndarray]]":
        """For each vector the numbers of at least `depth` rows, as far as there are, in any order, and their scores.

        Whatever ties with the last one may come too.
        """
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

"""Approximate search by faiss, for collections where comparing with every document takes too long."""

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.files import cached_folder
from builders.errors import KitError
from builders.retrievers.nearest import DIGITS


if TYPE_CHECKING:
    import numpy as np

# What each cell is trained with; faiss warns below 39.
VECTORS_PER_CELL, FEWEST_PER_CELL = 64, 39
PROBED_SHARE = 1 / 16
ADDED_TOGETHER = 65_536


class Faiss:
    """Rows in 4·√n cells (IVF); the cells closest to a query are searched, one in sixteen.

    Cells are learnt with a fixed seed from vectors at even distances, so the same vectors give the same index.

    Args:
        documents (`np.ndarray`):
            The rows.
        folder (`Path`):
            The folder of the vectors; the index is kept beside it.

    Raises:
        KitError: the extra `faiss` is not installed.
    """

    def __init__(self, documents: "np.ndarray", folder: Path) -> None:
        if importlib.util.find_spec("faiss") is None:
            raise KitError(
                f"a dense index of {len(documents):,} documents needs faiss: pip install 'query-expansion-kit[faiss]'"
            )
        import faiss

        cells = max(1, min(int(4 * len(documents) ** 0.5), len(documents) // FEWEST_PER_CELL))
        probed = max(1, round(cells * PROBED_SHARE))
        self.name = f"faiss-ivf{cells},probed={probed}"
        kept = folder.with_name(f"{folder.name}-ivf{cells}")
        if not kept.is_dir():
            with cached_folder(kept) as work:
                faiss.write_index(_built(documents, cells), str(work / "index.faiss"))
        self._index = faiss.read_index(str(kept / "index.faiss"), faiss.IO_FLAG_MMAP)
        faiss.ParameterSpace().set_index_parameter(self._index, "nprobe", probed)

    def nearest(self, vectors: "np.ndarray", depth: int) -> "list[tuple[np.ndarray, np.ndarray]]":
        """See `Exact.nearest`; rows of other cells than those searched are missed."""
        import numpy as np

        if not len(vectors):
            return []
        scores, rows = self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), depth)
        # Where the cells hold fewer than asked for, faiss fills up with row -1.
        return [
            (of_query[of_query >= 0], np.round(score[of_query >= 0].astype(np.float64), DIGITS))
            for of_query, score in zip(rows, scores, strict=True)
        ]


def _built(documents: "np.ndarray", cells: int) -> Any:
    import faiss
    import numpy as np
    from tqdm import tqdm

    faiss.omp_set_num_threads(os.cpu_count() or 1)
    columns = documents.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(columns), columns, cells, faiss.METRIC_INNER_PRODUCT)
    step = max(1, len(documents) // (VECTORS_PER_CELL * cells))
    index.train(np.ascontiguousarray(documents[::step]))
    starts = range(0, len(documents), ADDED_TOGETHER)
    for start in tqdm(starts, desc="indexing", unit=f" × {ADDED_TOGETHER} documents", delay=3):
        index.add(np.ascontiguousarray(documents[start : start + ADDED_TOGETHER]))
    return index

"""The retriever of a Space: what of the one that was measured can run there, and what need not travel for it."""

import re
from pathlib import Path

from builders.errors import KitError
from builders.retrievers.encoder import EMBEDDED


# Kit modules that import what only some Spaces need. Those of Lucene would need a Java runtime, and faiss is for more
# documents than a Space has.
LUCENE = "builders.retrievers.pyserini_index"
FAISS = "builders.retrievers.faiss_index"
DENSE = ("builders.retrievers.dense_index", "builders.retrievers.encoder", "builders.retrievers.vectors")
CHINESE = "builders.retrievers.analysis.chinese"


def retriever_of_space(measured: str) -> str:
    """The name of the retriever that a Space loads, from the one that was measured.

    BM25 in Python ranks as Lucene does and needs no Java.

    Raises:
        KitError: a Space has nothing that ranks like it.
    """
    if hybrid := re.fullmatch(r"hybrid\((.+)\)", measured):
        return f"hybrid({','.join(retriever_of_space(part) for part in hybrid[1].split(','))})"
    if measured in ("bm25s", "pyserini"):
        return "bm25s"
    if measured.startswith("pyserini"):
        raise KitError(f"the results are of {measured!r}, for which a Space has no Java; evaluate with bm25s")
    model = measured.removeprefix("dense:")
    if model != EMBEDDED and Path(model).exists():
        raise KitError(
            f"the results are of the local encoder {model!r}; push it to the Hub and evaluate by its Hub id"
        )
    return measured


def packages(retriever: str) -> tuple[str, ...]:
    """Packages that the retriever's weights come from."""
    return (EMBEDDED.removeprefix("package:"),) if EMBEDDED in retriever else ()


def not_needed(retriever: str, collection: str, language: str) -> frozenset[str]:
    """What a Space need not carry: modules of the kit, and packages that other modules import for other cases."""
    left = {LUCENE, FAISS, "pyserini"}  # pyserini also matches answers, which a Space does not
    if "dense:" not in retriever:
        left |= {*DENSE}
    if language != "zh":
        left.add(CHINESE)
    if not collection.startswith("ir_datasets:"):
        left.add("ir_datasets")
    return frozenset(left)

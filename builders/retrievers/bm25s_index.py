"""BM25 in Python (`bm25s`): no Java, and an index that loads memory-mapped."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import cached_folder
from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.analysis.bigrams import SCRIPTS
from builders.retrievers.analysis.load import ANALYSIS, analyzer_for
from builders.retrievers.analysis.snowball import STEMMERS
from builders.retrievers.document_ids import DocumentIds
from builders.retrievers.retriever import Hit, NamedRetriever
from builders.retrievers.term_spool import TermSpool


# An index that is built faster than this is not worth a file.
WORTH_KEEPING_SECONDS = 1.0
# From so many documents on, bm25s' own steps are long enough for a bar.
MANY = 100_000


class Bm25sRetriever(NamedRetriever):
    """BM25 as Lucene scores it, over an analysis close to Anserini's default.

    Ties are broken by document id; documents that share no term with the query are no hits. A term that stands five
    times in the query counts five times.

    Args:
        collection (`Collection`):
            What to index: its language decides the analyzer.
        k1 (`float`, *optional*, defaults to 0.9), b (`float`, *optional*, defaults to 0.4):
            BM25's parameters, by default Anserini's.

    Raises:
        KitError: the language has no analyzer or its extra is not installed, or the collection has no text to index.
    """

    forms = ("bm25s",)
    searches_by = "BM25 in Python"
    languages = f"English, Chinese (extra `chinese`) and {len(STEMMERS) + len(SCRIPTS)} more"

    def __init__(self, collection: Collection, k1: float = 0.9, b: float = 0.4) -> None:
        self.name = f"bm25s(k1={k1},b={b},analyzer={collection.language}-{ANALYSIS})"
        self._analyze = analyzer_for(collection.language)
        self._k1, self._b = k1, b
        folder = cache_dir("bm25s") / f"{collection.fingerprint}-{collection.language}{ANALYSIS}-k1_{k1}-b_{b}"
        self._index, self._ids = self._load(folder) or self._build(collection, folder)

    def search(self, queries: Sequence[str], depth: int) -> list[list[Hit]]:
        """See `Retriever.search`."""
        return [self._ranked(self.terms(query), depth) for query in queries]

    def terms(self, text: str) -> list[str]:
        """See `Retriever.terms`."""
        return self._analyze(text)

    def _ranked(self, terms: list[str], depth: int) -> list[Hit]:
        import numpy as np

        known = self._index.get_tokens_ids(terms)
        if not known or depth < 1:
            return []
        scores: np.ndarray = self._index.get_scores_from_ids(known)
        candidates = np.flatnonzero(scores > 0)
        if len(candidates) > depth:
            # Everything that ties with the last place stays, so that the id decides and not the partition.
            threshold = np.partition(scores[candidates], -depth)[-depth]
            candidates = candidates[scores[candidates] >= threshold]
        # Documents are indexed in the order of their ids: a smaller number is a smaller id.
        order = candidates[np.lexsort((candidates, -scores[candidates]))][:depth]
        return [Hit(self._ids[number], float(scores[number])) for number in order]

    def _build(self, collection: Collection, folder: Path) -> tuple[Any, DocumentIds]:
        import bm25s
        from tqdm import tqdm

        started = time.perf_counter()
        # Collections that are read in a moment need no bar.
        texts = tqdm(collection.indexed_texts(), desc="indexing", unit=" documents", delay=3)
        with TermSpool(texts, self._analyze, folder.parent) as spool:
            if not spool.vocabulary:
                raise KitError(f"collection {collection.name!r} has no text to index: its documents are empty")
            # scipy's conversion to columns takes half the memory of the other.
            index = bm25s.BM25(k1=self._k1, b=self._b, method="lucene", csc_backend="scipy")
            tokenized = bm25s.tokenization.Tokenized(ids=spool, vocab=spool.vocabulary)
            index.index(tokenized, create_empty_token=False, show_progress=len(spool) > MANY)
            ids = DocumentIds.of(spool.ids)
        if time.perf_counter() - started <= WORTH_KEEPING_SECONDS:
            return index, ids
        with cached_folder(folder) as work:
            index.save(work, show_progress=False)
            ids.save(work)
        # From the files, where it takes no memory of its own.
        return self._load(folder) or (index, ids)

    @staticmethod
    def _load(folder: Path) -> tuple[Any, DocumentIds] | None:
        if not folder.is_dir():
            return None
        import bm25s

        try:
            return bm25s.BM25.load(folder, mmap=True, show_progress=False), DocumentIds.load(folder)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # damaged: built again, and replaced as a whole

"""BM25 by Lucene, through pyserini: the reference that `bm25s_index` is held against."""

import json
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from builders.cache import atomic_folder, cache_dir
from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.java import start_java
from builders.retrievers.retriever import Hit


BATCH = 1000


class PyseriniRetriever:
    """Anserini's BM25 with its default English analyzer, over an index of its own in the cache.

    Query text is a bag of words: analyzed like a document, without Lucene's query syntax. A term that stands five
    times in the query counts five times. The first use in a process takes some 20 seconds (pyserini's imports).

    Args:
        collection (`Collection`):
            What to index; English.
        k1 (`float`, *optional*, defaults to 0.9), b (`float`, *optional*, defaults to 0.4):
            BM25's parameters, by default Anserini's.

    Raises:
        KitError: the extra `pyserini` is not installed, Java does not start, or the collection is not English.
    """

    def __init__(self, collection: Collection, k1: float = 0.9, b: float = 0.4) -> None:
        if collection.language != "en":
            raise KitError(f"pyserini: no analyzer for language {collection.language!r}: supported is en")
        anserini = start_java()
        from pyserini.analysis import Analyzer, get_lucene_analyzer
        from pyserini.search.lucene import LuceneSearcher

        self.name = f"pyserini(k1={k1},b={b},analyzer=en,{anserini.removesuffix('-fatjar')})"
        folder = cache_dir("pyserini") / f"{collection.fingerprint}-{anserini}"
        if not folder.is_dir():
            with atomic_folder(folder) as work:
                _build(collection, work)
        self._analyzer = Analyzer(get_lucene_analyzer())
        self._searcher = LuceneSearcher(str(folder))
        self._searcher.set_bm25(k1, b)

    def search(self, queries: Sequence[str], depth: int) -> list[list[Hit]]:
        """See `Retriever.search`."""
        if not queries or depth < 1:
            return [[] for _ in queries]
        names = [str(number) for number in range(len(queries))]
        found = self._searcher.batch_search(list(queries), names, k=depth, threads=os.cpu_count() or 1)
        return [
            sorted((Hit(hit.docid, hit.score) for hit in found[name]), key=lambda hit: (-hit.score, hit.document_id))
            for name in names
        ]

    def terms(self, text: str) -> list[str]:
        """See `Retriever.terms`."""
        return list(self._analyzer.analyze(text))


def _build(collection: Collection, folder: Path) -> None:
    from pyserini.index.lucene import LuceneIndexer

    indexer = LuceneIndexer(str(folder), threads=os.cpu_count() or 1)
    try:
        texts = collection.indexed_texts()
        while batch := [json.dumps({"id": key, "contents": text}) for key, text in islice(texts, BATCH)]:
            indexer.add_batch_raw(batch)
    finally:
        indexer.close()

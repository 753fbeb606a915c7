"""BM25 in Python (`bm25s`): no Java, and an index that loads memory-mapped."""

import math
import time
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import cached_folder
from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.analysis.bigrams import SCRIPTS
from builders.retrievers.analysis.load import ANALYSIS, analyzer_for, reads_word_by_word
from builders.retrievers.analysis.snowball import STEMMERS
from builders.retrievers.analysis.words import Analyzer
from builders.retrievers.document_ids import DocumentIds
from builders.retrievers.postings.term_scores import TermScores
from builders.retrievers.postings.term_spool import TermSpool
from builders.retrievers.retriever import Hits, NamedRetriever, Rankings


# An index that is built faster than this is not worth a file.
WORTH_KEEPING_SECONDS = 1.0
# Words kept with their terms, and the characters of the longest of them.
REMEMBERED, LONGEST = 100_000, 40
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
    searches_by = "BM25 in Python; thousands of candidates many times faster with the extra `fast`"
    languages = f"English, Chinese (extra `chinese`) and {len(STEMMERS) + len(SCRIPTS)} more"

    def __init__(self, collection: Collection, k1: float = 0.9, b: float = 0.4) -> None:
        self.name = f"bm25s(k1={k1},b={b},analyzer={collection.language}-{ANALYSIS})"
        self._analyze = analyzer_for(collection.language)
        self._k1, self._b = k1, b
        folder = cache_dir("bm25s") / f"{collection.fingerprint}-{collection.language}{ANALYSIS}-k1_{k1}-b_{b}"
        self._index, self._ids = self._load(folder) or self._build(collection, folder)
        self._scores = TermScores(self._index.scores)
        self._numbers = _TermNumbers(self._analyze, self._index.vocab_dict)
        self._word_by_word = reads_word_by_word(collection.language)

    def search(self, queries: Sequence[str], depth: int) -> Rankings:
        """See `Retriever.search`."""
        if depth < 1:
            return [[] for _ in queries]
        parts = str.split if self._word_by_word else lambda text: [text]
        known = (b"".join(map(self._numbers.__getitem__, parts(query))) for query in queries)
        # Documents are indexed in the order of their ids: a smaller number is a smaller id.
        return [Hits(self._ids, numbers, scores) for numbers, scores in self._scores.best(known, depth)]

    def search_weighted(self, queries: Sequence[Mapping[str, float]], depth: int) -> Rankings:
        """As [`search`], for queries given as terms with their weights."""
        found = []
        for query in queries:
            known = {
                self._index.vocab_dict[term]: weight
                for term, weight in query.items()
                if term in self._index.vocab_dict
            }
            found.append(Hits(self._ids, *self._scores.best_weighted(known, depth)))
        return found

    def idf(self, term: str) -> float:
        """Lucene's ln(1 + (N - n + 0.5) / (n + 0.5)) of N documents, n of which have the term."""
        documents, having = len(self._ids), self._scores.documents_with(self._index.vocab_dict[term])
        return math.log(1 + (documents - having + 0.5) / (having + 0.5))

    def terms(self, text: str) -> list[str]:
        """See `Retriever.terms`."""
        return self._analyze(text)

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


class _TermNumbers(dict[str, bytes]):
    """Text → the numbers of its terms in an index (int32); words are remembered."""

    def __init__(self, analyze: Analyzer, vocabulary: Mapping[str, int]) -> None:
        super().__init__()
        self._analyze, self._vocabulary = analyze, vocabulary

    def __missing__(self, text: str) -> bytes:
        numbers = map(self._vocabulary.get, self._analyze(text))
        found = array("i", [number for number in numbers if number is not None]).tobytes()
        if len(text) <= LONGEST:
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = found
        return found

"""BM25 by Lucene, through pyserini: the reference that `bm25s_index` is held against."""

import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import redirect_stdout
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Self

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import cached_folder
from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.java import start_java
from builders.retrievers.left_out import LeftOut, ranked_without
from builders.retrievers.retriever import Hit, NamedRetriever, Rankings


BATCH = 1000
# Anserini's defaults: 10 terms of the first 10 documents, which weigh as much as the query.
RM3 = {"fb_terms": 10, "fb_docs": 10, "original_query_weight": 0.5}
# What Anserini's indexes call the text and the id of a document.
CONTENTS, ID = "contents", "id"
# What RM3 reads beside the postings.
RM3_INDEX = ("-storePositions", "-storeDocvectors")
# Languages whose words Anserini only parts at white space, and how its indexer is told so.
WHITE_SPACE = {"sw": ("-language", "sw"), "yo": ("-pretokenized",)}


class PyseriniRetriever(NamedRetriever):
    """Anserini's BM25 with its analyzer for the collection's language, over an index of its own in the cache.

    Query text is a bag of words: analyzed like a document, without Lucene's query syntax. A term that stands five
    times in the query counts five times. The first use in a process takes some 20 seconds (pyserini's imports).

    Args:
        collection (`Collection`):
            What to index; its language decides the analyzer.
        rm3 (`bool`, *optional*, defaults to `False`):
            Whether RM3 expands every query by terms of what it finds first (Abdul-Jaleel et al. 2004).
        prebuilt (`str`, *optional*):
            Name of an index that pyserini offers for download, searched in place of an own one.
        k1 (`float`, *optional*, defaults to 0.9), b (`float`, *optional*, defaults to 0.4):
            BM25's parameters, by default Anserini's.

    Raises:
        KitError: the extra `pyserini` is not installed, Java does not start, Anserini has no analyzer for the
            language, or the prebuilt index is unknown or cannot be downloaded.
    """

    forms = ("pyserini", "pyserini+rm3", "pyserini:INDEX")
    searches_by = (
        "Anserini's BM25, with RM3 feedback, or over an index that pyserini offers for download, such as "
        "`msmarco-v1-passage` (extra `pyserini` brings Java)"
    )
    languages = "those that Anserini has an analyzer for"

    def __init__(
        self, collection: Collection, rm3: bool = False, prebuilt: str | None = None, k1: float = 0.9, b: float = 0.4
    ) -> None:
        anserini = start_java()
        analyzer = _analyzer(collection.language)
        from pyserini.analysis import Analyzer
        from pyserini.search.lucene import LuceneSearcher

        engine = f"pyserini:{prebuilt}" if prebuilt else "pyserini+rm3" if rm3 else "pyserini"
        feedback = "".join(f"{name}={value}," for name, value in RM3.items()) if rm3 else ""
        release = anserini.removesuffix("-fatjar")
        self.name = f"{engine}(k1={k1},b={b},{feedback}analyzer={collection.language},{release})"
        if prebuilt:
            folder = prebuilt_index(prebuilt)
        else:
            folder = cache_dir("pyserini") / f"{collection.fingerprint}-{anserini}{'-docvectors' if rm3 else ''}"
            if not folder.is_dir():
                with cached_folder(folder) as work:
                    _build(collection, work, RM3_INDEX if rm3 else ())
        self._analyzer = Analyzer(analyzer)
        self._searcher = LuceneSearcher(str(folder))
        if not self._searcher.num_docs:
            raise KitError(f"collection {collection.name!r} has no text to index: its documents are empty")
        self._searcher.set_analyzer(analyzer)
        self._searcher.set_bm25(k1, b)
        if rm3:
            # Its filter keeps what is written in a to z and 0 to 9: English.
            self._searcher.set_rm3(**RM3, filter_terms=collection.language == "en")

    @classmethod
    def from_name(cls, name: str, collection: Collection, load: object = None) -> Self | None:
        """See `NamedRetriever.from_name`."""
        if not re.fullmatch(r"pyserini(\+rm3|:.+)?", name):
            return None
        return cls(collection, rm3=name.endswith("+rm3"), prebuilt=name.partition(":")[2] or None)

    def search(self, queries: Sequence[str], depth: int) -> list[list[Hit]]:
        """See `Retriever.search`."""
        if depth < 1:
            return [[] for _ in queries]
        return list(self._ranked(queries, depth))

    def search_without(self, queries: Sequence[str], depth: int, left_out: LeftOut) -> Rankings:
        """See `ExcludingRetriever.search_without`: RM3 takes no feedback from what is left out."""
        if not self._searcher.is_using_rm3() or depth < 1:
            return ranked_without(lambda reach: self.search(queries, reach), depth, left_out)
        rankings = self.search(queries, depth)
        for number, without in enumerate(left_out):
            if without:
                rankings[number] = self._fed_back(queries[number], depth, without)
        return rankings

    def terms(self, text: str) -> list[str]:
        """See `LexicalRetriever.terms`."""
        return list(self._analyzer.analyze(text))

    def _fed_back(self, query: str, depth: int, without: AbstractSet[str]) -> list[Hit]:
        """What Anserini's searcher does for RM3, with a filter of documents, which it cannot be given."""
        from jnius import autoclass

        simple = self._searcher.object
        analyzer, occur = simple.get_analyzer(), autoclass("org.apache.lucene.search.BooleanClause$Occur")
        named = autoclass("java.util.ArrayList")()
        for document_id in sorted(without):
            named.add(autoclass("org.apache.lucene.util.BytesRef")(autoclass("java.lang.String")(document_id)))
        others, asked = (autoclass("org.apache.lucene.search.BooleanQuery$Builder")() for _ in range(2))
        others.add(autoclass("org.apache.lucene.search.MatchAllDocsQuery")(), occur.MUST)
        others.add(autoclass("org.apache.lucene.search.TermInSetQuery")(ID, named), occur.MUST_NOT)
        asked.add(simple.generator.buildQuery(CONTENTS, analyzer, query), occur.MUST)
        asked.add(others.build(), occur.FILTER)
        told = autoclass("io.anserini.search.SearchCollection$Args")()
        told.hits, told.arbitraryScoreTieBreak = depth, False
        first = simple.searcher.search(asked.build(), RM3["fb_docs"], simple.BREAK_SCORE_TIES_BY_DOCID, True)
        feedback = autoclass("io.anserini.search.ScoredDocs").fromTopDocs(first, simple.searcher)
        tokens = autoclass("io.anserini.analysis.AnalyzerUtils").analyze(analyzer, query)
        context = autoclass("io.anserini.rerank.RerankerContext")(
            simple.searcher, None, asked.build(), None, query, tokens, others.build(), told
        )
        found = simple.cascade.run(feedback, context)
        hits = [Hit(name, score) for name, score in zip(found.docids, found.scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.document_id))

    def _ranked(self, queries: Sequence[str], depth: int) -> Iterator[list[Hit]]:
        waiting = iter(queries)
        # By the thousand, so that the hits of very many queries never lie in Java's memory together.
        while batch := list(islice(waiting, BATCH)):
            names = [str(number) for number in range(len(batch))]
            found = self._searcher.batch_search(batch, names, k=depth, threads=os.cpu_count() or 1)
            for name in names:
                hits = [Hit(hit.docid, hit.score) for hit in found[name]]
                yield sorted(hits, key=lambda hit: (-hit.score, hit.document_id))


def prebuilt_index(name: str) -> Path:
    """The folder of a prebuilt BM25 index, downloaded into pyserini's cache unless it is there.

    The JVM must run (`builders.retrievers.java.start_java`).

    Raises:
        KitError: pyserini knows no such index, or it cannot be downloaded.
    """
    from pyserini.prebuilt_index_info import TF_INDEX_INFO
    from pyserini.util import download_prebuilt_index

    if name not in TF_INDEX_INFO:
        near = get_close_matches(name, TF_INDEX_INFO, n=5, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "names are like msmarco-v1-passage, miracl-v1.0-zh"
        raise KitError(f"pyserini:{name}: no such prebuilt index among the {len(TF_INDEX_INFO)} of pyserini: {hint}")
    # Members of an archive may not leave its folder; pyserini itself does not see to that.
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        # It reports on standard output, which belongs to the commands.
        with redirect_stdout(sys.stderr):
            return Path(download_prebuilt_index(name, verbose=False))
    except (OSError, ValueError, AssertionError, EOFError, tarfile.TarError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise KitError(
            f"pyserini:{name}: the prebuilt index cannot be downloaded ({reason}): check the network and try again, "
            "or index the collection with --retriever pyserini"
        ) from error


def _analyzer(language: str) -> Any:
    """Anserini's analyzer for a language, as a Java object."""
    from jnius import JavaException, autoclass

    if language == "en":
        return autoclass("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
    if language in WHITE_SPACE:
        return autoclass("org.apache.lucene.analysis.core.WhitespaceAnalyzer")()
    map_of_all = autoclass("io.anserini.analysis.AnalyzerMap")
    if not map_of_all.analyzerMap.containsKey(language):
        known = sorted({"en", *WHITE_SPACE, *(str(code) for code in map_of_all.analyzerMap.keySet().toArray())})
        raise KitError(f"pyserini: no analyzer for language {language!r}: supported are {', '.join(known)}")
    analyzer = map_of_all.getLanguageSpecificAnalyzer(language)
    try:
        autoclass("io.anserini.analysis.AnalyzerUtils").analyze(analyzer, "a")
    except JavaException as error:
        # Found out now: Anserini's indexer would leave out every document without a word.
        reason = str(error).splitlines()[0].rpartition(": ")[2]
        raise KitError(
            f"pyserini: this Java runtime cannot analyze language {language!r} ({reason}): "
            "let JAVA_HOME name a full JDK, 21 or newer"
        ) from error
    return analyzer


def _build(collection: Collection, folder: Path, stored: Sequence[str]) -> None:
    from pyserini.index.lucene import LuceneIndexer
    from tqdm import tqdm

    language = collection.language
    spoken = WHITE_SPACE.get(language) or (() if language == "en" else ("-language", language))
    # Collections that are read in a moment need no bar.
    texts = iter(tqdm(collection.indexed_texts(), desc="indexing", unit=" documents", delay=3))
    indexer = LuceneIndexer(args=["-index", str(folder), *spoken, *stored], threads=os.cpu_count() or 1)
    try:
        while batch := [json.dumps({"id": key, "contents": text}) for key, text in islice(texts, BATCH)]:
            indexer.add_batch_raw(batch)
    finally:
        indexer.close()

"""Searches one collection with each of a Space's retrievers, loaded when they are first needed."""

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from builders.collections.collection import Collection, Document, Query
from builders.measures.retrieval_measures.ranking import measure
from builders.retrievers.analysis.load import analyzer_for
from builders.retrievers.formulation import load_formulation
from builders.retrievers.left_out import left_out_of
from builders.retrievers.load import load_retriever
from builders.retrievers.retriever import Hit, LexicalRetriever, Retriever
from space.recorded import DEPTH


@dataclass(frozen=True, slots=True)
class Ranking:
    """The hits of one search (at most 100), its time, and nDCG@10 where the query is judged."""

    hits: Sequence[Hit]
    milliseconds: float
    ndcg_at_10: float | None


@dataclass(frozen=True, slots=True)
class Searched:
    """A retriever by what loads it, and the formation that it was measured with."""

    spec: str
    formation: str


class Corpus:
    """A collection and what searches it.

    Args:
        load (`Callable`):
            Reads the collection.
        retrievers (`Mapping[str, Searched]`):
            What searches it, by name; the first where none is named.
    """

    def __init__(self, load: Callable[[], Collection], retrievers: Mapping[str, Searched]) -> None:
        self.retrievers = dict(retrievers)
        self._load = functools.cache(load)
        self._indexes: dict[str, Retriever] = {}
        self._judged: dict[str, Query] | None = None
        self._loading = threading.RLock()

    @property
    def collection(self) -> Collection:
        """The collection.

        Raises:
            KitError: it cannot be read.
        """
        with self._loading:
            return self._load()

    def judged(self, query: str) -> Query | None:
        """The collection's query with this text, if it has judgments."""
        if self._judged is None:
            known = self.collection
            asked = (one for one in known.queries.values() if known.relevant(one.id))
            self._judged = {" ".join(one.text.split()).casefold(): one for one in asked}
        return self._judged.get(query.casefold())

    def documents(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """Documents by id."""
        wanted = set(ids)
        return {item.id: item for item in self.collection.documents if item.id in wanted}

    def search(self, query: str, expansion: str = "", by: str = "") -> Ranking:
        """Search for a query as it is, or with an expansion; `by` is one of `retrievers`, by default the first."""
        formation, asked = load_formulation(self.formation(by)), [(query, (expansion,))]
        judged = self.judged(query)
        ids = [judged.id if judged else ""]
        retriever = self.retriever(by)
        started = time.perf_counter()
        (hits,) = formation.search(retriever, asked, DEPTH, left_out_of(self.collection, ids))
        return Ranking(hits, 1000 * (time.perf_counter() - started), self._ndcg(query, hits))

    def formation(self, by: str = "") -> str:
        """How query and expansion are put together for a retriever, by its recorded name."""
        return self.retrievers[by or next(iter(self.retrievers))].formation

    def retriever(self, by: str = "") -> Retriever:
        """A retriever over the collection, by default the first of `retrievers`.

        Raises:
            KitError: it cannot be loaded.
        """
        spec = self.retrievers[by or next(iter(self.retrievers))].spec
        with self._loading:
            if spec not in self._indexes:
                self._indexes[spec] = load_retriever(spec, self.collection)
            return self._indexes[spec]

    def terms(self, by: str = "") -> Callable[[str], list[str]]:
        """What marks the words that match: a retriever's terms, or its language's where it matches vectors.

        Raises:
            KitError: the retriever cannot be loaded.
        """
        retriever = self.retriever(by)
        return retriever.terms if isinstance(retriever, LexicalRetriever) else analyzer_for(self.collection.language)

    def _ndcg(self, query: str, hits: Sequence[Hit]) -> float | None:
        found = self.judged(query)
        if found is None:
            return None
        ids = [hit.document_id for hit in hits]
        return measure({"query": self.collection.qrels[found.id]}, {"query": ids})["query"]["ndcg_at_10"]

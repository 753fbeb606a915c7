"""Loads collection, retriever and student behind the app, each when it is first needed."""

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from builders.collections.collection import Collection, Document, Query
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.expander import greedy
from builders.expanders.local import LocalExpander
from builders.expanders.trained import QueryExpander
from builders.measures.retrieval_measures.ranking import measure
from builders.prompts.load import load_prompt
from builders.retrievers.analysis.load import analyzer_for
from builders.retrievers.formulation import load_formulation
from builders.retrievers.left_out import left_out_of
from builders.retrievers.load import load_retriever
from builders.retrievers.retriever import Hit, LexicalRetriever, Retriever
from space.recorded import read_recorded
from space.settings import read_settings


# How far a document's rank is followed; builders.grading.grader looks as deep.
DEPTH = 100
MAX_WORDS = 300
MAX_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class Written:
    """One expansion: what it cost (`tokens`, `milliseconds`), and whether the student wrote it now or then."""

    text: str
    tokens: int
    milliseconds: float | None
    source: Literal["live", "recorded"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The hits of one search (at most 100), its time, and nDCG@10 where the query is judged."""

    hits: Sequence[Hit]
    milliseconds: float
    ndcg_at_10: float | None


class Engine:
    """Answers the app's questions from a rendered Space folder.

    Raises:
        KitError: the folder is no rendered Space.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = read_settings(folder)
        self.recorded = read_recorded(folder)
        self._loading = threading.RLock()
        self._refusal: str | None = None

    def check(self, query: str) -> str:
        """The query without surrounding and repeated white space.

        Raises:
            KitError: it is empty or too long.
        """
        words = query.split()
        if not words:
            raise KitError("The query is empty: type at least one word.")
        if len(words) > MAX_WORDS or len(query) > MAX_CHARACTERS:
            raise KitError(f"The query is too long: at most {MAX_WORDS} words and {MAX_CHARACTERS:,} characters.")
        return " ".join(words)

    def judged(self, query: str) -> Query | None:
        """The collection's query with this text, if it has judgments."""
        return self._queries.get(query.casefold())

    def documents(self, ids: list[str]) -> Mapping[str, Document]:
        """Documents by id."""
        wanted = set(ids)
        return {item.id: item for item in self.collection.documents if item.id in wanted}

    def search(self, query: str, expansion: str = "") -> Ranking:
        """Search for a query as it is, or with an expansion."""
        formation, asked = load_formulation(self.settings.formation), [(query, (expansion,))]
        judged = self.judged(query)
        ids = [judged.id if judged else ""]
        started = time.perf_counter()
        (hits,) = formation.search(self.retriever, asked, DEPTH, left_out_of(self.collection, ids))
        return Ranking(hits, 1000 * (time.perf_counter() - started), self._ndcg(query, hits))

    def expand(self, query: str) -> Written:
        """Have the student write an expansion; where it cannot be loaded, the recorded one.

        Raises:
            KitError: the student cannot be loaded, and nothing is recorded for this query.
        """
        try:
            student = self.student
        except KitError as error:
            recorded = self.recall(query)
            if recorded is None:
                raise KitError(f"{error} Queries from the list still work: their expansions are recorded.") from error
            return recorded
        started = time.perf_counter()
        # A query that the collection knows is asked as its own, which never sees its own judgments.
        shown = self.collection if student.prompt.grounding else None
        asked = (self.judged(query) if shown else None) or Query("", query, "test")
        (answer,) = student.answers([replace(asked, text=query)], shown)
        return Written(answer.text, answer.completion_tokens, 1000 * (time.perf_counter() - started), "live")

    def recall(self, query: str) -> Written | None:
        """The recorded expansion of a query, if there is one."""
        found = self.recorded.get(query)
        return Written(found.student.text, found.student.tokens, None, "recorded") if found else None

    def warm(self) -> None:
        """Load everything now. A part that cannot be loaded says so when it is used."""
        for part in ("retriever", "student"):
            try:
                getattr(self, part)
            except KitError:
                continue

    @property
    def collection(self) -> Collection:
        """The collection.

        Raises:
            KitError: it cannot be read.
        """
        with self._loading:
            return self._collection

    @property
    def retriever(self) -> Retriever:
        """The retriever over the collection.

        Raises:
            KitError: it cannot be loaded.
        """
        with self._loading:
            return self._retriever

    @property
    def terms(self) -> Callable[[str], list[str]]:
        """What marks the words that match: the retriever's terms, or its language's where it matches vectors.

        Raises:
            KitError: the retriever cannot be loaded.
        """
        retriever = self.retriever
        return retriever.terms if isinstance(retriever, LexicalRetriever) else analyzer_for(self.collection.language)

    @property
    def student(self) -> QueryExpander:
        """The student, ready to write.

        Raises:
            KitError: its model or adapter cannot be loaded; the first refusal stands, so that nobody waits twice.
        """
        with self._loading:
            if self._refusal is not None:
                raise KitError(self._refusal)
            try:
                return self._student
            except Exception as error:
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                self._refusal = f"The student model cannot be loaded here ({reason})."
                raise KitError(self._refusal) from error

    @functools.cached_property
    def _collection(self) -> "Collection":
        own = self.folder / self.settings.collection
        return load_collection(str(own) if own.exists() else self.settings.collection, self.settings.language)

    @functools.cached_property
    def _retriever(self) -> Retriever:
        return load_retriever(self.settings.retriever, self._collection)

    @functools.cached_property
    def _student(self) -> QueryExpander:
        import importlib.util

        settings = self.settings
        package = settings.package
        installed = package and importlib.util.find_spec(package.removeprefix("package:").replace("-", "_"))
        own = self.folder / (settings.adapter or "")
        model = LocalExpander(
            model=package if package and installed else settings.model,
            adapter=str(own) if settings.adapter and own.is_dir() else settings.adapter,
            revision=settings.revision,
        )
        model.load()
        told = self.folder / settings.prompt
        prompt = load_prompt(str(told) if told.is_file() else settings.prompt)
        sampling = greedy(settings.max_new_tokens)
        return QueryExpander(
            settings.student, model, prompt, sampling, 1, settings.formation, retriever=settings.retriever
        )

    @functools.cached_property
    def _queries(self) -> dict[str, Query]:
        collection = self.collection
        judged = (query for query in collection.queries.values() if collection.relevant(query.id))
        return {" ".join(query.text.split()).casefold(): query for query in judged}

    def _ndcg(self, query: str, hits: Sequence[Hit]) -> float | None:
        found = self.judged(query)
        if found is None:
            return None
        ids = [hit.document_id for hit in hits]
        return measure({"query": self.collection.qrels[found.id]}, {"query": ids})["query"]["ndcg_at_10"]

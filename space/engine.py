"""Loads collection, retrievers and systems behind the app, each when it is first needed."""

import functools
import importlib.util
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.collections.collection import Collection, Document, Query
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.expander import greedy, searched_together
from builders.expanders.local import LocalExpander
from builders.expanders.trained import QueryExpander
from builders.measures.retrieval_measures.ranking import measure
from builders.prompts.load import load_prompt
from builders.retrievers.analysis.load import analyzer_for
from builders.retrievers.formulation import load_formulation
from builders.retrievers.left_out import left_out_of
from builders.retrievers.load import load_retriever
from builders.retrievers.retriever import Hit, LexicalRetriever, Retriever
from space.pairs import read_pairs
from space.recorded import BASE, DEPTH, PLAIN, Recorded, examples, read_recorded
from space.serving.line import Line
from space.settings import read_settings
from space.writers import TERMS, ModelWriter, RecordedWriter, TermsWriter, Writer, Written


MAX_WORDS = 300
MAX_CHARACTERS = 4000


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


class Engine:
    """Answers the app's questions from a rendered Space folder.

    Attributes:
        systems (`dict[str, Writer]`): what writes expansions, the student first; one more is one more entry.
        retrievers (`dict[str, Searched]`): what searches, the measured one first.
        line ([`Line`]): where callers wait for a model.

    Raises:
        KitError: the folder is no rendered Space.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = read_settings(folder)
        self.recorded = read_recorded(folder)
        self.pairs = read_pairs(folder)
        self.line = Line()
        self._loading = threading.RLock()
        student = self.settings.student
        models = {student: self.settings.adapter, BASE: None}
        self.systems: dict[str, Writer] = {
            name: ModelWriter(functools.partial(self._model, name, adapter)) for name, adapter in models.items()
        }
        measured = dict.fromkeys(name for item in self.recorded.values() for name in item.answers)
        self.systems |= {name: RecordedWriter() for name in measured if name not in (*self.systems, PLAIN)}
        self.systems[TERMS] = TermsWriter()
        main = Searched(self.settings.retriever, self.settings.formation)
        others = {name: Searched(*found) for name, found in self.settings.more_retrievers.items()}
        self.retrievers = {self.settings.retriever: main} | others
        self._indexes: dict[str, Retriever] = {}

    @property
    def student(self) -> str:
        """The system that the Space is about."""
        return self.settings.student

    @functools.cached_property
    def examples(self) -> list[Recorded]:
        """Measured queries to begin with, the one that the app opens with first."""
        return examples(list(self.recorded.values()), self.student)

    def check(self, query: object, what: str = "query") -> str:
        """A query, or words beside it, without surrounding and repeated white space.

        Raises:
            KitError: it is no text, empty or too long.
        """
        if not isinstance(query, str):
            raise KitError(f"The {what} must be text, not {type(query).__name__}.")
        words = query.split()
        if not words:
            raise KitError(f"The {what} is empty: type at least one word.")
        if len(words) > MAX_WORDS or len(query) > MAX_CHARACTERS:
            raise KitError(f"The {what} is too long: at most {MAX_WORDS} words and {MAX_CHARACTERS:,} characters.")
        return " ".join(words)

    def judged(self, query: str) -> Query | None:
        """The collection's query with this text, if it has judgments."""
        return self._queries.get(query.casefold())

    def documents(self, ids: list[str]) -> Mapping[str, Document]:
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
        return self.retrievers[by or self.settings.retriever].formation

    def at_once(self, system: str, query: str, live: bool = False) -> Written | None:
        """An expansion that nobody has to wait for: recorded, written before, or made without a model.

        `live` passes over what the evaluation recorded of a model that runs here.

        Raises:
            KitError: the system has nothing for this query.
        """
        asked = self.systems[system]
        if asked.at_once:
            return self.recall(system, query) or self.write(system, query)
        return (None if live else self.recall(system, query)) or asked.remembered(query)

    def recall(self, system: str, query: str) -> Written | None:
        """The recorded expansion of a query, if there is one."""
        measured = self.recorded.get(query)
        found = measured.answers.get(system) if measured else None
        return Written(found.text, found.tokens, None, "recorded") if found else None

    def write(self, system: str, query: str) -> Written:
        """Have a system write an expansion, or take what it wrote before; without its model, what is recorded.

        Raises:
            KitError: it cannot, and nothing is recorded for this query.
        """
        # A query that the collection knows is asked as its own, which never sees its own judgments.
        asked = replace(self.judged(query) or Query("", query, "test"), text=query)
        try:
            return self.systems[system].remembered(query) or self.systems[system].write(asked, lambda: self.collection)
        except KitError as error:
            recorded = self.recall(system, query)
            if recorded is None:
                raise KitError(f"{error} Test queries still work: their expansions are recorded.") from error
            return recorded

    def warm(self) -> None:
        """Load all that a first answer needs. A part that cannot be loaded says so when it is used."""
        query = self.examples[0].query if self.examples else "warm"
        for part in (lambda: self.search(query), lambda: self.write(self.student, query)):
            try:
                part()
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

    def retriever(self, by: str = "") -> Retriever:
        """A retriever over the collection, by default the first of `retrievers`.

        Raises:
            KitError: it cannot be loaded.
        """
        spec = self.retrievers[by or self.settings.retriever].spec
        with self._loading:
            if spec not in self._indexes:
                self._indexes[spec] = load_retriever(spec, self._collection)
            return self._indexes[spec]

    def terms(self, by: str = "") -> Callable[[str], list[str]]:
        """What marks the words that match: a retriever's terms, or its language's where it matches vectors.

        Raises:
            KitError: the retriever cannot be loaded.
        """
        retriever = self.retriever(by)
        return retriever.terms if isinstance(retriever, LexicalRetriever) else analyzer_for(self.collection.language)

    @functools.cached_property
    def package(self) -> str | None:
        """The package of the measured weights, where it is installed."""
        package = self.settings.package
        module = (package or "").removeprefix("package:").replace("-", "_")
        return package if package and importlib.util.find_spec(module) else None

    @property
    def runs_others(self) -> bool:
        """Whether the weights that run here are not those that were measured."""
        return self.settings.package is not None and self.package is None

    def _model(self, name: str, adapter: str | None) -> QueryExpander:
        settings = self.settings
        own = self.folder / (adapter or "")
        model = LocalExpander(
            model=self.package or settings.model,
            adapter=str(own) if adapter and own.is_dir() else adapter,
            revision=settings.revision,
        )
        model.load()
        told = self.folder / settings.prompt
        prompt = load_prompt(str(told) if told.is_file() else settings.prompt)
        sampling, samples = greedy(settings.max_new_tokens), settings.samples
        if samples > 1:
            sampling = searched_together(settings.max_new_tokens, settings.temperature, settings.top_k)
        return QueryExpander(name, model, prompt, sampling, samples, settings.formation, retriever=settings.retriever)

    @functools.cached_property
    def _collection(self) -> "Collection":
        own = self.folder / self.settings.collection
        return load_collection(str(own) if own.exists() else self.settings.collection, self.settings.language)

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

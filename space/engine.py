"""Loads the systems behind the app, and asks them about a collection."""

import copy
import functools
import importlib.util
from dataclasses import replace
from pathlib import Path

from builders.collections.collection import Collection, Query
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.expander import greedy, searched_together
from builders.expanders.local import LocalExpander
from builders.expanders.trained import QueryExpander
from builders.prompts.load import load_prompt
from space.corpus import Corpus, Searched
from space.pairs import read_pairs
from space.recorded import BASE, PLAIN, examples, read_recorded
from space.serving.feedback import feedback_asked
from space.serving.line import Line
from space.settings import read_settings
from space.writers import TERMS, ModelWriter, RecordedWriter, TermsWriter, Writer, Written


MAX_WORDS = 300
MAX_CHARACTERS = 4000


class Engine(Corpus):
    """Answers the app's questions from a rendered Space folder.

    Attributes:
        systems (`dict[str, Writer]`): what writes expansions, the student first; one more is one more entry.
        retrievers (`dict[str, Searched]`): what searches, the measured one first.
        line ([`Line`]): where callers wait for a model.
        feedback ([`Feedback`], *optional*): where votes of visitors go.

    Raises:
        KitError: the folder is no rendered Space.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = read_settings(folder)
        self.recorded = read_recorded(folder)
        self.pairs = read_pairs(folder)
        self.line = Line()
        self.feedback = feedback_asked()
        student = self.settings.student
        models = {student: self.settings.adapter, BASE: None}
        self.systems: dict[str, Writer] = {
            name: ModelWriter(functools.partial(self._model, name, adapter)) for name, adapter in models.items()
        }
        measured = dict.fromkeys(name for item in self.recorded.values() for name in item.answers)
        self.systems |= {name: RecordedWriter() for name in measured if name not in (*self.systems, PLAIN)}
        self.systems[TERMS] = TermsWriter()
        # Measured queries to begin with, the one that the app opens with first.
        self.examples = examples(list(self.recorded.values()), student)
        main = Searched(self.settings.retriever, self.settings.formation)
        others = {name: Searched(*found) for name, found in self.settings.more_retrievers.items()}
        super().__init__(self._read, {self.settings.retriever: main} | others)

    @property
    def student(self) -> str:
        """The system that the Space is about."""
        return self.settings.student

    def over(self, collection: Collection) -> "Engine":
        """The same systems and retrievers for another collection, of which nothing was recorded."""
        other = copy.copy(self)
        Corpus.__init__(other, lambda: collection, self.retrievers)
        other.recorded, other.pairs, other.examples, other.feedback = {}, None, [], None
        other.systems = {name: system.elsewhere() for name, system in self.systems.items()}
        return other

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
                more = " Test queries still work: their expansions are recorded." if self.recorded else ""
                raise KitError(f"{error}{more}") from error
            return recorded

    def warm(self) -> None:
        """Load all that a first answer needs. A part that cannot be loaded says so when it is used."""
        query = self.examples[0].query if self.examples else "warm"
        for part in (lambda: self.search(query), lambda: self.write(self.student, query)):
            try:
                part()
            except KitError:
                continue

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

    def _read(self) -> Collection:
        own = self.folder / self.settings.collection
        return load_collection(str(own) if own.exists() else self.settings.collection, self.settings.language)

"""Query formulations: how a query and its expansions become one ranking; a further one is a class in `FORMULATIONS`.

Grading, evaluation and the Space all form their queries here. A formulation is loaded by the name that provenance
records; an expansion without a word beyond the query, empty or an echo, leaves the plain query.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from builders.errors import KitError
from builders.prompts.output_check import is_silent
from builders.retrievers.fusion import HybridRetriever, fused
from builders.retrievers.left_out import LeftOut, ranked_without, search_without
from builders.retrievers.retriever import LexicalRetriever, Rankings, Retriever, VectorRetriever


DEFAULT = "q*5+e"

# A query and its expansions; none, or none with a new word, ask the plain query.
Asked = tuple[str, Sequence[str]]


class Formulation(ABC):
    """A way to search with a query and its expansions.

    Attributes:
        form (`str`), ranks_by (`str`): how it is named, and what it does, in messages and in the README's table.
    """

    form: ClassVar[str]
    ranks_by: ClassVar[str]

    @classmethod
    def from_name(cls, name: str, load: Callable[[str], "Formulation"]) -> Self | None:
        """The formulation of a name, `None` where the name is not its own; `load` makes those inside of it.

        Raises:
            KitError: there is none inside of it.
        """
        return cls() if name == cls.form else None

    @property
    @abstractmethod
    def name(self) -> str:
        """How provenance records it, and what [`load_formulation`] takes, e.g. `q*5+e`."""

    def check(self, retriever: Retriever) -> None:  # noqa: B027 (most need nothing but a text)
        """Refuse a retriever that cannot be asked so; every one can be asked for a text.

        Raises:
            KitError: it cannot.
        """

    @abstractmethod
    def search(self, retriever: Retriever, asked: Sequence[Asked], depth: int, left_out: LeftOut = ()) -> Rankings:
        """At most `depth` hits for each query with its expansions, best first, without what is left out for it.

        Raises:
            KitError: the retriever cannot be asked so.
        """


@dataclass(frozen=True)
class Repeated(Formulation):
    """`q*k+e`: the query k times, then its expansions, as one text (query2doc, Wang et al. 2023, §3: k = 5).

    The repeats keep the few words of the query from drowning in the many of the expansion.
    """

    repeats: int = 5

    form = DEFAULT
    ranks_by = "the query five times, then the expansion (default; any number of times)"

    @classmethod
    def from_name(cls, name: str, load: object = None) -> Self | None:
        """See `Formulation.from_name`."""
        fixed = re.fullmatch(r"q\*([1-9]\d{0,3})\+e", name)
        return cls(int(fixed[1])) if fixed else None

    @property
    def name(self) -> str:
        """See `Formulation.name`."""
        return f"q*{self.repeats}+e"

    def search(self, retriever: Retriever, asked: Sequence[Asked], depth: int, left_out: LeftOut = ()) -> Rankings:
        """See `Formulation.search`."""
        texts = [self.text(query, expansions) for query, expansions in asked]
        return search_without(retriever, texts, depth, left_out)

    def text(self, query: str, expansions: Sequence[str]) -> str:
        """The text to search. Without a new word it is the plain query, not a repeated one."""
        kept = with_new_words(query, expansions)
        return " ".join([query] * self.repeats + kept) if kept else query


@dataclass(frozen=True)
class Adaptive(Formulation):
    """`q*adaptive+e`: as `q*k+e`, with k = max(1, ⌊terms(e) / (3 · terms(q))⌋) for each query.

    The formula of ThinkQE (Lei et al. 2025), which counts words between spaces. Counted here are the retriever's own
    terms, over all expansions together: they are what BM25 weighs, and Chinese has no spaces.
    """

    name = form = "q*adaptive+e"
    ranks_by = "the query as often as the expansion is long, counted in the retriever's terms (lexical)"

    def check(self, retriever: Retriever) -> None:
        """See `Formulation.check`: only a lexical retriever has terms to count."""
        _lexical(retriever, self.name)

    def search(self, retriever: Retriever, asked: Sequence[Asked], depth: int, left_out: LeftOut = ()) -> Rankings:
        """See `Formulation.search`."""
        lexical = _lexical(retriever, self.name)
        texts = []
        for query, expansions in asked:
            kept = with_new_words(query, expansions)
            texts.append(Repeated(self.repeats(lexical, query, kept)).text(query, kept))
        return search_without(lexical, texts, depth, left_out)

    @staticmethod
    def repeats(retriever: LexicalRetriever, query: str, expansions: Sequence[str]) -> int:
        """The k of one query. A query of stop words alone counts as one term."""
        length = sum(len(retriever.terms(expansion)) for expansion in expansions)
        return max(1, length // (3 * max(1, len(retriever.terms(query)))))


@dataclass(frozen=True)
class Mean(Formulation):
    """`mean`: the vector (f(q) + Σ f(eᵢ)) / (1 + n) over n expansions, every part of length 1.

    With one expansion it is ExpandR's (f(q) + f(e)) / 2 (Yao et al. 2025), with several HyDE's mean (Gao et al. 2023).
    Where the encoder tells queries from passages, expansions are encoded as the passages that they imitate.
    """

    name = form = "mean"
    ranks_by = "the mean of the vectors of query and expansions (dense)"

    def check(self, retriever: Retriever) -> None:
        """See `Formulation.check`: only a dense retriever has vectors to average."""
        _encoding(retriever, self.name)

    def search(self, retriever: Retriever, asked: Sequence[Asked], depth: int, left_out: LeftOut = ()) -> Rankings:
        """See `Formulation.search`."""
        encoder = _encoding(retriever, self.name)
        vectors = encoder.encode_queries([query for query, _ in asked])
        kept = [with_new_words(query, expansions) for query, expansions in asked]
        parts = iter(encoder.encode_passages([expansion for expansions in kept for expansion in expansions]))
        for number, expansions in enumerate(kept):
            for _ in expansions:
                vectors[number] += next(parts)
            vectors[number] /= 1 + len(expansions)
        return ranked_without(lambda reach: encoder.search_vectors(vectors, reach), depth, left_out)


@dataclass(frozen=True)
class Fused(Formulation):
    """`rrf(q,F)`: reciprocal rank fusion of the plain query's ranking and that of another formulation."""

    other: Formulation

    form = f"rrf(q,{DEFAULT})"
    ranks_by = "reciprocal rank fusion of the plain query and another of these"

    @classmethod
    def from_name(cls, name: str, load: Callable[[str], Formulation]) -> Self | None:
        """See `Formulation.from_name`."""
        inner = re.fullmatch(r"rrf\(q,([^()]+)\)", name)
        return cls(load(inner[1])) if inner else None

    @property
    def name(self) -> str:
        """See `Formulation.name`."""
        return f"rrf(q,{self.other.name})"

    def check(self, retriever: Retriever) -> None:
        """See `Formulation.check`."""
        self.other.check(retriever)

    def search(self, retriever: Retriever, asked: Sequence[Asked], depth: int, left_out: LeftOut = ()) -> Rankings:
        """See `Formulation.search`. Without a new word the plain ranking stays as it is."""
        plain = search_without(retriever, [query for query, _ in asked], depth, left_out)
        wanted = [number for number, one in enumerate(asked) if with_new_words(*one)]
        rankings = list(plain)
        without = [left_out[number] for number in wanted] if left_out else ()
        found = self.other.search(retriever, [asked[number] for number in wanted], depth, without)
        for number, expanded in zip(wanted, found, strict=True):
            rankings[number] = fused([plain[number], expanded], depth)
        return rankings


@dataclass(frozen=True)
class PerPart(Formulation):
    """`hybrid(F,G,…)`: each part of a hybrid retriever forms its own query, and their rankings are fused."""

    parts: tuple[Formulation, ...]

    form = f"hybrid({DEFAULT},mean)"
    ranks_by = "one of these for each part of a hybrid retriever"

    @classmethod
    def from_name(cls, name: str, load: Callable[[str], Formulation]) -> Self | None:
        """See `Formulation.from_name`."""
        inner = re.fullmatch(r"hybrid\((.+)\)", name)
        # A comma inside of rrf(…) does not part.
        return cls(tuple(load(part) for part in re.split(r",(?![^(]*\))", inner[1]))) if inner else None

    @property
    def name(self) -> str:
        """See `Formulation.name`."""
        return f"hybrid({','.join(part.name for part in self.parts)})"

    def check(self, retriever: Retriever) -> None:
        """See `Formulation.check`: a hybrid retriever with as many parts."""
        for formation, part in zip(self.parts, self._parts(retriever), strict=True):
            formation.check(part)

    def search(self, retriever: Retriever, asked: Sequence[Asked], depth: int, left_out: LeftOut = ()) -> Rankings:
        """See `Formulation.search`."""
        pairs = zip(self.parts, self._parts(retriever), strict=True)
        reach = HybridRetriever.reach(depth)
        rankings = [formation.search(part, asked, reach, left_out) for formation, part in pairs]
        return [fused(of_query, depth) for of_query in zip(*rankings, strict=True)]

    def _parts(self, retriever: Retriever) -> Sequence[Retriever]:
        if not isinstance(retriever, HybridRetriever) or len(retriever.parts) != len(self.parts):
            raise KitError(
                f"formation {self.name!r} is for a hybrid retriever of {len(self.parts)} parts, not for "
                f"{retriever.name}: give hybrid(…) as --retriever, or another --formation"
            )
        return retriever.parts


FORMULATIONS: tuple[type[Formulation], ...] = (Repeated, Adaptive, Mean, Fused, PerPart)


def load_formulation(name: str) -> Formulation:
    """The formulation of a recorded name, in one of the forms of [`FORMULATIONS`].

    Raises:
        KitError: there is no such formulation.
    """
    for kind in FORMULATIONS:
        formulation = kind.from_name(name, load_formulation)
        if formulation is not None:
            return formulation
    raise KitError(f"no formation {name!r}: give one of {_forms()}")


def formulation_help() -> str:
    """The help of an option that takes a formulation's name."""
    return f"How a query and its expansion are searched: {_forms()}."


def _forms() -> str:
    return ", ".join(kind.form for kind in FORMULATIONS)


def with_new_words(query: str, expansions: Sequence[str]) -> list[str]:
    """The expansions that are searched: those with a word that the query has not, as tables count them."""
    return [expansion for expansion in expansions if not is_silent(expansion, query)]


def _lexical(retriever: Retriever, name: str) -> LexicalRetriever:
    if isinstance(retriever, LexicalRetriever):
        return retriever
    raise KitError(
        f"formation {name!r} counts terms, which {retriever.name} has not: it is for bm25s and pyserini; give another "
        "--formation"
    )


def _encoding(retriever: Retriever, name: str) -> VectorRetriever:
    if isinstance(retriever, VectorRetriever):
        return retriever
    raise KitError(
        f"formation {name!r} averages vectors, which {retriever.name} has not: it is for dense:… retrievers; give "
        f"another --formation, such as {DEFAULT}"
    )

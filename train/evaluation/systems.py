"""Searches and grades the systems of an evaluation: queries as they are, and with what each expander adds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from builders.collections.collection import Collection, Query
from builders.expanders.expander import Expansion, joined
from builders.filtering.candidate_filter import Filter
from builders.filtering.cross_encoder import CrossEncoderFilter
from builders.grading.grader import DEPTH, Grade, Grader, graded_rankings
from builders.grading.results_form import NONE
from builders.retrievers.left_out import left_out_of, search_without
from builders.retrievers.retriever import Hit, Retriever
from train.evaluation.generation import Generation
from train.memory import PeakMemory


Result = TypeVar("Result")


@dataclass(frozen=True)
class ExpandedQueries:
    """What an expander adds to each query, in the order of the queries.

    Args:
        expansions (`Sequence[Expansion]`):
            What is searched with; a text without a word beyond the query leaves the plain query.
        prompts (`Sequence[Sequence[str]]`):
            The texts that the expander saw.
        facts (`Mapping`):
            Cost and provenance, for the system's row.
        tokens (`Sequence[int]`, *optional*):
            Tokens written for each query, also those of candidates that were not chosen; by default the expansions'.
    """

    expansions: Sequence[Expansion]
    prompts: Sequence[Sequence[str]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    tokens: Sequence[int] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", self.tokens or [one.completion_tokens for one in self.expansions])


@dataclass(frozen=True)
class System:
    """One row of the results: grades and rankings (document ids, best first) in the order of the queries.

    `searched_by` says what the retriever is in full; `peak_mib` is the most memory while searching; `expanded` is
    missing where the query is searched as it is.
    """

    name: str
    expander: str
    retriever: str
    searched_by: str
    grades: Sequence[Grade]
    rankings: Sequence[Sequence[str]]
    search_ms: float
    peak_mib: float
    expanded: ExpandedQueries | None = None


def searched_system(
    name: str,
    expander: str,
    retriever: str,
    grader: Grader,
    queries: Sequence[Query],
    expanded: ExpandedQueries | None,
) -> System:
    """The queries with what was written for them, or as they are, searched by the grader's own retriever."""
    texts = [expansion.text for expansion in expanded.expansions] if expanded else [""] * len(queries)
    asked = [(query.id, text) for query, text in zip(queries, texts, strict=True)]
    found, milliseconds, peak = _timed(lambda: grader.searched(asked), queries)
    grades, rankings = [grade for grade, _ in found], _documents([hits for _, hits in found])
    return System(name, expander, retriever, grader.retriever.name, grades, rankings, milliseconds, peak, expanded)


def baseline_system(name: str, collection: Collection, retriever: Retriever, queries: Sequence[Query]) -> System:
    """The queries as they are, searched by another retriever."""
    texts, ids = [query.text for query in queries], [query.id for query in queries]
    hits, milliseconds, peak = _timed(
        lambda: search_without(retriever, texts, DEPTH, left_out_of(collection, ids)), queries
    )
    rankings = _documents(hits)
    grades = graded_rankings(collection, ids, rankings)
    return System(name, NONE, name, retriever.name, grades, rankings, milliseconds, peak)


def expanded_by_model(
    queries: Sequence[Query], generation: Generation, prompts: Sequence[Sequence[str]]
) -> ExpandedQueries:
    """The expansions of a model, those of a query searched together, with their cost."""
    expansions = [joined(generation.answers[query.id]) for query in queries]
    return ExpandedQueries(expansions, prompts, {**generation.cost(), "identity": asdict(generation.identity)})


def expanded_by_context(queries: Sequence[Query], texts: Sequence[str]) -> ExpandedQueries:
    """What a prompt shows of the collection, searched as if a model had written it: what the model has to beat."""
    expansions = [Expansion(text, 0, 0, "stop") for text in texts]
    return ExpandedQueries(expansions, [(query.text,) for query in queries], {"tokens_per_query": 0.0})


def chosen_candidates(
    queries: Sequence[Query], pool: Generation, chooser: Filter, prompts: Sequence[Sequence[str]]
) -> ExpandedQueries:
    """What a filter picks of the pool, at the cost of the whole pool and of the choice.

    A query whose candidates are all blank keeps the first, and so is searched as it is.

    Raises:
        KitError: the filter cannot be loaded, or gives a score that is not a number.
    """
    candidates = [pool.answers[query.id] for query in queries]
    written = [number for number, found in enumerate(candidates) if any(one.text.strip() for one in found)]
    places = [0] * len(queries)
    with PeakMemory() as memory:
        if isinstance(chooser, CrossEncoderFilter):
            chooser.load()
        started = time.perf_counter()
        chosen = chooser.choose([queries[number] for number in written], [candidates[number] for number in written])
        milliseconds = 1000 * (time.perf_counter() - started) / len(queries)
    for number, place in zip(written, chosen, strict=True):
        places[number] = place
    cost = pool.cost()
    facts: dict[str, Any] = {
        **cost,
        "ms_per_query": cost["ms_per_query"] + milliseconds,
        "choosing_ms_per_query": milliseconds,
        "peak_memory_mib": max(cost["peak_memory_mib"], memory.mebibytes),
        "filter": chooser.identity,
    }
    tokens = [sum(one.completion_tokens for one in found) for found in candidates]
    expansions = [found[place] for found, place in zip(candidates, places, strict=True)]
    return ExpandedQueries(expansions, prompts, facts, tokens)


def _documents(rankings: Sequence[Sequence[Hit]]) -> list[list[str]]:
    return [[hit.document_id for hit in hits] for hits in rankings]


def _timed(search: Callable[[], Result], queries: Sequence[Query]) -> tuple[Result, float, float]:
    """What a search finds, the milliseconds that it takes for a query, and its peak memory in MiB."""
    with PeakMemory() as memory:
        started = time.perf_counter()
        found = search()
        milliseconds = 1000 * (time.perf_counter() - started) / len(queries)
    return found, milliseconds, memory.mebibytes

"""Searches and grades the systems of an evaluation: an expander with a retriever, or the query as it is."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from builders.collections.collection import Collection, Query
from builders.expanders.expander import Expansion
from builders.grading.grader import DEPTH, Grade, Grader, graded_rankings
from builders.grading.results_form import NONE
from builders.retrievers.retriever import Hit, Retriever
from train.evaluation.generation import Generation
from train.memory import PeakMemory


@dataclass(frozen=True)
class ExpandedQueries:
    """What an expander adds to each query, in the order of the queries.

    Args:
        expansions (`Sequence[Expansion]`):
            What is searched with; a blank text leaves the plain query.
        prompts (`Sequence[Sequence[str]]`):
            The texts that the expander saw.
        tokens (`Sequence[int]`):
            Tokens written for each query, also those of candidates that were not chosen.
        facts (`Mapping`):
            Cost and provenance, for the system's row.
    """

    expansions: Sequence[Expansion]
    prompts: Sequence[Sequence[str]]
    tokens: Sequence[int]
    facts: Mapping[str, Any] = field(default_factory=dict)


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
    with PeakMemory() as memory:
        started = time.perf_counter()
        found = grader.searched([(query.id, text) for query, text in zip(queries, texts, strict=True)])
        milliseconds = _milliseconds(started, queries)
    return System(
        name,
        expander,
        retriever,
        grader.retriever.name,
        [grade for grade, _ in found],
        _documents([hits for _, hits in found]),
        milliseconds,
        memory.mebibytes,
        expanded,
    )


def baseline_system(name: str, collection: Collection, retriever: Retriever, queries: Sequence[Query]) -> System:
    """The queries as they are, searched by another retriever."""
    with PeakMemory() as memory:
        started = time.perf_counter()
        hits = retriever.search([query.text for query in queries], DEPTH)
        milliseconds = _milliseconds(started, queries)
    rankings = _documents(hits)
    grades = graded_rankings(collection, [query.id for query in queries], rankings)
    return System(name, NONE, name, retriever.name, grades, rankings, milliseconds, memory.mebibytes)


def expanded_by_model(
    queries: Sequence[Query], generation: Generation, prompts: Sequence[Sequence[str]]
) -> ExpandedQueries:
    """The greedy expansions of a model, with their cost."""
    expansions = [generation.answers[query.id][0] for query in queries]
    facts = {**generation.cost(), "identity": asdict(generation.identity)}
    return ExpandedQueries(expansions, prompts, [one.completion_tokens for one in expansions], facts)


def expanded_by_context(queries: Sequence[Query], texts: Sequence[str]) -> ExpandedQueries:
    """What a prompt shows of the collection, searched as if a model had written it: what the model has to beat."""
    expansions = [Expansion(text, 0, 0, "stop") for text in texts]
    prompts = [(query.text,) for query in queries]
    return ExpandedQueries(expansions, prompts, [0] * len(expansions), {"tokens_per_query": 0.0})


def _documents(rankings: Sequence[Sequence[Hit]]) -> list[list[str]]:
    return [[hit.document_id for hit in hits] for hits in rankings]


def _milliseconds(started: float, queries: Sequence[Query]) -> float:
    return 1000 * (time.perf_counter() - started) / len(queries)

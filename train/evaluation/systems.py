"""The systems: what an evaluation compares, each with its rankings of the same queries."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from builders.collections.collection import Query
from builders.expanders.expander import Expansion
from builders.grading.grader import DEPTH, Grade, Grader, graded_rankings
from builders.retrievers.retriever import Hit, Retriever
from train.evaluation.generation import Generation


@dataclass(frozen=True)
class Writing:
    """What a system adds to each query, in the order of the queries.

    Args:
        expansions (`Sequence[Expansion]`):
            What is searched with; a blank text leaves the plain query.
        prompts (`Sequence[Sequence[str]]`):
            The texts that the writer saw.
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
    """One row of the table: grades and rankings (document ids, best first) in the order of the queries.

    `writing` is missing where the query is searched as it is.
    """

    name: str
    grades: Sequence[Grade]
    rankings: Sequence[Sequence[str]]
    search_ms: float
    writing: Writing | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def plain_system(name: str, grader: Grader, queries: Sequence[Query]) -> System:
    """The queries as they are, searched by the grader's own retriever."""
    return _searched(name, grader, queries, [""] * len(queries), None)


def expanded_system(name: str, grader: Grader, queries: Sequence[Query], writing: Writing) -> System:
    """The queries with what was written for them."""
    texts = [expansion.text for expansion in writing.expansions]
    return _searched(name, grader, queries, texts, writing)


def baseline_system(name: str, grader: Grader, retriever: Retriever, queries: Sequence[Query]) -> System:
    """The queries as they are, searched by another retriever."""
    started = time.perf_counter()
    hits = retriever.search([query.text for query in queries], DEPTH)
    milliseconds = _milliseconds(started, queries)
    rankings = _documents(hits)
    grades = graded_rankings(grader.collection, [query.id for query in queries], rankings)
    return System(name, grades, rankings, milliseconds, facts={"retriever": retriever.name})


def student_writing(queries: Sequence[Query], generation: Generation, prompts: Sequence[Sequence[str]]) -> Writing:
    """The greedy expansions of a student, with their cost."""
    expansions = [generation.answers[query.id][0] for query in queries]
    facts = {**generation.cost(), "identity": asdict(generation.identity)}
    return Writing(expansions, prompts, [one.completion_tokens for one in expansions], facts)


def shown_writing(queries: Sequence[Query], texts: Sequence[str]) -> Writing:
    """What a prompt shows of the collection, searched as if a model had written it: what the model has to beat."""
    expansions = [Expansion(text, 0, 0, "stop") for text in texts]
    return Writing(expansions, [(query.text,) for query in queries], [0] * len(expansions), {"tokens_per_query": 0.0})


def _searched(
    name: str, grader: Grader, queries: Sequence[Query], texts: Sequence[str], writing: Writing | None
) -> System:
    started = time.perf_counter()
    found = grader.searched([(query.id, text) for query, text in zip(queries, texts, strict=True)])
    milliseconds = _milliseconds(started, queries)
    return System(name, [grade for grade, _ in found], _documents([hits for _, hits in found]), milliseconds, writing)


def _documents(rankings: Sequence[Sequence[Hit]]) -> list[list[str]]:
    return [[hit.document_id for hit in hits] for hits in rankings]


def _milliseconds(started: float, queries: Sequence[Query]) -> float:
    return 1000 * (time.perf_counter() - started) / len(queries)

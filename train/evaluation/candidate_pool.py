"""Picks one of many candidates a query, by a filter or by the oracle (generate-then-filter)."""

import time
from collections.abc import Sequence
from typing import Any

from builders.collections.collection import Query
from builders.filtering.candidate_filter import Filter
from builders.filtering.cross_encoder import CrossEncoderFilter
from train.evaluation.generation import Generation
from train.evaluation.systems import ExpandedQueries
from train.memory import PeakMemory


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
    return ExpandedQueries(expansions, prompts, tokens, facts)

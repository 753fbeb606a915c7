"""The guards: one for each student, fitted on validation queries, used on those that are measured."""

import time
from collections.abc import Sequence
from dataclasses import replace

from builders.collections.collection import Query
from builders.comparison import differences
from builders.expanders.expander import Expansion
from builders.grading import Grader
from builders.guarding.guard import Guard, fit_guard
from builders.guarding.signals import first_pass
from train.generation import Generation
from train.systems import Writing


SUFFIX = " + guard"


def fitted_guard(grader: Grader, queries: Sequence[Query], generation: Generation, seed: int) -> Guard:
    """A guard that knows when a student's expansions of the validation queries helped.

    Args:
        grader ([`Grader`]):
            What grades them.
        queries (`Sequence[Query]`), generation ([`Generation`]):
            The validation queries, and what the student wrote for them.
        seed (`int`):
            Of the fit.

    Raises:
        KitError: the queries are too few.
    """
    expansions = [generation.answers[query.id][0] for query in queries]
    ids = [query.id for query in queries]
    grades = grader.expanded([(query_id, one.text) for query_id, one in zip(ids, expansions, strict=True)])
    deltas = differences(grades, grader.plain(ids))
    signals = first_pass(grader.retriever, grader.formation, [query.text for query in queries], expansions)
    return fit_guard(signals, deltas, seed)


def guarded(grader: Grader, queries: Sequence[Query], guard: Guard, writing: Writing) -> Writing:
    """A student's writing with the expansions that the guard leaves; the others give way to the plain query.

    The two searches that the guard looks at are part of the cost.
    """
    started = time.perf_counter()
    texts = [query.text for query in queries]
    kept = guard.weights(first_pass(grader.retriever, grader.formation, texts, writing.expansions))
    milliseconds = 1000 * (time.perf_counter() - started) / len(queries)
    # `identity` is what names the row that measured an adapter by itself.
    facts = {
        **{name: value for name, value in writing.facts.items() if name != "identity"},
        "ms_per_query": writing.facts["ms_per_query"] + milliseconds,
        "guard_ms_per_query": milliseconds,
        "kept": sum(kept) / len(kept),
    }
    expansions = [one if keep else _dropped(one) for one, keep in zip(writing.expansions, kept, strict=True)]
    return replace(writing, expansions=expansions, facts=facts, kept=kept)


def _dropped(expansion: Expansion) -> Expansion:
    return replace(expansion, text="")

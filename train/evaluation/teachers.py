"""The teachers: what students are held against, recorded or fitted to the collection."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from builders.collections.collection import Collection, Query
from builders.errors import KitError
from builders.expanders.expander import Expander, Expansion, FinishReason, Request, estimated_tokens, greedy
from builders.expanders.recordings import RecordedExpansion, read_recorded
from builders.expanders.term_regression import TermRegressionExpander, TermRegressionOptions
from builders.grading.joining import join_expansions
from train.evaluation.systems import ExpandedQueries


TERM_REGRESSION = "term-regression"
FORM = "NAME=SOURCE[,FIELD=VALUE,…]"
# So many ids are named when a recording lacks queries.
NAMED = 5


@dataclass(frozen=True)
class Teacher:
    """One teacher.

    Args:
        name (`str`):
            Of its row.
        settings (`Mapping`):
            What its expansions depend on, for a results folder that need not be made again.
        write:
            Gives its expansions.
    """

    name: str
    settings: Mapping[str, Any]
    write: Callable[[], ExpandedQueries]


def load_teacher(text: str, collection: Collection, queries: Sequence[Query], max_new_tokens: int) -> Teacher:
    """Read an entry of `--teachers`.

    Args:
        text (`str`):
            `NAME=SOURCE[,FIELD=VALUE,…]`: recorded expansions (see `read_recorded`), of which rows with these values
            are taken; or `term-regression`, whose settings the fields are.
        collection ([`Collection`]), queries (`Sequence[Query]`):
            What is asked.
        max_new_tokens (`int`):
            Token limit, where a teacher writes now.

    Raises:
        KitError: the entry is malformed, the source cannot be read, or it lacks a query.
    """
    name, source, fields = _parse(text)
    if source == TERM_REGRESSION:
        return _fitted(name, fields, collection, queries, max_new_tokens)
    rows = read_recorded(source, fields)
    of_query = {row.query_id: row for row in rows}
    if lacking := [query.id for query in queries if query.id not in of_query]:
        named = ", ".join(lacking[:NAMED]) + (" …" if len(lacking) > NAMED else "")
        raise KitError(
            f"--teachers {name}: {source} has no expansion of {len(lacking)} of the {len(queries)} queries ({named}): "
            "a comparison needs all; evaluate on queries that are recorded"
        )
    texts, notes = join_expansions(source, rows, collection, queries)
    digest = hashlib.sha256(repr(texts).encode()).hexdigest()
    expansions = [_recorded(of_query[query.id]) for query in queries]
    return Teacher(name, {"source": source, "sha256": digest}, lambda: _writing(queries, expansions, notes))


def _parse(text: str) -> tuple[str, str, dict[str, str]]:
    head, *filters = text.split(",")
    match = re.fullmatch(r"([\w.+-]+)=(.+)", head.strip())
    pairs = [part.strip().partition("=") for part in filters]
    if match is None or not all(field and equals for field, equals, _ in pairs):
        raise KitError(f"--teachers {text!r}: give {FORM}, e.g. big=teacher.jsonl.gz,mode=zs")
    return match[1], match[2], {field: value for field, _, value in pairs}


def _fitted(
    name: str, fields: Mapping[str, str], collection: Collection, queries: Sequence[Query], max_new_tokens: int
) -> Teacher:
    try:
        known = asdict(TermRegressionOptions())
        options = TermRegressionOptions(**{field: type(known[field])(value) for field, value in fields.items()})
    except (KeyError, ValueError) as error:
        takes = ", ".join(f"{field}={value}" for field, value in known.items())
        raise KitError(f"--teachers {name}: {TERM_REGRESSION} takes {takes}, not {error}") from error
    expander: Expander = TermRegressionExpander(collection, options)

    def write() -> ExpandedQueries:
        requests = [Request(query.id, (), 1) for query in queries]
        answers = dict(expander.expand(requests, greedy(max_new_tokens)))
        return _writing(queries, [answers[query.id][0] for query in queries], {"identity": asdict(expander.identity)})

    return Teacher(name, {**asdict(expander.identity), **expander.settings}, write)


def _recorded(row: RecordedExpansion) -> Expansion:
    read, written = (row.attributes.get(name) for name in ("prompt_tokens", "completion_tokens"))
    tokens = written if isinstance(written, int) else estimated_tokens(row.text)
    finish: FinishReason = "length" if row.attributes.get("finish_reason") == "length" else "stop"
    return Expansion(row.text, read if isinstance(read, int) else 0, tokens, finish)


def _writing(queries: Sequence[Query], expansions: Sequence[Expansion], facts: Mapping[str, Any]) -> ExpandedQueries:
    """Of a recording's prompt nothing is known but the query that was in it."""
    tokens = [expansion.completion_tokens for expansion in expansions]
    cost = {"tokens_per_query": sum(tokens) / len(tokens)}
    return ExpandedQueries(expansions, [(query.text,) for query in queries], tokens, {**cost, **facts})

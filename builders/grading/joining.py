"""Join recorded expansions, or a run, to the queries of a collection: one for each query."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import BUILD
from builders.artifacts.files import file_hash
from builders.cli import say
from builders.collections.collection import Collection, Query
from builders.collections.files.topics import same_topic
from builders.errors import KitError
from builders.expanders.generations import stripped_counts
from builders.expanders.recorded_expander import recorded_expansion
from builders.expanders.recordings import RecordedExpansion
from builders.measures.trec_run import read_run


# The fields and values that an error lists.
LISTED_FIELDS, LISTED_VALUES = 4, 12


def join_expansions(
    source: str, recorded: Sequence[RecordedExpansion], collection: Collection, queries: Sequence[Query]
) -> tuple[list[str], dict[str, Any]]:
    """One recorded text for each query, and notes for the system's row: `missing`, `empty`, `stripped`, `source`.

    Labels and reasoning are taken out, as of every answer. A query without a recorded expansion has an empty one, and
    so is graded plain.

    Raises:
        KitError: a query has several expansions, or most queries have none.
    """
    of_query: dict[str, list[RecordedExpansion]] = {}
    for one in recorded:
        of_query.setdefault(same_topic(one.query_id, collection.queries), []).append(one)
    wanted = [of_query.get(query.id, []) for query in queries]
    if several := next((rows for rows in wanted if len(rows) > 1), None):
        fields = _telling_apart(several)
        raise KitError(
            f"{source}: {len(several)} expansions of query {several[0].query_id!r}, and one is graded: "
            + (f"narrow with --where FIELD=VALUE by {fields}" if fields else "alike in every field, so keep one row")
        )
    missing = wanted.count([])
    if 2 * missing > len(queries):
        raise KitError(
            f"{source}: it has expansions of {len(queries) - missing} of the {len(queries)} queries asked of "
            f"{collection.name!r}: another collection, or another --split?"
        )
    if missing:
        say(f"{missing} of {len(queries)} queries have no recorded expansion and are graded plain")
    expansions = [recorded_expansion(rows[0]) for rows in wanted if rows]
    stripped = stripped_counts(expansions)
    for kind, number in stripped.items():
        say(f"{kind} taken out of {number} of {len(expansions)} recorded expansions")
    left = iter(expansions)
    texts = [next(left).text if rows else "" for rows in wanted]
    empty = sum(not text.strip() for text in texts) - missing
    notes = {"missing": missing, "empty": empty, **({"stripped": stripped} if stripped else {})}
    return texts, {**notes, **_source(source)}


def _telling_apart(rows: Sequence[RecordedExpansion]) -> str:
    """The fields in which rows of one query differ, with their values; those with the fewest values first."""
    names = dict.fromkeys(name for row in rows for name in row.attributes)
    values = {name: dict.fromkeys(_shown(row.attributes.get(name)) for row in rows) for name in names}
    telling = sorted(
        (name for name in names if 1 < len(values[name]) <= LISTED_VALUES), key=lambda name: len(values[name])
    )
    return ", ".join(f"{name} ({', '.join(values[name])})" for name in telling[:LISTED_FIELDS])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def join_run(path: Path, collection: Collection, queries: Sequence[Query]) -> tuple[list[list[str]], dict[str, Any]]:
    """The ranking of each query in a run file, and notes for the system's row: `missing`, `source`.

    A query that the run does not have gets an empty ranking, which counts as 0. Topics of the run that are not judged
    are left out, as trec_eval leaves them out.

    Raises:
        KitError: the run cannot be read, is over other topics or other documents, or has rankings of few queries.
    """
    run = {same_topic(topic, collection.queries): ranking for topic, ranking in read_run(path).items()}
    unknown = [topic for topic in run if topic not in collection.queries]
    which = f"{len(unknown)} of its {len(run)} topics are not in collection {collection.name!r}"
    if len(unknown) == len(run):
        raise KitError(f"{path}: {which}, the first is {unknown[0]!r}: another collection?")
    if unknown:
        say(f"{path.name}: {which}, or not judged there, and are left out")
    missing = sum(query.id not in run for query in queries)
    if 2 * missing > len(queries):
        raise KitError(
            f"{path}: it ranks documents for {len(queries) - missing} of the {len(queries)} queries: another --split?"
        )
    if missing:
        say(f"{path.name}: {missing} of {len(queries)} queries have no ranking and count as 0")
    if not any(collection.qrels[query.id].keys() & run.get(query.id, []) for query in queries):
        raise KitError(
            f"{path}: none of its documents is judged in {collection.name!r}: document ids of another corpus?"
        )
    return [run.get(query.id, []) for query in queries], {"missing": missing, **_source(str(path))}


def _source(name: str) -> dict[str, str]:
    path = Path(name).expanduser()
    if path.is_file():
        return {"source": path.name, "sha256": file_hash(path)}
    if path.is_dir():
        return {"source": path.name, "build_sha256": file_hash(path / BUILD)}
    return {"source": name}

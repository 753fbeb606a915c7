"""Recorded expansions: what a teacher wrote once, read again from a file or a published dataset."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import open_dataset, read_rows
from builders.artifacts.download import download
from builders.collections.files.lines import Place, read_json
from builders.collections.files.tables import first_line, form_inside, read_pairs, read_records
from builders.errors import KitError


QUERY_ID_FIELDS = ("query_id", "qid", "_id")
TEXT_FIELDS = ("expansion", "candidate", "text")


@dataclass(frozen=True, slots=True)
class RecordedExpansion:
    """One recorded expansion; an empty text is an answer too.

    Args:
        query_id (`str`):
            Id of the query in its collection.
        text (`str`):
            The expansion.
        attributes (`Mapping`):
            All other fields of the row: model, method, scores.
    """

    query_id: str
    text: str
    attributes: Mapping[str, Any]


def read_recorded(source: str, where: Mapping[str, str], text_fields: Sequence[str] = ()) -> list[RecordedExpansion]:
    """Read recorded expansions, in the order they stand in.

    Args:
        source (`str`):
            A JSONL file (`.gz` too) with the query id under `query_id`, `qid` or `_id` and the text under `expansion`,
            `candidate` or `text`; CSV, TSV or Parquet with such columns, or TSV of id and text alone; a folder made by
            `python -m builders expansions`; or the Hub id of such a dataset.
        where (`Mapping[str, str]`):
            Field → value, or several with `|` between them: only rows that match all fields. Values other than strings
            compare as JSON: `null`, `0.7`.
        text_fields (`Sequence[str]`, *optional*):
            Fields that make up the text, joined by a blank, where it lies elsewhere.

    Raises:
        KitError: the source cannot be read, a row lacks a field, or no row matches.
    """
    path = Path(source).expanduser()
    if path.is_file():
        rows = [_recorded(str(place), record, text_fields) for place, record in _records(path)]
    else:
        folder = path if path.is_dir() else _from_hub(source)
        rows = [_recorded(f"{source}, config raw, row {n}", row, text_fields) for n, row in _raw_rows(folder)]
    if not rows:
        raise KitError(f"{source}: no expansions in it")
    for field, wanted in where.items():
        matching = [
            row for row in rows if field in row.attributes and _written(row.attributes[field]) in wanted.split("|")
        ]
        if not matching:
            raise KitError(f"{source}: no row with {field}={wanted}; {_known(rows, field)}")
        rows = matching
    return rows


def _records(path: Path) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    form = form_inside(path)
    if form == "tsv" and not {*QUERY_ID_FIELDS}.intersection(first_line(path).split("\t")):
        for place, query_id, text in read_pairs(path, "query id, text"):
            yield place, {QUERY_ID_FIELDS[0]: query_id.strip(), TEXT_FIELDS[0]: text}
    else:
        yield from read_records(path) if form in ("tsv", "csv", "parquet") else read_json(path)


def parse_where(filters: list[str]) -> dict[str, str]:
    """Filters as commands take them, `field=value` each.

    Raises:
        KitError: one has no `=`, or a field stands twice.
    """
    where: dict[str, str] = {}
    for text in filters:
        field, equals, value = text.partition("=")
        if not equals or not field:
            raise KitError(f"--where {text!r}: give field=value, e.g. method=query2doc")
        if where.setdefault(field, value) != value:
            raise KitError(f"--where: {field} stands twice, with {where[field]!r} and {value!r}; keep one")
    return where


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _known(rows: list[RecordedExpansion], field: str) -> str:
    values = sorted({_written(row.attributes[field]) for row in rows if field in row.attributes})
    if values:
        return f"it has {', '.join(values[:12])}{' …' if len(values) > 12 else ''}"
    return f"its fields are {', '.join(sorted({name for row in rows for name in row.attributes})) or 'none'}"


def _recorded(at: str, record: Mapping[str, Any], text_fields: Sequence[str]) -> RecordedExpansion:
    id_field = next((name for name in QUERY_ID_FIELDS if name in record), None)
    if id_field is None:
        raise KitError(f"{at}: {_none_of(QUERY_ID_FIELDS, record)}")
    query_id = record[id_field]
    if isinstance(query_id, bool) or not isinstance(query_id, str | int) or query_id == "":
        raise KitError(f"{at}: field {id_field!r} must be a query id, not {query_id!r}")
    fields = [name for name in text_fields or TEXT_FIELDS if name in record]
    if not fields or len(fields) < len(text_fields):
        raise KitError(
            f"{at}: {_none_of([name for name in text_fields or TEXT_FIELDS if name not in fields], record)}"
            + ("" if text_fields else "; name the field of the text with --text_fields")
        )
    fields = fields if text_fields else fields[:1]
    for name in fields:
        if not isinstance(record[name], str):
            raise KitError(
                f'{at}: field {name!r} must be text, not {json.dumps(record[name])}; write an empty one as ""'
            )
    text = " ".join(record[name] for name in fields)
    attributes = {name: value for name, value in record.items() if name not in (id_field, *fields)}
    return RecordedExpansion(str(query_id), text, attributes)


def _none_of(fields: Sequence[str], record: Mapping[str, Any]) -> str:
    return f"field {' or '.join(map(repr, fields))} is missing; it has {', '.join(map(repr, record)) or 'none'}"


def _from_hub(source: str) -> Path:
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise KitError(f"recorded expansions {source!r}: no such file or folder, and not a Hub id (owner/name)")
    what = f"recorded expansions {source!r} cannot be had from the Hub"
    return download(what, source, repo_type="dataset", allow=["build.json", "data/**"])


def _raw_rows(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    splits = open_dataset(folder, "expansions")["rows"]["raw"]
    yield from enumerate((row for split in splits for row in read_rows(folder, "raw", split)), start=1)

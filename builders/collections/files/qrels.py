"""Reads relevance judgments (qrels): four columns as TREC has them, or a header as BEIR has it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from builders.collections.collection import Split
from builders.collections.files.lines import Place, form_of, read_lines
from builders.collections.files.tables import count_columns, first_line, other_separator, read_records
from builders.errors import KitError


COLUMNS = ("query-id", "corpus-id", "score")
# trec_eval passes over lines that begin with it.
COMMENT = "#"
_NUMBER = re.compile(r"-?\d+(\.0*)?")
_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "dev1": "validation",
    "dev2": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


class Judgment(NamedTuple):
    """One judgment and where it stands. A split of `None` is one that nobody has named."""

    place: Place
    split: Split | None
    query_id: str
    document_id: str
    relevance: int


def split_named(name: str) -> Split | None:
    """The split that a file's name tells, e.g. `qrels.dev.small.tsv` → validation; `None` where it tells none."""
    return next((_SPLITS[word] for word in re.split(r"[^a-z0-9]+", name.lower()) if word in _SPLITS), None)


def read_splits(files: Iterable[Path]) -> Iterator[Judgment]:
    """The judgments of several files, each of the split that its name tells; where it tells none, *test*.

    Raises:
        KitError: see [`read_qrels`].
    """
    for path in files:
        yield from read_qrels(path, split_named(path.name) or "test")


def read_qrels(path: Path, split: Split | None) -> Iterator[Judgment]:
    """The judgments of one file; which of the two forms it has is seen from its first line.

    Args:
        path (`Path`):
            The file: TSV, CSV, JSONL or Parquet with the columns `query-id`, `corpus-id` and `score`; or text with
            query id, a column without meaning, document id and relevance.
        split (`Split`, *optional*):
            The split that the file's queries belong to.

    Raises:
        KitError: a row has not the columns it should have, or a relevance is no whole number.
    """
    form = form_of(path)
    named = form in ("parquet", "jsonl", "json", "csv")
    first = "" if named else first_line(path, COMMENT)
    cells = first.split()
    if named or set(COLUMNS).intersection(cells):
        yield from _headed(path, split)
    elif any(column in first for column in COLUMNS):
        raise KitError(f"{path}, row 1: the columns are not separated by tabs; separate them so")
    elif not first or (len(cells) == 3 and _NUMBER.fullmatch(cells[2])):
        raise KitError(_missing(Place(path, 1), COLUMNS[0]))
    else:
        yield from _trec(path, split)


def whole(place: Place, relevance: object) -> int:
    """A relevance as a number, 0 or more (`1.0` is 1): TREC's negative grades (spam, not judged) are not relevant.

    Raises:
        KitError: it is no whole number.
    """
    try:
        number = float(str(relevance)) if not isinstance(relevance, int) else relevance
        if number != int(number):
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise KitError(f"{place}: score {relevance!r} is not an integer; use 0, 1, 2, …") from error
    return max(0, int(number))


def _headed(path: Path, split: Split | None) -> Iterator[Judgment]:
    for place, record in read_records(path):
        missing = [column for column in COLUMNS if column not in record]
        if missing:
            raise KitError(_missing(place if form_of(path) == "jsonl" else Place(path, 1), missing[0]))
        query_id, document_id, score = (record[column] for column in COLUMNS)
        yield Judgment(place, split, str(query_id), str(document_id), whole(place, score))


def _missing(place: Place, column: str) -> str:
    names = ", ".join(COLUMNS)
    return f"{place}: column {column!r} is missing; the first line must name {names}, separated by tabs"


def _trec(path: Path, split: Split | None) -> Iterator[Judgment]:
    for place, line in read_lines(path):
        cells = line.split("\t") if line.count("\t") == 3 else line.split()
        if not cells or line.startswith(COMMENT):
            continue
        if len(cells) != 4:
            seen = other_separator(line, "\t") if len(cells) == 1 else ""
            raise KitError(
                f"{place}: {count_columns(cells)} where 4 are expected (query id, 0, document id, relevance)"
                f"{seen or ', separated by blanks or tabs'}"
            )
        yield Judgment(place, split, cells[0].strip(), cells[2].strip(), whole(place, cells[3].strip()))

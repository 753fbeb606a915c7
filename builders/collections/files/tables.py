"""Reads rows of cells, and records by column name, from TSV, CSV, JSON and Parquet files alike."""

import csv
from collections.abc import Iterator
from pathlib import Path

from builders.collections.files.lines import Place, Record, form_of, read_json, read_lines
from builders.errors import KitError


RECORD_FORMS = ("jsonl", "json", "csv", "tsv", "parquet")
# What the first cell of a header line is called, where there should be none.
HEADERS = {"id", "_id", "docid", "doc_id", "docno", "pid", "qid", "query_id", "query-id", "topic", "topic_id"}
# What files say where they mean to separate columns otherwise than asked.
_OTHER_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", ":": "colons"}
_BATCH = 1024


def form_inside(path: Path) -> str:
    """What a file holds by its name, see `form_of`; of a `.txt` by its first line: an object of JSON, or cells."""
    form = form_of(path)
    if form != "txt":
        return form
    first = first_line(path)
    return "jsonl" if first.lstrip().startswith("{") else "tsv" if "\t" in first else form


def read_records(path: Path) -> Iterator[tuple[Place, Record]]:
    """The rows of a JSON, CSV, TSV or Parquet file by column name. CSV and TSV name their columns in the first line.

    A cell of a TSV file that stands in quotation marks is read without them, as the spreadsheet programs write it.

    Raises:
        KitError: the file cannot be read, or a row has more or fewer cells than there are columns.
    """
    form = form_inside(path)
    if form in ("jsonl", "json"):
        yield from read_json(path)
    elif form == "parquet":
        yield from _parquet(path)
    elif form in ("csv", "tsv"):
        yield from _headed(
            path, _csv_cells(path) if form == "csv" else tsv_cells(path), "," if form == "csv" else "\t"
        )
    else:
        raise KitError(f"{path}: what is in it? Name it one of {', '.join(f'*.{name}' for name in RECORD_FORMS)}")


def read_pairs(path: Path, columns: str) -> Iterator[tuple[Place, str, str]]:
    """The rows of a TSV file without header and with two columns, as MS MARCO and TREC write them.

    Args:
        path (`Path`):
            The file.
        columns (`str`):
            What the two columns are, for messages.

    Raises:
        KitError: a row has not two cells, or the first is a header.
    """
    for place, line in read_lines(path):
        if not line.strip():
            continue
        cells = line.split("\t")
        if place.row == 1 and cells[0].strip().lower() in HEADERS:
            raise KitError(f"{place}: a header ({line!r}) where none belongs; remove the line")
        if len(cells) != 2:
            more = (
                other_separator(line, "\t")
                if len(cells) == 1
                else "; a text holds no tabs; name the columns of more in the first line"
            )
            raise KitError(f"{place}: {count_columns(cells)} where 2 are expected ({columns}){more}")
        yield place, cells[0], cells[1]


def tsv_cells(path: Path) -> Iterator[tuple[Place, list[str]]]:
    """The cells of a TSV file, quotation marks around whole cells taken off; blank lines are passed over."""
    for place, line in read_lines(path):
        if line.strip():
            yield place, [_unquoted(cell) for cell in line.split("\t")]


def first_line(path: Path, comment: str | None = None) -> str:
    """The first line that is not blank, nor begins with the mark of a comment; empty for an empty file."""
    lines = (line for _, line in read_lines(path) if line.strip())
    return next((line for line in lines if comment is None or not line.startswith(comment)), "")


def count_columns(cells: list[str]) -> str:
    """`1 column`, `2 columns`, … for messages."""
    return f"{len(cells)} column{'s' if len(cells) > 1 else ''}"


def _headed(path: Path, rows: Iterator[tuple[Place, list[str]]], delimiter: str) -> Iterator[tuple[Place, Record]]:
    place, header = next(rows, (Place(path, 1), []))
    header = [name.strip() for name in header]
    if len(header) == 1 and (seen := other_separator(header[0], delimiter)):
        raise KitError(f"{place}: one column{seen}")
    for place, cells in rows:
        if len(cells) != len(header):
            raise KitError(f"{place}: {count_columns(cells)} where {len(header)} are expected")
        yield place, dict(zip(header, cells, strict=True))


def other_separator(line: str, wanted: str) -> str:
    """What to say about a line that has no separator of the wanted kind, but another."""
    for character, name in _OTHER_SEPARATORS.items():
        # Colons stand in many texts; what they separate stands before the first blank.
        if character != wanted and character in (line.split(" ")[0] if character == ":" else line):
            return f", separated by {name}, it seems; separate them by {_OTHER_SEPARATORS[wanted]}"
    return ""


def _csv_cells(path: Path) -> Iterator[tuple[Place, list[str]]]:
    reader = csv.reader((f"{line}\n" for _, line in read_lines(path)), strict=True)
    row = 1
    try:
        for cells in reader:
            if cells:
                yield Place(path, row), cells
            # A cell may hold line breaks: a record is named by its first line.
            row = reader.line_num + 1
    except csv.Error as error:
        raise KitError(f"{Place(path, row)}: not valid CSV ({error}); mend the line") from error


def _unquoted(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell


def _parquet(path: Path) -> Iterator[tuple[Place, Record]]:
    import pyarrow
    from pyarrow import parquet

    row = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH):
                for record in batch.to_pylist():
                    row += 1
                    yield Place(path, row), record
    except FileNotFoundError as error:
        raise KitError(f"{path}: no such file") from error
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:200]
        raise KitError(f"{path}, after row {row}: Parquet data cut off or damaged ({said}); fetch it again") from error

"""Reads click logs: rows of a query, the document that was clicked for it, and how often, or how it was rated."""

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from builders.collections.collection import Document
from builders.collections.files.documents import LocatedDocuments, id_field
from builders.collections.files.id_set import IdSet
from builders.collections.files.lines import Place, Record
from builders.collections.files.metadata import FILE
from builders.collections.files.qrels import whole
from builders.collections.files.tables import read_records
from builders.errors import KitError


# The column names that are known without being told.
NAMES = {
    "query": ("query", "search_query", "query_text"),
    "document_id": ("document_id", "doc_id", "docid", "clicked_document_id"),
    "text": ("document_text", "text", "document", "passage"),
    "title": ("title", "document_title"),
    "count": ("count", "clicks", "click_count"),
    "rating": ("rating", "relevance", "grade", "judgment", "judgement"),
}


@dataclass(frozen=True)
class ClickLog:
    """The rows of one or more click logs.

    Args:
        paths (`tuple[Path, ...]`):
            The files.
        columns (`Mapping[str, str]`):
            `query`, `document_id`, `text`, `title`, `count` or `rating` → the column's name, where it is none of
            `NAMES`.
    """

    paths: tuple[Path, ...]
    columns: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in NAMES:
                raise KitError(f"{FILE}: columns: {name!r} is not known; it may hold {', '.join(NAMES)}")

    @property
    def rated(self) -> bool:
        """Whether the rows are ratings by people: there is a column of them, and none that counts clicks."""
        first = next((record for _, record in self._records()), {})
        counted, rated = (any(name in first for name in self._names(column)) for column in ("count", "rating"))
        return rated and not counted

    def ratings(self) -> Iterator[tuple[Place, str, str, int]]:
        """Place, query as it is compared, document id and rating of every row.

        Raises:
            KitError: a row lacks query or document, or its rating is no whole number.
        """
        for place, record in self._records():
            rating = whole(place, self._value(record, "rating", None))
            yield place, _normalised(self._text(place, record, "query")), self._id(place, record), rating

    def clicks(self) -> Iterator[tuple[Place, str, str, int]]:
        """Place, query as it is compared, document id and count of every row.

        Raises:
            KitError: a row lacks query or document, or its count is no whole number.
        """
        for place, record in self._records():
            count = _count(place, self._value(record, "count", 1))
            yield place, _normalised(self._text(place, record, "query")), self._id(place, record), count

    def shareable(self) -> Iterator[Record]:
        """The log with nothing in it but what a collection is read from: no user, session or time.

        The clicks of a query on a document are one row, with their number.

        Raises:
            KitError: see [`clicks`] and [`ratings`].
        """
        rated = self.rated
        column = "rating" if rated else "count"
        counted: dict[tuple[str, str], Record] = {}
        for place, record in self._records():
            query, document_id = _normalised(self._text(place, record, "query")), self._id(place, record)
            number = self._value(record, column, 1)
            number = number if rated else _count(place, number)
            row = counted.get((query, document_id))
            if row is not None and not rated:
                row[self._names(column)[0]] += number
            elif row is None and query:
                texts = {name: self._value(record, name, None) for name in ("text", "title")}
                row = {"query": query, "document_id": document_id, **texts, column: number}
                counted[query, document_id] = {
                    self._names(name)[0]: value for name, value in row.items() if value is not None
                }
        yield from counted.values()

    def documents(self) -> Iterator[tuple[Place, Document]]:
        """The document of every row, as often as it stands there.

        Raises:
            KitError: a row has no text.
        """
        for place, record in self._records():
            title = self._value(record, "title", None)
            text = self._text(place, record, "text")
            yield place, Document(self._id(place, record), "" if title is None else str(title), text)

    def _records(self) -> Iterator[tuple[Place, Record]]:
        for path in self.paths:
            for number, (place, row) in enumerate(read_records(path)):
                # Spreadsheets write "Query" and "Document ID".
                record = row | {name.strip().lower().replace(" ", "_"): value for name, value in row.items()}
                if number == 0:
                    self._require(path, record, row, "query")
                    self._require(path, record, row, "document_id", "text")
                yield place, record

    def _require(self, path: Path, record: Record, row: Record, *columns: str) -> None:
        names = [name for column in columns for name in self._names(column)]
        if not any(name in record for name in names):
            raise KitError(
                f"{path}: no column {' or '.join(map(repr, names))}, but {', '.join(row)}; does its first line name "
                f"them? Another name is told in {FILE}: columns: {{{columns[0]}: NAME}}"
            )

    def _value(self, record: Record, column: str, usual: Any) -> Any:
        return next((record[name] for name in self._names(column) if name in record), usual)

    def _names(self, column: str) -> tuple[str, ...]:
        return (self.columns[column],) if column in self.columns else NAMES[column]

    def _text(self, place: Place, record: Record, column: str) -> str:
        value = self._value(record, column, None)
        if not isinstance(value, str):
            more = "" if column == "query" else ", or put corpus.jsonl beside the log and give their folder"
            raise KitError(f"{place}: column {self._names(column)[0]!r} is missing or not text; add it{more}")
        return value

    def _id(self, place: Place, record: Record) -> str:
        if not any(name in record for name in self._names("document_id")):
            return text_id(self._text(place, record, "text"))
        return id_field(place, record, self._names("document_id"))


@dataclass(frozen=True)
class LogDocuments(LocatedDocuments):
    """The documents whose texts stand in a click log: each once, where it stands first."""

    log: ClickLog

    @property
    def name(self) -> str:
        """See `LocatedDocuments.name`."""
        return str(self.log.paths[0])

    def located(self) -> Iterator[tuple[Place, Document]]:
        """See `LocatedDocuments.located`."""
        given = bytearray(len(self._ids))
        for place, document in self.log.documents():
            number = self._ids.number(document.id)
            if not given[number]:
                given[number] = True
                yield place, document

    @cached_property
    def _ids(self) -> IdSet:
        return IdSet(document.id for _, document in self.log.documents())


def _normalised(query: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", query).lower().split())


def text_id(text: str) -> str:
    """16 hex digits that name a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _count(place: Place, value: Any) -> int:
    try:
        number = float(value)
        if number < 0 or number != int(number):
            raise ValueError
    except (ValueError, TypeError, OverflowError) as error:
        raise KitError(f"{place}: count {value!r} is no whole number, 0 or more") from error
    return int(number)

"""Reads a search log: queries, the documents that were clicked for them and how often, or how they were rated."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import Collection, split_of
from builders.collections.files.click_log import NAMES, ClickLog, LogDocuments, text_id
from builders.collections.files.documents import FileDocuments, LocatedDocuments
from builders.collections.files.excluded import FILE as EXCLUDED
from builders.collections.files.lines import Place, Record, form_of
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import Judgment
from builders.collections.files.tables import RECORD_FORMS, read_records
from builders.collections.files.topics import EMPTY_SHARE, Topics
from builders.collections.source import FolderKind
from builders.errors import KitError


FORM = "clicks.csv, .tsv, .jsonl or .parquet (query, document_id or text, perhaps count or rating)"
# Share of a query's clicks → relevance; any click at all is 1, none is 0.
GRADES = ((0.5, 3), (0.2, 2), (0.0, 1))
CLICKED = (
    "These are click judgments: a document with half or more of its query's clicks is graded 3, with a fifth or more "
    "2, with any 1."
)
RATINGS = "These are the ratings of the table, as they stand."

_FILE = re.compile(r"clicks?[^/]*\.(csv|tsv|jsonl|parquet)(\.gz|\.zst)?$|click[-_]?log", re.IGNORECASE)
# Tables of ratings have these names; other kinds of collections may hold such files beside their qrels.
_RATED = re.compile(r"(judge?ments?|ratings?)[^/]*\.(csv|tsv|jsonl|parquet)(\.gz|\.zst)?$", re.IGNORECASE)
_OTHERS = re.compile(r"qrels|topics|queries", re.IGNORECASE)
_CORPUS = re.compile(r"(corpus|documents)[^/]*\.(jsonl|tsv|csv|parquet)(\.gz|\.zst)?$")


def click_files(folder: Path) -> list[Path]:
    """The click logs in a folder, by their names, or else its tables of ratings."""
    paths = sorted(folder.iterdir())
    found = [path for path in paths if _FILE.match(path.name) and form_of(path) in RECORD_FORMS]
    if found or any(_OTHERS.search(path.name) for path in paths):
        return found
    return [path for path in paths if _RATED.match(path.name) and holds_clicks(path)]


def holds_clicks(path: Path) -> bool:
    """Whether a file's first row has a query and a document."""
    if form_of(path) not in RECORD_FORMS:
        return False
    record: Record = next((record for _, record in read_records(path)), {})
    return bool(set(NAMES["query"]) & set(record)) and bool({*NAMES["document_id"], *NAMES["text"]} & set(record))


def load_clicks(path: Path, language: str | None, stated: Metadata) -> Collection:
    """Read pairs of a query and a clicked document, each perhaps with a count.

    * Columns: `query`; `document_id`, or `text`, or both; perhaps `title`, and `count` (without it every row is one
      click) or `rating`. Other names are told in `collection.yaml` (`columns: {query: search_term}`).
    * Queries are compared without case, width of characters and extra white space; their ids and splits (70/10/20)
      are hashes of what is left, so that a log that grows never moves a query.
    * Judgments are clicks: 3 for a document that has half or more of its query's clicks, 2 for a fifth or more, 1 for
      any, 0 for a document that was shown and never clicked (count 0). Where there is a `rating` and no `count`, the
      ratings are the judgments.
    * Documents are those of a corpus file beside the log (`corpus.jsonl`, `documents.csv`, …), else the texts in the
      log itself: the first text of each id, or, without ids, each different text.

    Args:
        path (`Path`):
            The folder, or the log itself.
        language (`str`, *optional*), stated ([`Metadata`]):
            As in `load_beir`.

    Raises:
        KitError: as in `load_beir`, but that many deleted documents are no error; or a column is missing, a query is
            empty, or a count is no whole number.
    """
    logs = [path] if path.is_file() else click_files(path)
    if not logs:
        raise KitError(f"{path}: no click log; such a folder holds {FORM}")
    log = ClickLog(tuple(logs), stated.columns)
    corpus = () if path.is_file() else stated.corpus_files(path, _CORPUS)
    documents: LocatedDocuments = FileDocuments(corpus) if corpus else LogDocuments(log)
    topics = Topics()
    graded: dict[str, dict[str, int]] = {}
    first: dict[str, Place] = {}
    rows = 0
    empty: list[Place] = []
    rated = log.rated
    for place, query, document_id, number in log.ratings() if rated else log.clicks():
        rows += 1
        if not query:
            empty.append(place)
            continue
        query_id = text_id(query)
        if query_id not in topics.texts:
            topics.add(place, query_id, query)
            first[query_id] = place
        of_query = graded.setdefault(query_id, {})
        if rated and of_query.get(document_id, number) != number:
            raise KitError(f"{place}: {query!r} and {document_id!r} have two different ratings; keep one")
        of_query[document_id] = number if rated else of_query.get(document_id, 0) + number
    if not rows:
        raise KitError(f"{logs[0]}: no clicks in it")
    if len(empty) > EMPTY_SHARE * rows:
        raise KitError(f"{empty[0]}: the query is empty, in {len(empty)} of {rows} rows; remove them")
    facts = stated.or_else(
        source=f"a search log, {path.resolve().name}",
        licence="not stated in the folder",
        judgments=f"{RATINGS if rated else CLICKED} Queries are divided 70/10/20 by a hash of their text.",
    )

    def judgments() -> Iterator[Judgment]:
        for query_id, numbers in graded.items():
            total = sum(numbers.values())
            for document_id, number in numbers.items():
                grade = number if rated else _grade(number, total)
                yield Judgment(first[query_id], split_of(query_id), query_id, document_id, grade)

    counts = {"rows": rows, "rows_without_query": len(empty)}
    if not rated:
        counts["clicks"] = sum(sum(numbers.values()) for numbers in graded.values())
    remarks = [f"{facts.name}: not read beside the log: {name}" for name in _unread(path, {*logs, *corpus})]
    return assemble(
        Parts(facts, documents, topics, judgments(), language, is_log=True, statistics=counts, remarks=remarks)
    )


def _unread(folder: Path, read: set[Path]) -> list[str]:
    """Names of the tables in a folder that are neither its log nor its corpus."""
    if folder.is_file():
        return []
    tables = (path for path in sorted(folder.iterdir()) if path.is_file() and form_of(path) in RECORD_FORMS)
    return [path.name for path in tables if path not in read and path.name != EXCLUDED]


def shareable_log(path: Path, stated: Metadata) -> tuple[set[Path], str, bytes]:
    """The search log of a folder of this kind, or a log itself, as it can be given away.

    Returns:
        The files to leave out, which are the logs and the tables that are not read, and what stands for the logs: a
        name, and JSON lines of query, document and number alone (who searched, and when, is nobody's business).

    Raises:
        KitError: a row cannot be read.
    """
    logs = [path] if path.is_file() else click_files(path)
    log = ClickLog(tuple(logs), stated.columns)
    stem = path.name.partition(".")[0] if path.is_file() else "ratings" if log.rated else "clicks"
    rows = (json.dumps(row, ensure_ascii=False) + "\n" for row in log.shareable())
    corpus = () if path.is_file() else stated.corpus_files(path, _CORPUS)
    unread = {path / name for name in _unread(path, {*logs, *corpus})}
    return {*logs, *unread}, f"{stem}.jsonl", "".join(rows).encode()


def _grade(count: int, total: int) -> int:
    return next((grade for share, grade in GRADES if count > 0 and count >= share * total), 0)


CLICKS = FolderKind(
    "clicks",
    FORM,
    "a click log: a table with `query`, `document_id`, `count`, and a `corpus.jsonl`",
    lambda folder: bool(click_files(folder)),
    load_clicks,
    holds_clicks,
)

"""A collection from a local folder in BEIR form."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.collections.collection import Collection, Document, Query, Split, split_of
from builders.errors import KitError


QRELS_FILES: dict[str, Split] = {
    "train.tsv": "train",
    "dev.tsv": "validation",
    "validation.tsv": "validation",
    "test.tsv": "test",
}
QRELS_COLUMNS = ("query-id", "corpus-id", "score")
# A few judgments of removed documents are usual in published collections; many mean the wrong corpus.
DANGLING_SHARE = 0.01


def load_beir(folder: Path, language: str = "en") -> Collection:
    """Read `corpus.jsonl[.gz]`, `queries.jsonl[.gz]` and `qrels/{train,dev,validation,test}.tsv`.

    Form: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset. A query belongs to the split whose qrels
    file judges it. With a single qrels file there would be nothing to train on: its queries are divided 70/10/20 by a
    hash of their ids, and `judgments` says so. Queries that no file judges are left out and counted.

    Args:
        folder (`Path`):
            The folder; its name becomes the collection's name.
        language (`str`, *optional*, defaults to `"en"`):
            ISO 639-1 code of documents and queries.

    Returns:
        The collection. Its documents are read from the file anew on every pass and never held in memory.

    Raises:
        KitError: a file is missing or damaged, a row is not what it should be, or more than 1 % of the judgments
            name a query or document that does not exist.
    """
    if not folder.is_dir():
        raise KitError(f"{folder}: no such folder; a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/")
    documents = BeirDocuments(_jsonl(folder, "corpus"))
    known = documents.ids()
    texts = _queries(_jsonl(folder, "queries"))
    files = [folder / "qrels" / name for name in QRELS_FILES if (folder / "qrels" / name).is_file()]
    if not files:
        raise KitError(f"{folder / 'qrels'}: no judgments; put one of {', '.join(QRELS_FILES)} there")
    qrels: dict[str, dict[str, int]] = {}
    judged_in: dict[str, Path] = {}
    judgments = 0
    dangling: list[str] = []
    for path in files:
        for row, query_id, document_id, score in _qrels_rows(path):
            judgments += 1
            if query_id not in texts or document_id not in known:
                dangling.append(f"{path.name}, row {row}: {query_id!r}, {document_id!r}")
                continue
            if judged_in.setdefault(query_id, path) != path:
                raise KitError(
                    f"{path}, row {row}: query {query_id!r} is judged in {judged_in[query_id].name} too; "
                    "a query belongs to one split: keep it in one file"
                )
            if qrels.setdefault(query_id, {}).setdefault(document_id, score) != score:
                raise KitError(
                    f"{path}, row {row}: {query_id!r} and {document_id!r} have two different scores; keep one"
                )
    if len(dangling) > DANGLING_SHARE * judgments:
        raise KitError(
            f"{folder / 'qrels'}: {len(dangling)} of {judgments} judgments name a query or document that is not "
            f"there, the first in {dangling[0]}; do corpus, queries and qrels belong together?"
        )
    single = len(files) == 1
    queries = {
        query_id: Query(query_id, text, split_of(query_id) if single else QRELS_FILES[judged_in[query_id].name])
        for query_id, text in texts.items()
        if query_id in judged_in
    }
    divided = f"; one file, its queries divided 70/10/20 by a hash of the query id ({files[0].name})" if single else ""
    return Collection(
        name=folder.resolve().name,
        language=language,
        documents=documents,
        queries=queries,
        qrels=qrels,
        source=f"a local folder in BEIR form, {folder.resolve().name}",
        licence="not stated in the folder",
        judgments=f"The qrels files of the folder{divided}.",
        statistics={
            "documents": len(known),
            "queries_without_judgment": len(texts) - len(queries),
            "judgments": judgments,
            "judgments_dangling": len(dangling),
        },
    )


@dataclass(frozen=True)
class BeirDocuments:
    """The documents of a `corpus.jsonl[.gz]`, read from the file on every pass."""

    path: Path

    def __iter__(self) -> Iterator[Document]:
        for row, record in _records(self.path):
            yield Document(
                _id(self.path, row, record),
                _text(self.path, row, record, "title") if record.get("title") is not None else "",
                _text(self.path, row, record, "text"),
            )

    def ids(self) -> set[str]:
        """Every document id, in one pass that checks every row.

        Raises:
            KitError: a row is damaged, an id stands twice, or there is no document.
        """
        found: set[str] = set()
        for number, document in enumerate(self, start=1):
            found.add(document.id)
            if len(found) < number:
                raise KitError(f"{self.path}: id {document.id!r} stands twice; ids must be unique")
        if not found:
            raise KitError(f"{self.path}: no documents in it")
        return found


def _jsonl(folder: Path, stem: str) -> Path:
    for name in (f"{stem}.jsonl", f"{stem}.jsonl.gz"):
        if (folder / name).is_file():
            return folder / name
    raise KitError(f"{folder}: {stem}.jsonl (or {stem}.jsonl.gz) is missing; a BEIR folder holds it")


def _queries(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for row, record in _records(path):
        query_id = _id(path, row, record)
        if query_id in texts:
            raise KitError(f"{path}, row {row}: id {query_id!r} stands twice; ids must be unique")
        texts[query_id] = _text(path, row, record, "text")
        if not texts[query_id].strip():
            raise KitError(f"{path}, row {row}: query {query_id!r} has an empty text; fill it in or remove the row")
    return texts


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Pairs (row from 1, JSON object); blank lines are passed over."""
    row = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for row, line in enumerate(lines, start=1):
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise KitError(f"{path}, row {row}: not a JSON object; one object a line is expected")
                    yield row, record
    except json.JSONDecodeError as error:
        where = f"{error.msg}, column {error.colno}"
        raise KitError(f"{path}, row {row}: not valid JSON ({where}); mend the line") from error
    except UnicodeDecodeError as error:
        raise KitError(f"{path}, after row {row}: not UTF-8 ({error.reason}); convert the file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise KitError(f"{path}, after row {row}: gzip data cut off or damaged; fetch the file again") from error


def _id(path: Path, row: int, record: dict[str, Any]) -> str:
    value = record.get("_id")
    # Some collections number their queries; the qrels hold the same digits as text.
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise KitError(f'{path}, row {row}: field "_id" is missing, empty or no text; give the row an id')
    return str(value)


def _text(path: Path, row: int, record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if not isinstance(value, str):
        raise KitError(f'{path}, row {row}: field "{field}" is missing or not text; add it')
    return value


def _qrels_rows(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Tuples (row from 1, query id, document id, score)."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(table, [])
            missing = [column for column in QRELS_COLUMNS if column not in header]
            if missing:
                raise KitError(
                    f"{path}, row 1: column {missing[0]!r} is missing; the first line must name "
                    f"{', '.join(QRELS_COLUMNS)}, separated by tabs"
                )
            at = [header.index(column) for column in QRELS_COLUMNS]
            for row, cells in enumerate(table, start=2):
                if not cells:
                    continue
                if len(cells) <= max(at):
                    raise KitError(f"{path}, row {row}: {len(cells)} columns where {len(header)} are expected")
                query_id, document_id, score = (cells[column] for column in at)
                try:
                    yield row, query_id, document_id, int(score)
                except ValueError as error:
                    raise KitError(f"{path}, row {row}: score {score!r} is not an integer; use 0, 1, 2, …") from error
    except UnicodeDecodeError as error:
        raise KitError(f"{path}: not UTF-8 ({error.reason}); convert the file") from error

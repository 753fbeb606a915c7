"""Streams documents from files, so that millions of passages are never held in memory, and checks them once."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import Any

from builders.collections.collection import Document
from builders.collections.files.id_set import IdSet
from builders.collections.files.lines import Place, Record, form_of
from builders.collections.files.sgml import holds_sgml, read_sgml
from builders.collections.files.tables import RECORD_FORMS, first_line, read_pairs, read_records
from builders.errors import KitError


# In the order of preference: MS MARCO v2 passages have an id of their own (pid) and that of their page (docid).
ID_FIELDS = ("_id", "id", "pid", "docid", "doc_id", "document_id", "passage_id")
TEXT_FIELDS = ("text", "contents", "passage", "segment", "document_text", "document", "body")
# Indexed with the text where a corpus has them, as Anserini does.
BEFORE_THE_TEXT = ("url", "headings")
POOLS_FIELD = "pools"
# Documents without any text are usual in small numbers; many mean that the wrong field was read.
EMPTY_SHARE = 0.1
# Fields of a row that a message names.
SEEN = 12
# Share of a query's words that a document of the same number holds where the document is that query.
REPEATED = 0.8
_REPLACEMENT = "\ufffd"


class LocatedDocuments(ABC):
    """Documents that are read anew on every pass, and that know where they stand."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Where they come from, for messages."""

    @abstractmethod
    def located(self) -> Iterator[tuple[Place, Document]]:
        """Every document and the place where it stands, in one pass."""

    def __iter__(self) -> Iterator[Document]:
        for _, document in self.located():
            yield document


@dataclass(frozen=True)
class FileDocuments(LocatedDocuments):
    """The documents of JSONL, Parquet, CSV or TSV files, plain or compressed, read on every pass.

    Records have an id (`_id`, `id`, `pid`, `docid`, …), a text (`text`, `contents`, `passage`, `segment`, …) and
    perhaps a `title`; `url` and `headings` stand before the text where there are any. A TSV file names its columns in
    the first line, or has the two columns id and text and no header (MS MARCO's `collection.tsv`). TREC's own form is
    `<DOC>` with `<DOCNO>`.

    Args:
        paths (`tuple[Path, ...]`):
            The files, in their order.
    """

    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """See `LocatedDocuments.name`."""
        return str(self.paths[0] if len(self.paths) == 1 else self.paths[0].parent)

    def located(self) -> Iterator[tuple[Place, Document]]:
        """See `LocatedDocuments.located`."""
        for path in self.paths:
            if form_of(path) not in RECORD_FORMS and holds_sgml(path):
                yield from read_sgml(path)
            elif _without_header(path):
                for place, id, text in read_pairs(path, "id, text"):
                    yield place, Document(_filled(place, id, "id"), "", text)
            else:
                for place, record in read_records(path):
                    yield place, document_of(place, record)

    @property
    def pooled(self) -> bool:
        """Whether the first document names the pools that it comes from: then the corpus is no complete one."""
        if form_of(self.paths[0]) not in RECORD_FORMS or _without_header(self.paths[0]):
            return False
        return POOLS_FIELD in next((record for _, record in read_records(self.paths[0])), {})


@dataclass(frozen=True)
class OnceDocuments(LocatedDocuments):
    """Documents of which some are repeated word for word: each once, where it stands first.

    Args:
        documents ([`LocatedDocuments`]):
            All of them.
    """

    documents: LocatedDocuments

    @property
    def name(self) -> str:
        """See `LocatedDocuments.name`."""
        return self.documents.name

    def located(self) -> Iterator[tuple[Place, Document]]:
        """See `LocatedDocuments.located`.

        Raises:
            KitError: an id stands for two documents.
        """
        given = array("q", [0]) * len(self._ids)
        for place, document in self.documents.located():
            number, written = self._ids.number(document.id), hash((document.title, document.text)) or 1
            if not given[number]:
                given[number] = written
                yield place, document
            elif given[number] != written:
                raise KitError(f"{place}: id {document.id!r} stands twice, with two texts; ids must be unique")

    @cached_property
    def _ids(self) -> IdSet:
        return IdSet(document.id for document in self.documents)


@dataclass(frozen=True, slots=True)
class CheckedDocuments:
    """What one pass over the documents found: their ids, and how many have no text or a damaged one.

    `identical` says of each document that has a query's id whether it says what the query says.
    """

    ids: IdSet
    empty: int
    replaced: int
    identical: Mapping[str, bool]


def check_documents(documents: LocatedDocuments, queries: Mapping[str, str] | None = None) -> CheckedDocuments:
    """Read every document once.

    Args:
        documents ([`LocatedDocuments`]):
            The documents.
        queries (`Mapping[str, str]`, *optional*):
            Query id → text, to see whether queries stand among the documents.

    Raises:
        KitError: a row is damaged, an id stands twice, there is no document, or more than 10 % are empty.
    """
    from tqdm import tqdm

    empty = replaced = 0
    first_empty: Place | None = None
    identical: dict[str, bool] = {}
    texts = queries or {}

    def ids() -> Iterator[str]:
        nonlocal empty, replaced, first_empty
        # Small corpora are read before a bar would show.
        for place, document in tqdm(documents.located(), "reading documents", unit="", delay=3, leave=False):
            if not document.text.strip() and not document.title.strip():
                empty += 1
                first_empty = first_empty or place
            replaced += _REPLACEMENT in document.text or _REPLACEMENT in document.title
            if document.id in texts:
                identical[document.id] = _repeats(document, texts[document.id])
            yield document.id

    found = IdSet(ids())
    if not len(found):
        raise KitError(f"{documents.name}: no documents in it")
    if repeated := found.repeated:
        _refuse_repeated(documents, repeated)
    if empty > EMPTY_SHARE * len(found):
        raise KitError(
            f"{documents.name}: {empty} of {len(found)} documents are empty, the first in {first_empty}; is their "
            f"text in another field than {', '.join(TEXT_FIELDS)}?"
        )
    return CheckedDocuments(found, empty, replaced, identical)


def _repeats(document: Document, query: str) -> bool:
    """Whether a document with a query's id is that query, and not another thing of the same number.

    Numbers meet by chance; an id with a letter in it does not.
    """
    if not document.id.isdecimal():
        return True
    words = set(query.casefold().split())
    return len(words & set(f"{document.title} {document.text}".casefold().split())) >= REPEATED * len(words) > 0


def document_of(place: Place, record: Record) -> Document:
    """The document that a record holds; see [`FileDocuments`].

    Raises:
        KitError: the record has no id or no text.
    """
    text = text_field(place, record, TEXT_FIELDS)
    for name in reversed(BEFORE_THE_TEXT):
        if record.get(name) and not _is_null(record[name]):
            text = f"{record[name]}\n{text}"
    title = "" if _is_null(record.get("title")) else record["title"] or ""
    if not isinstance(title, str):
        raise KitError(f'{place}: field "title" is not text; mend it or leave it out')
    return Document(id_field(place, record, ID_FIELDS), title, text, _address(record))


def _address(record: Record) -> str:
    """The address of a record on the web; BEIR's corpora keep it among their `metadata`."""
    metadata = record.get("metadata")
    url = record.get("url") or (metadata.get("url") if isinstance(metadata, dict) else None)
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) else ""


def id_field(place: Place, record: Record, names: tuple[str, ...]) -> str:
    """The first of these fields as an id. Some collections number their rows where the qrels hold text.

    Raises:
        KitError: there is none, or it is empty or no text.
    """
    value = _first(record, names)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        value = ""
    text = str(value)
    return _filled(place, text, names[0], "" if text.strip() else _seen(record, names))


def text_field(place: Place, record: Record, names: tuple[str, ...]) -> str:
    """The first of these fields as a text.

    A field that holds null, or NaN as pandas writes a missing cell, is an empty text where no other field has one.

    Raises:
        KitError: there is none, or it is not text.
    """
    value = _first(record, names)
    if _is_null(value):
        there = [record[name] for name in names if name in record]
        value = next((found for found in there if not _is_null(found)), "" if there else None)
    if not isinstance(value, str):
        raise KitError(f'{place}: field "{names[0]}" is missing or not text; add it{_seen(record, names)}')
    return value


def _seen(record: Record, names: tuple[str, ...]) -> str:
    """What a row has, where it has none of these fields, and what the field may be called."""
    if any(name in record for name in names):
        return ""
    return f": the row has {', '.join(list(record)[:SEEN]) or 'nothing'}, and it may be called {' or '.join(names)}"


def _first(record: Record, names: tuple[str, ...]) -> Any:
    # A loop: this is done for every document of every pass.
    for name in names:
        if name in record:
            return record[name]
    return None


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _filled(place: Place, value: str, name: str, seen: str = "") -> str:
    if not value.strip():
        raise KitError(f'{place}: field "{name}" is missing, empty or no text; give the row an id{seen}')
    return value


def _without_header(path: Path) -> bool:
    """Whether a TSV file starts with a document at once: a header names an id and a text."""
    if form_of(path) not in ("tsv", "txt"):
        return False
    names = {cell.strip().strip('"') for cell in first_line(path).split("\t")}
    return not (names.intersection(ID_FIELDS) and names.intersection(TEXT_FIELDS))


def _refuse_repeated(documents: LocatedDocuments, repeated: set[int]) -> None:
    seen: dict[str, Place] = {}
    for place, document in documents.located():
        if hash(document.id) in repeated:
            if document.id in seen:
                first = seen[document.id]
                raise KitError(f"{place}: id {document.id!r} stands twice, first in {first.short}; ids must be unique")
            seen[document.id] = place

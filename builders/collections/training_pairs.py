"""Reads training files of retrievers, as tevatron, FlagEmbedding and sentence-transformers write them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import Collection, Document, split_of
from builders.collections.files.click_log import text_id
from builders.collections.files.documents import FileDocuments, LocatedDocuments, OnceDocuments, document_of, id_field
from builders.collections.files.lines import Place, Record, form_of
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import Judgment, split_named
from builders.collections.files.tables import RECORD_FORMS, read_records
from builders.collections.files.topics import Topics
from builders.collections.source import FolderKind
from builders.errors import KitError


FORM = "*.jsonl or *.parquet with query and positive_passages, or query and positive, or anchor and positive"
# The column names of a query, of what is relevant for it, and of what is not.
QUERIES = ("query", "anchor", "question", "sentence1")
POSITIVES = ("positive_passages", "positive", "positives", "pos", "answer")
NEGATIVES = ("negative_passages", "negative", "negatives", "neg")
_IDS = ("query_id", "qid", "_id", "id")
# sentence-transformers numbers the columns of several negatives.
_NUMBERED = re.compile(r"negative_\d+")
_CORPUS = re.compile(r"(corpus|documents)[^/]*\.(jsonl|tsv|csv|parquet)(\.gz|\.zst)?$")


def holds_pairs(path: Path) -> bool:
    """Whether a file's first row is a query with positive passages; no file that cannot be read does."""
    if form_of(path) not in RECORD_FORMS:
        return False
    try:
        record: Record = next((record for _, record in read_records(path)), {})
    except KitError:
        return False
    return not {*QUERIES}.isdisjoint(record) and not {*POSITIVES}.isdisjoint(record)


def load_pairs(path: Path, language: str | None, stated: Metadata) -> Collection:
    """Read queries with their positive passages (relevance 1) and, where there are any, negative ones (0).

    * A passage is a text, or has `docid`, `title` and `text` (tevatron). Texts get ids by what they say.
    * The split is the one in the file's name; without one queries are divided 70/10/20 by a hash of their ids.
    * Documents are those of a corpus file beside, else the passages of the rows, each once.

    Args:
        path (`Path`):
            The folder, or a single file.
        language (`str`, *optional*), stated ([`Metadata`]):
            As in `load_beir`.

    Raises:
        KitError: as in `load_beir`; or a row has no query or no passage that can be read.
    """
    files = [path] if path.is_file() else pair_files(path)
    if not files:
        raise KitError(f"{path}: no training file; such a folder holds {FORM}")
    pairs = PairDocuments(tuple(files))
    corpus = () if path.is_file() else stated.corpus_files(path, _CORPUS)
    topics = Topics()
    judged: dict[str, tuple[Place, str, dict[str, int]]] = {}
    for place, query_id, query, passages in pairs.rows():
        topics.add(place, query_id, query, again=True)
        _, _, of_query = judged.setdefault(query_id, (place, Path(place.path).name, {}))
        for document, relevance in passages:
            # Mined negatives are sometimes positives of another row.
            of_query[document.id] = max(relevance, of_query.get(document.id, 0))
    if not topics.texts:
        raise KitError(f"{files[0]}: no queries in it")

    def judgments() -> Iterator[Judgment]:
        for query_id, (place, name, of_query) in judged.items():
            for document_id, relevance in of_query.items():
                yield Judgment(place, split_named(name) or split_of(query_id), query_id, document_id, relevance)

    facts = stated.or_else(
        source=f"training pairs, {path.resolve().name}",
        licence="not stated in the folder",
        judgments="Relevant are the positive passages of the training rows; nothing else was looked at.",
    )
    documents = FileDocuments(corpus) if corpus else OnceDocuments(pairs)
    return assemble(Parts(facts, documents, topics, judgments(), language))


def pair_files(folder: Path) -> list[Path]:
    """The training files of a folder, by their first row."""
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    return [path for path in paths if holds_pairs(path)]


@dataclass(frozen=True)
class PairDocuments(LocatedDocuments):
    """The passages of training rows, as often as they stand there."""

    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """See `LocatedDocuments.name`."""
        return str(self.paths[0])

    def located(self) -> Iterator[tuple[Place, Document]]:
        """See `LocatedDocuments.located`."""
        for place, _, _, passages in self.rows():
            for document, _ in passages:
                yield place, document

    def rows(self) -> Iterator[tuple[Place, str, str, list[tuple[Document, int]]]]:
        """Place, query id, query, and its passages with their relevance, of every row.

        Raises:
            KitError: a row has no query, or a passage is neither a text nor an object with one.
        """
        for path in self.paths:
            for place, record in read_records(path):
                query = next((record[name] for name in QUERIES if isinstance(record.get(name), str)), None)
                if query is None:
                    raise KitError(f'{place}: field "{QUERIES[0]}" is missing or not text; add it')
                id = id_field(place, record, _IDS) if any(name in record for name in _IDS) else text_id(query)
                positives = [(document, 1) for document in _passages(place, record, POSITIVES)]
                names = (*NEGATIVES, *filter(_NUMBERED.fullmatch, record))
                yield place, id, query, positives + [(document, 0) for document in _passages(place, record, names)]


def _passages(place: Place, record: Record, names: tuple[str, ...]) -> Iterator[Document]:
    for name in names:
        value: Any = record.get(name)
        for passage in [value] if isinstance(value, str | dict) else value or []:
            if isinstance(passage, str):
                yield Document(text_id(passage), "", passage)
            elif isinstance(passage, dict):
                yield document_of(place, passage)
            else:
                raise KitError(f'{place}: field "{name}" has a passage that is no text; write ["a", "b"]')


PAIRS = FolderKind(
    "pairs",
    FORM,
    "training files of retrievers, in the forms of tevatron, FlagEmbedding and sentence-transformers",
    lambda folder: bool(pair_files(folder)),
    load_pairs,
    holds_pairs,
)

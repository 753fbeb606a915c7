"""Documents, queries and judgments under one name, whatever their source."""

import hashlib
from collections import Counter
from collections.abc import Collection as Ids
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from builders.errors import KitError


Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Document:
    """One unit of retrieval. `text` is indexed; `title` is shown, and indexed only where `index_title` says so.

    `url` is where it can be read, on the web, where the source says so; it tells no documents apart.
    """

    id: str
    title: str
    text: str
    url: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Query:
    """One information need, and the split it belongs to."""

    id: str
    text: str
    split: Split


@dataclass(frozen=True)
class AbsentDocuments:
    """Stands where a collection has queries and judgments and no documents: enough to evaluate runs.

    Args:
        remedy (`str`):
            One line for those who need the documents: which are missing, and where to put them.
    """

    remedy: str

    def __iter__(self) -> Iterator[Document]:
        raise KitError(self.remedy)


@dataclass(frozen=True)
class Collection:
    """Documents, queries and relevance judgments (qrels) under one name.

    Args:
        name (`str`):
            Short name, used in file names and cards.
        language (`str`):
            ISO 639-1 code. It decides analyzers and prompts.
        documents (`Iterable[Document]`):
            Re-iterable: every `iter()` starts again from the first document. A source of millions of passages gives
            a streaming object here, a small one a list.
        queries (`Mapping[str, Query]`):
            By query id, in a stable order.
        qrels (`Mapping[str, Mapping[str, int]]`):
            Query id → document id → relevance (0 or more). What is absent counts as not relevant.
        source (`str`), licence (`str`):
            Where the texts come from and on what terms; both are printed on every card.
        judgments (`str`):
            One sentence: how the judgments came about.
        versions (`Mapping[str, str]`):
            Versions of what the collection was read from, e.g. `{"numpy": "2.4.6"}`.
        statistics (`Mapping[str, int | float]`):
            Counts made while reading (documents skipped, links resolved, …), for the card.
        index_title (`bool`, *optional*, defaults to `True`):
            Whether the title is part of the indexed text.
        relevance_level (`int`, *optional*, defaults to 1):
            The lowest relevance that binary measures (MRR, recall) count as relevant; nDCG takes grades as they are.
            TREC Deep Learning's passages are graded 0 to 3, and 1 does not answer the question: 2 there.
        answers (`Mapping[str, Sequence[str]]`, *optional*):
            Query id → accepted answers, of a collection of open-domain questions.
        ignore_identical_ids (`bool`, *optional*, defaults to `False`):
            Whether queries stand among the documents under their own ids (ArguAna, Quora): see [`left_out`].
        excluded (`Mapping[str, Collection[str]]`, *optional*):
            Query id → documents that no search for it may find (BRIGHT).
        remarks (`Sequence[str]`, *optional*):
            What loading passed over and a person should know: a line each.
    """

    name: str
    language: str
    documents: Iterable[Document]
    queries: Mapping[str, Query]
    qrels: Mapping[str, Mapping[str, int]]
    source: str
    licence: str
    judgments: str
    versions: Mapping[str, str] = field(default_factory=dict)
    statistics: Mapping[str, int | float] = field(default_factory=dict)
    index_title: bool = True
    relevance_level: int = 1
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignore_identical_ids: bool = False
    excluded: Mapping[str, Ids[str]] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def has_documents(self) -> bool:
        """Whether there is something to index; without documents a pass over them raises a KitError."""
        return not isinstance(self.documents, AbsentDocuments)

    def split(self, split: Split) -> list[Query]:
        """The queries of one split that have at least one relevant document, in collection order."""
        return [query for query in self.queries.values() if query.split == split and self.relevant(query.id)]

    def judged(self, split: Split) -> list[Query]:
        """The queries of one split that have any judgment; trec_eval averages over all of them."""
        return [query for query in self.queries.values() if query.split == split and self.qrels.get(query.id)]

    @property
    def without_relevant(self) -> dict[str, int]:
        """Split → how many of its judged queries have no relevant document, where there are any."""
        counts = {split: len(self.judged(split)) - len(self.split(split)) for split in SPLITS}
        return {split: count for split, count in counts.items() if count}

    def relevant(self, query_id: str) -> dict[str, int]:
        """The documents judged relevant (`relevance_level` or more) for a query; empty when there are none."""
        return {doc: rel for doc, rel in self.qrels.get(query_id, {}).items() if rel >= self.relevance_level}

    def gold(self, query_id: str) -> set[str]:
        """The documents with the highest relevance for a query: those whose rank counts as the rank of the gold.

        Raises:
            KitError: the query has no relevant document.
        """
        relevant = self.relevant(query_id)
        if not relevant:
            raise KitError(f"query {query_id!r} of {self.name!r} has no relevant document: remove it or judge it")
        best = max(relevant.values())
        return {doc for doc, rel in relevant.items() if rel == best}

    def left_out(self, query_id: str) -> set[str]:
        """The documents that searches for a query pass over: itself, and what the collection excludes.

        A document that is judged relevant to the query of its own id is an answer, and stays.
        """
        own = self.ignore_identical_ids and self.qrels.get(query_id, {}).get(query_id, 0) <= 0
        return {*self.excluded.get(query_id, ()), *((query_id,) if own else ())}

    @property
    def leaves_out(self) -> bool:
        """Whether there are queries whose searches pass over a document."""
        return self.ignore_identical_ids or bool(self.excluded)

    def indexed_texts(self) -> Iterator[tuple[str, str]]:
        """Pairs (document id, text to index), one pass over the documents."""
        for document in self.documents:
            with_title = self.index_title and document.title
            yield document.id, f"{document.title} {document.text}" if with_title else document.text

    @property
    def fingerprint(self) -> str:
        """16 hex digits over documents, queries and judgments: equal exactly when a run on them would be equal.

        One pass over the documents; computed once per object.
        """
        cached = self.__dict__.get("_fingerprint")
        if cached is None:
            facts = (self.name, self.language, self.index_title, self.relevance_level)
            digest = hashlib.sha256(repr(facts).encode())
            if self.leaves_out:
                left = {name: sorted(found) for name, found in sorted(self.excluded.items())}
                digest.update(repr((self.ignore_identical_ids, left)).encode())
            for document in self.documents if self.has_documents else ():
                digest.update(repr((document.id, document.title, document.text)).encode())
            for query in self.queries.values():
                digest.update(repr((query.id, query.text, query.split)).encode())
                digest.update(repr(sorted(self.qrels.get(query.id, {}).items())).encode())
                digest.update(repr(tuple(self.answers.get(query.id, ()))).encode())
            cached = digest.hexdigest()[:16]
            object.__setattr__(self, "_fingerprint", cached)
        return str(cached)


def split_of(query_id: str) -> Split:
    """Train, validation or test (70 / 10 / 20 %) by a hash of the query id, so that no run can move a query."""
    bucket = int(hashlib.sha256(query_id.encode()).hexdigest()[:8], 16) % 100
    return "train" if bucket < 70 else "validation" if bucket < 80 else "test"


def collection_provenance(collection: Collection) -> dict[str, Any]:
    """What a build records of its collection."""
    without = collection.without_relevant
    return {
        "name": collection.name,
        "language": collection.language,
        "source": collection.source,
        "licence": collection.licence,
        "judgments": collection.judgments,
        "relevance_level": collection.relevance_level,
        "fingerprint": collection.fingerprint,
        "versions": dict(collection.versions),
        "statistics": dict(collection.statistics),
        "queries": dict(Counter(query.split for query in collection.queries.values())),
        **({"without_relevant": without} if without else {}),
        **({"ignore_identical_ids": True} if collection.ignore_identical_ids else {}),
        **({"excluded": sum(map(len, collection.excluded.values()))} if collection.excluded else {}),
    }

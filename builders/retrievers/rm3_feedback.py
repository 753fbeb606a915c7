"""BM25 twice: the terms of the documents found first join the query, weighted as RM3 weighs them; no Java."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Self

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.left_out import LeftOut, ranked_without
from builders.retrievers.retriever import ExcludingRetriever, NamedRetriever, Rankings


# Queries that are fed back at once, and documents whose terms are remembered.
BATCH, REMEMBERED = 256, 50_000


@dataclass(frozen=True)
class Feedback:
    """How much RM3 takes from the first search: documents, terms, and the share that the query keeps."""

    documents: int = 10
    terms: int = 10
    query: float = 0.5

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `DOCUMENTS:TERMS:QUERY`, such as `3:20:0.6`.

        Raises:
            KitError: it is of another form, or a number is out of range.
        """
        numbers = re.fullmatch(r"(\d{1,4}):(\d{1,4}):(0?\.\d+|1|1\.0)", text)
        found = cls(int(numbers[1]), int(numbers[2]), float(numbers[3])) if numbers else None
        if found is None or not (found.documents and found.terms and found.query):
            raise KitError(
                f"no retriever 'bm25s+rm3:{text}': give bm25s+rm3:DOCUMENTS:TERMS:QUERY, two numbers of 1 or more and "
                "the query's share above 0, at most 1, such as bm25s+rm3:10:10:0.5"
            )
        return found


class RM3Retriever(NamedRetriever, ExcludingRetriever):
    """BM25 (`bm25s`) with pseudo-relevance feedback.

    A term w of the second search weighs λ P(w|Q) + (1 − λ) P(w|R): P(w|Q) is its share of the query's terms, and
    P(w|R) ∝ idf(w) Σ_D s(D) tf(w, D) / |D| over the first documents D with their scores s, of which the heaviest terms
    are kept. That is RM3 (Abdul-Jaleel et al. 2004, after Lavrenko and Croft 2001) but for idf, which stands where
    Anserini leaves frequent terms out.

    Args:
        collection (`Collection`):
            What to search.
        feedback ([`Feedback`], *optional*):
            By default Anserini's numbers.

    Raises:
        KitError: see [`Bm25sRetriever`].
    """

    forms = ("bm25s+rm3", "bm25s+rm3:DOCUMENTS:TERMS:QUERY")
    searches_by = "`bm25s` with RM3 feedback: documents and terms that it takes, and the query's share (10:10:0.5)"
    languages = Bm25sRetriever.languages

    def __init__(self, collection: Collection, feedback: Feedback | None = None) -> None:
        self._collection, self._feedback = collection, feedback or Feedback()
        self._first = Bm25sRetriever(collection)
        told = f"fb_docs={self._feedback.documents},fb_terms={self._feedback.terms},query={self._feedback.query}"
        self.name = f"bm25s+rm3({told},{self._first.name.partition('(')[2]}"
        self._read: dict[str, Counter[str]] = {}

    @classmethod
    def from_name(cls, name: str, collection: Collection, load: object = None) -> Self | None:
        """See `NamedRetriever.from_name`."""
        if not re.fullmatch(r"bm25s\+rm3(:.+)?", name):
            return None
        return cls(collection, Feedback.parse(name.partition(":")[2]) if ":" in name else None)

    def search(self, queries: Sequence[str], depth: int) -> Rankings:
        """See `Retriever.search`."""
        return self.search_without(queries, depth, ())

    def search_without(self, queries: Sequence[str], depth: int, left_out: Sequence[AbstractSet[str]]) -> Rankings:
        """See `ExcludingRetriever.search_without`: no feedback is taken from what is left out."""
        if depth < 1:
            return [[] for _ in queries]
        weighted = []
        for begin in range(0, len(queries), BATCH):
            part = queries[begin : begin + BATCH]
            weighted += self._fed_back(part, left_out[begin : begin + BATCH] if left_out else ())
        return ranked_without(lambda reach: self._first.search_weighted(weighted, reach), depth, left_out)

    def terms(self, text: str) -> list[str]:
        """See `LexicalRetriever.terms`."""
        return self._first.terms(text)

    def _fed_back(self, queries: Sequence[str], left_out: LeftOut) -> list[dict[str, float]]:
        """The terms of each query with their weights, those of the feedback among them."""
        documents, share = self._feedback.documents, self._feedback.query
        found = ranked_without(lambda reach: self._first.search(queries, reach), documents, left_out)
        read = self._read_documents({hit.document_id for hits in found for hit in hits})
        weighted = []
        for query, hits in zip(queries, found, strict=True):
            own = _shares(Counter(self.terms(query)))
            fed: defaultdict[str, float] = defaultdict(float)
            for hit in hits:
                counts = read[hit.document_id]
                for term, count in counts.items():
                    fed[term] += hit.score * count / counts.total() * self._first.idf(term)
            # Of equals the first in the alphabet.
            heaviest = sorted(fed.items(), key=lambda one: (-one[1], one[0]))[: self._feedback.terms]
            given = _shares(dict(heaviest))
            both = dict.fromkeys([*own, *given])
            weighted.append({term: share * own.get(term, 0.0) + (1 - share) * given.get(term, 0.0) for term in both})
        return weighted

    def _read_documents(self, wanted: AbstractSet[str]) -> Mapping[str, Counter[str]]:
        """The terms of documents, which an index of postings does not tell: one pass over the collection's texts."""
        if missing := wanted - self._read.keys():
            if len(self._read) + len(missing) > REMEMBERED:
                self._read = {document: self._read[document] for document in wanted - missing}
            for document, text in self._collection.indexed_texts():
                if document in missing:
                    self._read[document] = Counter(self.terms(text))
        return self._read


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {term: weight / total for term, weight in weights.items()}

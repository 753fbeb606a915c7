"""Train queries as vectors, and the terms of their relevant documents that they lack: what contexts learn from."""

from collections.abc import Collection as Ids
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from builders.collections.collection import Collection, Query
from builders.errors import KitError
from builders.prompts.context.vocabulary import TermVocabulary, read_vocabulary
from builders.prompts.script import segments
from builders.retrievers.analysis.load import analyzer_for


# Every train query is a row of a dense matrix as wide as the vocabulary, and of a square one.
MOST_QUERIES = 20_000


class JudgedTerms:
    """What the judgments of a collection's train queries say about words.

    A document that searches for a query leave out says nothing to that query (see `builders.retrievers.left_out`).

    Args:
        collection ([`Collection`]):
            With documents and judged train queries.

    Raises:
        KitError: fewer than two judged train queries, or too many.
    """

    def __init__(self, collection: Collection) -> None:
        self.train = collection.split("train")
        if not 2 <= len(self.train) <= MOST_QUERIES:
            raise KitError(
                f"terms are learned from train queries with judgments; {collection.name} has {len(self.train)}, and "
                f"2 to {MOST_QUERIES} will do"
            )
        self.row = {query.id: number for number, query in enumerate(self.train)}
        self._collection = collection
        self._analyzer = analyzer_for(collection.language)

    @cached_property
    def vocabulary(self) -> TermVocabulary:
        """The collection's terms, and what they weigh in the documents that are relevant to train queries."""
        relevant = {document for query in self.train for document in self._collection.relevant(query.id)}
        return read_vocabulary(self._collection, self._analyzer, relevant)

    @cached_property
    def inputs(self) -> Any:
        """The train queries as vectors: see [`vectors`]."""
        return self._vectorizer.transform([query.text for query in self.train])

    @cached_property
    def targets(self) -> Any:
        """Train queries × terms, float32: what each weighs in the query's gold document.

        That is BM25's saturated frequency (the largest over several), and beside it the mean over documents judged
        lower, times their relevance over the gold's; 0 for the query's own terms.
        """
        import numpy as np

        targets = np.zeros((len(self.train), len(self.vocabulary.written)), dtype=np.float32)
        for row, query in zip(targets, self.train, strict=True):
            self._add_target(row, query)
        return targets

    def changed(self, query: Query) -> dict[int, Any]:
        """Rows of `targets` as they are without what is left out for a query: row → targets, where they differ.

        The row of a train query with no other relevant document is all 0.
        """
        import numpy as np

        found = {}
        left_out = self._collection.left_out(query.id)
        for row in self._judging(left_out):
            found[row] = np.zeros_like(self.targets[row])
            self._add_target(found[row], self.train[row], left_out)
        return found

    def vectors(self, queries: Sequence[Query]) -> Any:
        """Queries as sparse tf-idf vectors of length 1, over words and pairs of words.

        They are hashed, since words that no train query has must take their share of the length: they are doubt.

        Raises:
            KitError: scikit-learn is missing.
        """
        return self._vectorizer.transform([query.text for query in queries])

    def similarities(self, queries: Sequence[Query]) -> Any:
        """Cosines of queries and train queries, a dense matrix; 0 between a train query and itself.

        So that a train query is answered as an unseen one is: from the others. It is 0, too, where all that a train
        query was judged for is left out for the query.

        Raises:
            KitError: scikit-learn is missing.
        """
        import numpy as np

        if not queries:
            return np.zeros((0, len(self.train)))
        similar = (self.vectors(queries) @ self.inputs.T).toarray()
        for number, query in enumerate(queries):
            if query.id in self.row:
                similar[number, self.row[query.id]] = 0
            left_out = self._collection.left_out(query.id)
            for row in self._judging(left_out):
                if self._collection.relevant(self.train[row].id).keys() <= left_out:
                    similar[number, row] = 0
        return similar

    def own_terms(self, query: Query) -> list[int]:
        """Numbers of the terms that the query has itself."""
        number = self.vocabulary.number
        return [number[term] for term in set(self._analyzer(query.text)) if term in number]

    @cached_property
    def _vectorizer(self) -> Any:
        try:
            from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
            from sklearn.pipeline import make_pipeline
        except ImportError as error:
            raise KitError("scikit-learn is missing: pip install 'query-expansion-kit[train]'") from error
        hashed = HashingVectorizer(
            tokenizer=segments, token_pattern=None, ngram_range=(1, 2), alternate_sign=False, norm=None
        )
        return make_pipeline(hashed, TfidfTransformer(sublinear_tf=True)).fit([query.text for query in self.train])

    def _judging(self, documents: Ids[str]) -> list[int]:
        """Rows of the train queries that any of the documents was judged relevant to."""
        return sorted({row for document in documents for row in self._judged.get(document, ())})

    @cached_property
    def _judged(self) -> dict[str, list[int]]:
        """Document → the train queries that it was judged relevant to, by their rows."""
        rows: dict[str, list[int]] = {}
        for row, query in enumerate(self.train):
            for document in self._collection.relevant(query.id):
                rows.setdefault(document, []).append(row)
        return rows

    def _add_target(self, row: Any, query: Query, left_out: Ids[str] = ()) -> None:
        weights, judged = self.vocabulary.weights, self._collection.relevant(query.id)
        relevant = {document: relevance for document, relevance in judged.items() if document not in left_out}
        highest = max(relevant.values(), default=0)
        lower = [document for document, relevance in relevant.items() if relevance < highest]
        for document in relevant.keys() - set(lower):
            for number, weight in weights[document].items():
                row[number] = max(row[number], weight)
        for document in lower:
            for number, weight in weights[document].items():
                row[number] += weight * relevant[document] / highest / len(lower)
        row[self.own_terms(query)] = 0

"""Term regression: a teacher that is fitted to a collection's own judgments instead of being a language model.

From the words of a query it predicts which terms its relevant document uses and the query does not, by ridge
regression over the train queries. It knows nothing but the collection: which words go with which, in that collection.
A student that imitates it learns *what helps this search engine*.
"""

import hashlib
from collections.abc import Collection as Container
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from builders.collections.collection import Collection, Query
from builders.errors import KitError
from builders.expanders.expander import Expander, Expansion, Identity, Request, Sampling, estimated_tokens
from builders.expanders.term_vocabulary import TermVocabulary, read_vocabulary
from builders.prompts.script import segments
from builders.retrievers.analyzer import analyzer_for


# Regularisation of the ridge, on tf-idf vectors of length 1.
RIDGE = 0.25
# Train queries are answered by regressions that were fitted without them: what a student imitates is what the teacher
# knows, not what it has by heart.
FOLDS = 10
# Predicted weight below which a term is noise, and the number of terms that sampling chooses among.
LEAST_WEIGHT, SAMPLED_AMONG = 0.05, 24
# The kernel is a square matrix of the train queries.
MOST_QUERIES = 20_000


@dataclass(kw_only=True)
class TermRegressionOptions:
    """Settings of `--expander term-regression`."""

    words: int = field(default=4, metadata={"help": "Words of a term regression's expansion, at most."})
    least_score: float = field(
        default=0.0,
        metadata={"help": "Predicted weight × idf that a term regression's word must reach; else it says less."},
    )


class TermRegressionExpander(Expander):
    """Answers with the terms that relevant documents of similar queries have and the query lacks.

    The target of a train query is, for every term of the vocabulary that the query lacks, BM25's saturated frequency
    in its gold document (the largest over several), and beside it the mean over documents judged lower, times their
    relevance over the gold's. The input is tf-idf over words and pairs of words. The answer is
    at most `words` terms of highest predicted weight × idf, as the collection writes them, those below `least_score`
    left out: it may be empty, which leaves the query alone. Sampling with temperature T draws terms without
    replacement, with probabilities proportional to score^(1/T) (Gumbel top-k, Kool et al. 2019).

    Requests are answered by their keys, which are query ids.

    Args:
        collection ([`Collection`]):
            Its train queries are what is learned from.
        options ([`TermRegressionOptions`]):
            How long answers are.

    Raises:
        KitError: fewer than two train queries or too many, a setting out of range, or scikit-learn is missing.
    """

    free = True

    def __init__(self, collection: Collection, options: TermRegressionOptions) -> None:
        train = collection.split("train")
        if not 2 <= len(train) <= MOST_QUERIES:
            raise KitError(
                f"--expander term-regression learns from train queries with judgments; {collection.name} has "
                f"{len(train)}, and 2 to {MOST_QUERIES} will do"
            )
        if options.words < 1 or options.least_score < 0:
            raise KitError("--words must be at least 1, --least_score not below 0")
        self._collection, self._train, self._options = collection, train, options
        self._analyzer = analyzer_for(collection.language)
        self.identity = Identity(
            model_id="term-regression",
            revision="1",
            weights=f"fitted on {len(train)} train queries of {collection.name}, never on the query it answers",
            provider="local",
        )
        self.settings = {"words": options.words, "least_score": options.least_score, "folds": FOLDS, "ridge": RIDGE}
        self.query_ids = collection.queries.keys()

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Container[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Answer by the requests' keys; see [`Expander.expand`]."""
        import numpy as np

        asked = [request for request in requests if request.key not in done]
        scores = self._scores([self._collection.queries[request.key] for request in asked])
        for request, row in zip(asked, scores, strict=True):
            expansions = []
            for sample in range(request.samples):
                order = row
                if sampling.temperature > 0:
                    seed = hashlib.sha256(repr((sampling.seed, request.key, sample)).encode()).digest()
                    noise = np.random.default_rng(int.from_bytes(seed[:8], "big")).gumbel(size=row.shape)
                    order = np.full_like(row, -np.inf)
                    best = np.argsort(-row, kind="stable")[:SAMPLED_AMONG]
                    best = best[row[best] > 0]
                    order[best] = np.log(row[best]) / sampling.temperature + noise[best]
                chosen = [int(n) for n in np.argsort(-order, kind="stable")[: self._options.words] if row[n] > 0]
                text = " ".join(self._vocabulary.written[n] for n in chosen)
                expansions.append(Expansion(text, 0, estimated_tokens(text), "stop"))
            yield request.key, expansions

    @cached_property
    def _vocabulary(self) -> TermVocabulary:
        relevant = {document for query in self._train for document in self._collection.relevant(query.id)}
        return read_vocabulary(self._collection, self._analyzer, relevant)

    @cached_property
    def _fitted(self) -> tuple[Any, Any, Any, Any]:
        """Vectorizer, inputs (queries × n-grams), targets (queries × terms), and the fold of each train query."""
        import numpy as np

        try:
            from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
            from sklearn.pipeline import make_pipeline
        except ImportError as error:
            raise KitError("scikit-learn is missing: pip install 'query-expansion-kit[train]'") from error
        # Hashed, since words that no train query has must take their share of a query's vector: they are doubt.
        vectorizer = make_pipeline(
            HashingVectorizer(
                tokenizer=segments, token_pattern=None, ngram_range=(1, 2), alternate_sign=False, norm=None
            ),
            TfidfTransformer(sublinear_tf=True),
        )
        inputs = vectorizer.fit_transform([query.text for query in self._train])
        targets = np.zeros((len(self._train), len(self._vocabulary.written)), dtype=np.float32)
        for row, query in zip(targets, self._train, strict=True):
            self._add_target(row, query)
        folds = np.array([int(hashlib.sha256(q.id.encode()).hexdigest(), 16) % FOLDS for q in self._train])
        return vectorizer, inputs, targets, folds

    def _add_target(self, row: Any, query: Query) -> None:
        weights, relevant = self._vocabulary.weights, self._collection.relevant(query.id)
        highest = max(relevant.values())
        lower = [document for document, relevance in relevant.items() if relevance < highest]
        for document in relevant.keys() - set(lower):
            for number, weight in weights[document].items():
                row[number] = max(row[number], weight)
        for document in lower:
            for number, weight in weights[document].items():
                row[number] += weight * relevant[document] / highest / len(lower)
        row[self._own_terms(query)] = 0

    def _scores(self, queries: Sequence[Query]) -> Any:
        """Predicted weight × idf, queries × terms; 0 where a term is noise, too unsure, or the query's own."""
        import numpy as np

        vectorizer, inputs, targets, folds = self._fitted
        place = {query.id: number for number, query in enumerate(self._train)}
        asked = vectorizer.transform([query.text for query in queries])
        fold_of = np.array([folds[place[query.id]] if query.id in place else -1 for query in queries])
        weights = np.zeros((len(queries), targets.shape[1]), dtype=np.float32)
        for fold in np.unique(fold_of):
            seen, mine = folds != fold, fold_of == fold
            kernel = (inputs[seen] @ inputs[seen].T).toarray()
            kernel[np.diag_indices_from(kernel)] += RIDGE
            similar = (asked[mine] @ inputs[seen].T).toarray()
            weights[mine] = similar @ np.linalg.solve(kernel, targets[seen])
        scores = np.where(weights > LEAST_WEIGHT, weights * np.array(self._vocabulary.idf, dtype=np.float32), 0)
        scores[scores < self._options.least_score] = 0
        for row, query in zip(scores, queries, strict=True):
            row[self._own_terms(query)] = 0
        return scores

    def _own_terms(self, query: Query) -> list[int]:
        number = self._vocabulary.number
        return [number[term] for term in set(self._analyzer(query.text)) if term in number]

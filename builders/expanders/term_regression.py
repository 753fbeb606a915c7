"""Predicts the terms of relevant documents by a regression on a collection's judgments: a teacher without a model.

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
from builders.expanders.expander import (
    Expander,
    ExpanderInputs,
    Expansion,
    Identity,
    Request,
    Sampling,
    estimated_tokens,
)
from builders.prompts.context.judged_terms import JudgedTerms
from builders.prompts.prompt import Prompt


# Regularisation of the ridge, on tf-idf vectors of length 1.
RIDGE = 0.25
# Train queries are answered by regressions that were fitted without them: what a student imitates is what the teacher
# knows, not what it has by heart.
FOLDS = 10
# Predicted weight below which a term is noise, and the number of terms that sampling chooses among.
LEAST_WEIGHT, SAMPLED_AMONG = 0.05, 24


@dataclass(kw_only=True)
class TermRegressionOptions:
    """Settings of `--expander term-regression`."""

    words: int = field(default=4, metadata={"help": "Words of a term regression's expansion, at most."})
    least_score: float = field(
        default=0.0,
        metadata={"help": "Predicted weight × idf that a term regression's word must reach; else it says less."},
    )
    least_words: int = field(
        default=1, metadata={"help": "Words that a term regression must have to say; else it says nothing."}
    )


class TermRegressionExpander(Expander):
    """Answers with the terms that relevant documents of similar queries have and the query lacks.

    Inputs and targets are those of [`JudgedTerms`]: the words of a query, and what terms weigh in its relevant
    documents. The answer is at most `words` terms of highest predicted weight × idf, as the collection writes them,
    those below `least_score` left out; where fewer than `least_words` are left, it is empty, which leaves the query
    alone. Sampling with temperature T draws terms without replacement, with probabilities proportional to score^(1/T)
    (Gumbel top-k, Kool et al. 2019).

    Requests are answered by their keys, which are query ids.

    Args:
        collection ([`Collection`]):
            Its train queries are what is learned from.
        options ([`TermRegressionOptions`]):
            How long answers are.

    Raises:
        KitError: fewer than two train queries or too many, a setting out of range, or scikit-learn is missing.
    """

    name = "term-regression"
    help = "terms predicted by a regression that is fitted to the collection's train judgments; no language model"
    Options = TermRegressionOptions
    free = True

    @classmethod
    def make(cls, inputs: ExpanderInputs) -> list[tuple[Prompt, Expander]]:
        """See [`Expander.make`]."""
        made = cls(inputs.collection, inputs.options)
        # Datasets have always recorded all settings of their command here; with fewer they would be made anew.
        made.settings = {**inputs.told, **made.settings}
        return [(inputs.student, made)]

    def __init__(self, collection: Collection, options: TermRegressionOptions) -> None:
        if options.words < 1 or options.least_score < 0:
            raise KitError("--words must be at least 1, --least_score not below 0")
        if not 1 <= options.least_words <= options.words:
            raise KitError(f"--least_words {options.least_words}: give 1 to {options.words}, which is --words")
        self._queries, self._options = collection.queries, options
        self._terms = JudgedTerms(collection)
        self.identity = Identity(
            model_id="term-regression",
            revision="1",
            weights=f"fitted on {len(self._terms.train)} train queries of {collection.name}, save the one it answers",
            provider="local",
        )
        self.settings = {**vars(options), "folds": FOLDS, "ridge": RIDGE}
        self.query_ids = collection.queries.keys()

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Container[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Answer by the requests' keys; see [`Expander.expand`]."""
        import numpy as np

        asked = [request for request in requests if request.key not in done]
        scores = self._scores([self._queries[request.key] for request in asked])
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
                text = self._text(row, order)
                expansions.append(Expansion(text, 0, estimated_tokens(text), "stop"))
            yield request.key, expansions

    def best_words(self, queries: Sequence[Query]) -> list[str]:
        """The answer without sampling to each query, of the collection or not; empty where it is sure of nothing."""
        return [self._text(row, row) for row in self._scores(queries)]

    def _text(self, row: Any, order: Any) -> str:
        import numpy as np

        chosen = [int(n) for n in np.argsort(-order, kind="stable")[: self._options.words] if row[n] > 0]
        if len(chosen) < self._options.least_words:
            return ""
        return " ".join(self._terms.vocabulary.written[n] for n in chosen)

    @cached_property
    def _folds(self) -> Any:
        """The fold of each train query, by a hash of its id."""
        import numpy as np

        return np.array([int(hashlib.sha256(q.id.encode()).hexdigest(), 16) % FOLDS for q in self._terms.train])

    def _scores(self, queries: Sequence[Query]) -> Any:
        """Predicted weight × idf, queries × terms; 0 where a term is noise, too unsure, or the query's own."""
        import numpy as np

        terms, folds = self._terms, self._folds
        inputs, targets, asked = terms.inputs, terms.targets, terms.vectors(queries)
        fold_of = np.array([folds[terms.row[query.id]] if query.id in terms.row else -1 for query in queries])
        weights = np.zeros((len(queries), targets.shape[1]), dtype=np.float32)
        for fold in np.unique(fold_of):
            seen, mine = folds != fold, fold_of == fold
            kernel = (inputs[seen] @ inputs[seen].T).toarray()
            kernel[np.diag_indices_from(kernel)] += RIDGE
            similar = (asked[mine] @ inputs[seen].T).toarray()
            # The kernel is symmetric; in this order its inverse meets the queries, which are few beside the terms.
            shares = np.linalg.solve(kernel, similar.T).T
            weights[mine] = shares @ targets[seen]
            # Linear in the targets: what a query leaves out is taken away again.
            place = np.cumsum(seen) - 1
            for number, share in zip(np.flatnonzero(mine), shares, strict=True):
                for row, target in terms.changed(queries[int(number)]).items():
                    if seen[row]:
                        weights[number] += share[place[row]] * (target - targets[row])
        scores = np.where(weights > LEAST_WEIGHT, weights * np.array(terms.vocabulary.idf, dtype=np.float32), 0)
        scores[scores < self._options.least_score] = 0
        for row, query in zip(scores, queries, strict=True):
            row[terms.own_terms(query)] = 0
        return scores

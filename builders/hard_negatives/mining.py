"""Make rows of query, expansion, relevant document and hard negatives of a query's candidates and ranked documents."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from builders.artifacts.dataset_folder import Rows
from builders.artifacts.query_statistics import QueryStatistics
from builders.collections.collection import Collection
from builders.hard_negatives.ranked import Pools, Ranked
from builders.hard_negatives.similarity import Similarity, highest_allowed


Choice = Literal["random", "top"]
CHOICES: tuple[Choice, ...] = ("random", "top")
# Why a document of a pool is no negative.
JUDGED, DUPLICATE, SIMILAR = (
    "judged relevant",
    "same text as a relevant document",
    "as similar as a relevant one",
)


@dataclass
class TripletStatistics(QueryStatistics):
    """What became of the queries: queries in, rows out, one reason for every query that gave none.

    `pooled` counts the documents looked at, `false_negatives` those of them that were kept from being negatives.
    """

    queries_with_rows: int = 0
    rows: int = 0
    pooled: int = 0
    false_negatives: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Mining:
    """How rows are made.

    Args:
        collection (`Collection`):
            Its judgments say what is relevant.
        pools ([`Pools`]):
            What the miner found.
        similarity ([`Similarity`], *optional*):
            Filters documents that are as close to the query as a relevant one.
        max_similarity_ratio (`float`):
            See [`highest_allowed`]; the relevant document least like the query counts.
        negatives (`int`):
            So many in each row.
        choice (`str`):
            `random` (seeded, by query and row) or `top`, the best-ranked ones in every row of the query.
        rows_per_query (`int`):
            At most so many rows; each has another candidate.
        seed (`int`):
            Decides which candidates, in which order, and the random negatives.
    """

    collection: Collection
    pools: Pools
    similarity: Similarity | None
    max_similarity_ratio: float
    negatives: int
    choice: Choice
    rows_per_query: int
    seed: int

    def rows(self, query_id: str, candidates: Sequence[dict[str, Any]], into: TripletStatistics) -> Rows:
        """The rows of one query, in the columns of config `retriever`.

        Relevant documents take turns, those with the highest grade first. `into` is updated with what was kept and why
        the rest was not.
        """
        into.take(candidates)
        usable = list({c["candidate"].strip(): c for c in reversed(candidates) if c["check"] == "ok"}.values())[::-1]
        if not usable:
            return into.drop("no usable candidate")
        relevant = self._relevant(query_id)
        if not relevant:
            return into.drop("no relevant document in the collection")
        cosines = self._cosines(query_id, relevant)
        pool = self._without_false_negatives(query_id, relevant, cosines, into)
        if len(pool) < self.negatives:
            return into.drop("too few negatives left")
        draw = random.Random(f"{self.seed}:{query_id}")
        draw.shuffle(usable)
        rows = []
        for number, candidate in enumerate(usable[: self.rows_per_query]):
            positive = relevant[number % len(relevant)]
            chosen = pool[: self.negatives]
            if self.choice == "random":
                chosen = sorted(draw.sample(pool, self.negatives), key=lambda document: document.rank)
            rows.append(self._row(candidate, positive, chosen, cosines))
        into.queries_with_rows += 1
        into.rows += len(rows)
        return rows

    def _relevant(self, query_id: str) -> list[str]:
        grades = self.collection.relevant(query_id)
        return sorted(grades.keys() & self.pools.texts.keys(), key=lambda document: (-grades[document], document))

    def _cosines(self, query_id: str, relevant: Sequence[str]) -> dict[str, float]:
        if self.similarity is None:
            return {}
        asked = list(dict.fromkeys([*relevant, *(one.document_id for one in self.pools.ranked[query_id])]))
        return dict(zip(asked, self.similarity.cosines(query_id, asked), strict=True))

    def _without_false_negatives(
        self, query_id: str, relevant: Sequence[str], cosines: dict[str, float], into: TripletStatistics
    ) -> list[Ranked]:
        judged = {document for document, grade in self.collection.qrels[query_id].items() if grade > 0}
        own = {self.pools.texts[document] for document in relevant}
        bounds = [highest_allowed(cosines[one], self.max_similarity_ratio) for one in relevant if cosines]
        kept: dict[str, Ranked] = {}
        for document in self.pools.ranked[query_id]:
            into.pooled += 1
            if document.document_id in judged:
                into.false_negatives[JUDGED] += 1
            elif document.text in own:
                into.false_negatives[DUPLICATE] += 1
            elif bounds and cosines[document.document_id] >= min(bounds):
                into.false_negatives[SIMILAR] += 1
            elif document.text.strip():
                kept.setdefault(document.text, document)  # The same text twice would be one negative.
        return list(kept.values())

    def _row(
        self, candidate: dict[str, Any], positive: str, negatives: Sequence[Ranked], cosines: dict[str, float]
    ) -> dict[str, Any]:
        query_id = candidate["query_id"]
        return {
            "query_id": query_id,
            "query": candidate["query"],
            "expansion": candidate["candidate"].strip(),
            "candidate_id": candidate["candidate_id"],
            "positive_id": positive,
            "positive": self.pools.texts[positive],
            "positive_relevance": self.collection.relevant(query_id)[positive],
            "positive_similarity": _rounded(cosines.get(positive)),
            "negative_ids": [one.document_id for one in negatives],
            "negatives": [one.text for one in negatives],
            "negative_ranks": [one.rank for one in negatives],
            "negative_scores": [_rounded(one.score) for one in negatives],
            "negative_similarities": [_rounded(cosines[one.document_id]) for one in negatives] if cosines else [],
        }


def _rounded(value: float | None) -> float | None:
    """Without the digits that are noise of the arithmetic."""
    return None if value is None else round(value, 6)

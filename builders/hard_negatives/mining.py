"""Mining: candidates and pool of a query → rows of query, expansion, relevant document and hard negatives."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from builders.artifacts.dataset_folder import Rows
from builders.collections.collection import Collection
from builders.hard_negatives.ranked import Pools, Ranked
from builders.hard_negatives.similarity import Likeness, highest_allowed


Choice = Literal["random", "top"]
CHOICES: tuple[Choice, ...] = ("random", "top")
# Why a document of a pool is no negative.
JUDGED, TWIN, LIKE = (
    "judged relevant",
    "same text as a relevant document",
    "as similar as a relevant one",
)


@dataclass
class TripletYield:
    """What became of the queries: queries in, rows out, one reason for every query that gave none.

    `pooled` counts the documents looked at, `false_negatives` those of them that were kept from being negatives.
    """

    queries: int = 0
    candidates: int = 0
    rejected_candidates: Counter[str] = field(default_factory=Counter)
    queries_with_rows: int = 0
    rows: int = 0
    dropped_queries: Counter[str] = field(default_factory=Counter)
    pooled: int = 0
    false_negatives: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """For `build.json` and the card."""
        return {
            name: dict(sorted(value.items())) if isinstance(value, dict) else value
            for name, value in vars(self).items()
        }


@dataclass(frozen=True)
class Mining:
    """How rows are made.

    Args:
        collection (`Collection`):
            Its judgments say what is relevant.
        pools ([`Pools`]):
            What the miner found.
        likeness ([`Likeness`], *optional*):
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
    likeness: Likeness | None
    max_similarity_ratio: float
    negatives: int
    choice: Choice
    rows_per_query: int
    seed: int

    def rows(self, query_id: str, candidates: Sequence[dict[str, Any]], into: TripletYield) -> Rows:
        """The rows of one query, in the columns of config `retriever`.

        Relevant documents take turns, those with the highest grade first. `into` is updated with what was kept and why
        the rest was not.
        """
        into.queries += 1
        into.candidates += len(candidates)
        into.rejected_candidates.update(c["check"] for c in candidates if c["check"] != "ok")
        usable = list({c["candidate"].strip(): c for c in reversed(candidates) if c["check"] == "ok"}.values())[::-1]
        if not usable:
            into.dropped_queries["no usable candidate"] += 1
            return []
        relevant = self._relevant(query_id)
        if not relevant:
            into.dropped_queries["no relevant document in the collection"] += 1
            return []
        cosines = self._cosines(query_id, relevant)
        pool = self._without_false_negatives(query_id, relevant, cosines, into)
        if len(pool) < self.negatives:
            into.dropped_queries["too few negatives left"] += 1
            return []
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
        if self.likeness is None:
            return {}
        asked = list(dict.fromkeys([*relevant, *(one.document_id for one in self.pools.ranked[query_id])]))
        return dict(zip(asked, self.likeness.cosines(query_id, asked), strict=True))

    def _without_false_negatives(
        self, query_id: str, relevant: Sequence[str], cosines: dict[str, float], into: TripletYield
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
                into.false_negatives[TWIN] += 1
            elif bounds and cosines[document.document_id] >= min(bounds):
                into.false_negatives[LIKE] += 1
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

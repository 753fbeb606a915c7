"""Grading: what a candidate is worth to a retriever."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.collections.collection import Collection
from builders.measures.retrieval_measures.ranking import gold_rank, measure
from builders.retrievers.formation import Formation
from builders.retrievers.retriever import Hit, Retriever


DEPTH = 100


@dataclass(frozen=True, slots=True)
class Grade:
    """How well one search went.

    `gold_rank` is the 1-based rank of the best-judged document, `DEPTH + 1` when it is not among the first `DEPTH`
    (EAR, Chuang et al. 2023, counts the same way). The other measures lie between 0 and 1.
    """

    ndcg_at_10: float
    mrr_at_10: float
    recall_at_100: float
    reciprocal_rank: float
    gold_rank: int


class Grader:
    """Grades expansions of a collection's queries by the retrieval they lead to."""

    def __init__(self, collection: Collection, retriever: Retriever, formation: Formation) -> None:
        self.collection = collection
        self.retriever = retriever
        self.formation = formation

    def plain(self, query_ids: Sequence[str]) -> list[Grade]:
        """Grades of the queries as they are.

        Raises:
            KitError: a query has no relevant document.
        """
        return self.expanded([(query_id, "") for query_id in query_ids])

    def expanded(self, pairs: Sequence[tuple[str, str]]) -> list[Grade]:
        """Grades of (query id, expansion) pairs, in their order. An empty expansion is the plain query.

        Raises:
            KitError: a query has no relevant document.
        """
        return [grade for grade, _ in self.searched(pairs)]

    def searched(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[Grade, list[Hit]]]:
        """As [`expanded`], with the rankings themselves."""
        queries = self.collection.queries
        gold = {query_id: self.collection.gold(query_id) for query_id, _ in pairs}
        texts = [self.formation.expanded(queries[query_id].text, expansion) for query_id, expansion in pairs]
        rankings = self.retriever.search(texts, DEPTH)
        # One judged "topic" per pair, since many pairs share a query.
        names = [str(number) for number in range(len(pairs))]
        qrels = {name: self.collection.qrels[pair[0]] for name, pair in zip(names, pairs, strict=True)}
        runs = {name: [hit.document_id for hit in hits] for name, hits in zip(names, rankings, strict=True)}
        measures = measure(qrels, runs)
        graded = []
        for name, (query_id, _), hits in zip(names, pairs, rankings, strict=True):
            values, ids = measures[name], runs[name]
            relevant = self.collection.relevant(query_id)
            first = next((rank for rank, document in enumerate(ids, start=1) if document in relevant), None)
            grade = Grade(
                ndcg_at_10=values["ndcg_at_10"],
                mrr_at_10=values["mrr_at_10"],
                recall_at_100=values["recall_at_100"],
                reciprocal_rank=1 / first if first else 0.0,
                gold_rank=gold_rank(ids, gold[query_id], DEPTH),
            )
            graded.append((grade, hits))
        return graded

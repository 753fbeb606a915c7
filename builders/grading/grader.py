"""Grade expansions by the search that they lead to."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.collections.collection import Collection
from builders.measures.retrieval_measures.ranking import gold_rank, measure
from builders.retrievers.formulation import Formulation
from builders.retrievers.left_out import left_out_of
from builders.retrievers.retriever import Hit, Retriever, document_ids


DEPTH = 100
# Rankings held at once: of many candidates only the grades stay.
BLOCK = 10_000

# Query id, and its expansion or several.
Pair = tuple[str, str | Sequence[str]]


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
    """Grades expansions of a collection's queries by the retrieval they lead to.

    Raises:
        KitError: the retriever cannot be asked as the formation wants to.
    """

    def __init__(self, collection: Collection, retriever: Retriever, formation: Formulation) -> None:
        formation.check(retriever)
        self.collection = collection
        self.retriever = retriever
        self.formation = formation

    def plain(self, query_ids: Sequence[str]) -> list[Grade]:
        """Grades of the queries as they are.

        Raises:
            KitError: a query has no relevant document.
        """
        return self.expanded([(query_id, "") for query_id in query_ids])

    def expanded(self, pairs: Sequence[Pair]) -> list[Grade]:
        """Grades of (query id, expansion) pairs, in their order; the formation decides what several expansions do.

        An expansion without a word beyond the query is the plain query.

        Raises:
            KitError: a query has no relevant document.
        """
        starts = range(0, len(pairs), BLOCK)
        return [grade for start in starts for grade, _ in self.searched(pairs[start : start + BLOCK])]

    def searched(self, pairs: Sequence[Pair]) -> list[tuple[Grade, Sequence[Hit]]]:
        """As [`expanded`], with the rankings themselves, without what the collection leaves out."""
        queries = self.collection.queries
        asked = [
            (queries[query_id].text, (expansion,) if isinstance(expansion, str) else expansion)
            for query_id, expansion in pairs
        ]
        ids = [query_id for query_id, _ in pairs]
        rankings = self.formation.search(self.retriever, asked, DEPTH, left_out_of(self.collection, ids))
        documents = [document_ids(ranking) for ranking in rankings]
        grades = graded_rankings(self.collection, ids, documents)
        return list(zip(grades, rankings, strict=True))


def graded_rankings(
    collection: Collection, query_ids: Sequence[str], rankings: Sequence[Sequence[str]]
) -> list[Grade]:
    """Grades of rankings that are there already: document ids, best first, one ranking a query id.

    A query without a relevant document has no gold, and 0 where no judgment gains anything, as trec_eval has it.
    """
    # One judged "topic" per ranking, since many rankings may share a query.
    names = [str(number) for number in range(len(query_ids))]
    relevant = {query_id: collection.relevant(query_id) for query_id in dict.fromkeys(query_ids)}
    gold = {query_id: collection.gold(query_id) if found else set() for query_id, found in relevant.items()}
    qrels = {name: collection.qrels[query_id] for name, query_id in zip(names, query_ids, strict=True)}
    measures = measure(qrels, dict(zip(names, rankings, strict=True)), collection.relevance_level)
    grades = []
    for name, query_id, ids in zip(names, query_ids, rankings, strict=True):
        first = gold_rank(ids, relevant[query_id], DEPTH)
        grades.append(
            Grade(
                **measures[name],
                reciprocal_rank=1 / first if first <= DEPTH else 0.0,
                gold_rank=gold_rank(ids, gold[query_id], DEPTH),
            )
        )
    return grades

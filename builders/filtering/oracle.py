"""Picks candidates by the judgments themselves: what a filter could gain at most, and no method."""

from collections.abc import Sequence

from builders.collections.collection import Query
from builders.expanders.expander import Expansion
from builders.filtering.candidate_filter import Filter, Score
from builders.grading.grader import Grader


class OracleFilter(Filter):
    """Picks the candidate with the best grade: nDCG@10, then the rank of the gold document, then the first.

    Args:
        grader ([`Grader`]):
            Whose grades decide: the upper bound holds for its retriever and formation.
    """

    def __init__(self, grader: Grader) -> None:
        self.identity = "oracle"
        self._grader = grader

    def scores(self, asked: Sequence[tuple[Query, Expansion]]) -> list[Score]:
        """See [`Filter.scores`]: (nDCG@10, −gold rank).

        Raises:
            KitError: a query has no relevant document.
        """
        grades = self._grader.expanded([(query.id, expansion.text) for query, expansion in asked])
        return [(grade.ndcg_at_10, -grade.gold_rank) for grade in grades]

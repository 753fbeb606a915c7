"""Chooses the numbers of RM3 feedback by validation queries, so that a student is compared with it at its best."""

from collections.abc import Sequence
from statistics import mean

from builders.collections.collection import Collection, Query
from builders.grading.grader import Grader
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from train.reports.results_table import UNTUNED


# Documents and terms that are taken, and the query's share: the usual numbers first, for equals.
GRID = ("10:10:0.5", "10:20:0.6", "10:10:0.8", "10:20:0.8", "2:10:0.6", "2:20:0.6", "2:10:0.8", "2:20:0.8")
# Validation queries that choose, and below which chance would.
MOST, FEWEST = 64, 20
# Documents up to which so many searches are a matter of seconds.
SMALL = 200_000


def tuned_feedback(collection: Collection, queries: Sequence[Query], documents: int) -> tuple[str, str]:
    """The retriever `bm25s+rm3:DOCUMENTS:TERMS:QUERY` with the highest nDCG@10, or without numbers; and why it is.

    Args:
        collection ([`Collection`]):
            What is searched.
        queries (`Sequence[Query]`):
            Validation queries, of which the first are asked.
        documents (`int`):
            How many there are.
    """
    asked = [query.id for query in queries[:MOST]]
    if len(asked) < FEWEST:
        return UNTUNED, f"untuned, for there are {len(asked)} validation queries"
    if documents > SMALL:
        return UNTUNED, f"untuned, for there are {documents:,} documents"
    plain = load_formulation("q*1+e")
    found: dict[str, float] = {}
    for numbers in GRID:
        name = f"{UNTUNED}:{numbers}"
        grades = Grader(collection, load_retriever(name, collection), plain).plain(asked)
        found[name] = mean(grade.ndcg_at_10 for grade in grades)
    return max(found, key=lambda name: found[name]), f"the best of {len(GRID)} on {len(asked)} validation queries"

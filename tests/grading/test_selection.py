"""Which candidates a student imitates."""

from builders.grading.selection import SELECTIONS


def candidate(query, number, ndcg, plain=0.5, gold_rank=3, tokens=4, check="ok"):
    return {
        "query_id": query,
        "candidate_id": f"{query}#{number}",
        "ndcg_at_10": ndcg,
        "plain_ndcg_at_10": plain,
        "gold_rank": gold_rank,
        "completion_tokens": tokens,
        "check": check,
    }


ROWS = [
    candidate("a", 0, 0.6),
    candidate("a", 1, 0.5),
    candidate("a", 2, 0.4),
    candidate("a", 3, 0.9, check="echo"),
    candidate("b", 0, 0.4),
    candidate("b", 1, 0.3),
    candidate("c", 0, 0.7, gold_rank=2),
    candidate("c", 1, 0.7, gold_rank=1),
]


def chosen(name):
    return [row["candidate_id"] for row in SELECTIONS[name](ROWS)]


def test_each_selection_takes_what_it_says():
    assert chosen("all") == ["a#0", "a#1", "a#2", "b#0", "b#1", "c#0", "c#1"]
    assert chosen("better") == ["a#0", "c#0", "c#1"]
    assert chosen("harmless") == ["a#0", "a#1", "c#0", "c#1"]
    assert chosen("best") == ["a#0", "c#1"]

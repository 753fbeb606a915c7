"""Which candidates a student imitates."""

from builders.collections.collection import Collection, Document, Query
from builders.grading.selection import SELECTIONS, distillation_rows
from builders.prompts.load import load_prompt


def candidate(query, number, ndcg, plain=0.5, gold_rank=3, tokens=4, check="ok", text="", plain_rank=3):
    return {
        "query_id": query,
        "query": "line fit",
        "grounding": "",
        "candidate": text,
        "candidate_id": f"{query}#{number}",
        "plain_gold_rank": plain_rank,
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


def world():
    documents = [Document("d", "", "fit a line by least squares"), Document("e", "", "sort a list")]
    queries = {"a": Query("a", "line fit", "train")}
    return Collection("small", "en", documents, queries, {"a": {"d": 1}}, "here", "free", "by hand")


def imitated(*rows):
    kept = distillation_rows({"train": list(rows)}, "best", load_prompt("web-passage-zero-shot"), world())["train"]
    return [row["candidate_id"] for row in kept]


def test_nobody_imitates_a_refusal_where_the_plain_query_succeeds():
    """Both retrieve as the plain query does; the refusal is shorter, and first, and half a line of it is the query."""
    refusal = candidate("a", 0, 1.0, 1.0, 1, tokens=5, text="I cannot say what a line fit is", plain_rank=1)
    passage = candidate("a", 1, 1.0, 1.0, 1, tokens=30, text="The least squares method fits a line", plain_rank=1)
    longer = candidate("a", 2, 1.0, 1.0, 1, tokens=90, text="squares are drawn by hand in art class", plain_rank=1)
    assert imitated(refusal, passage, longer) == imitated(longer, passage, refusal) == ["a#1"]
    assert imitated(refusal) == [], "no gain, nothing of the document: no target"
    silence = candidate("a", 3, 1.0, 1.0, 1, tokens=1, plain_rank=1)
    assert imitated(refusal, silence) == ["a#3"] and imitated(silence, passage) == ["a#1"]


def test_among_candidates_that_gain_the_shorter_is_taken():
    texts = {"text": "words", "plain_rank": 5}
    long, short = (candidate("a", n, 0.5, gold_rank=3, tokens=tokens, **texts) for n, tokens in enumerate((9, 4)))
    assert imitated(long, short) == ["a#1"], "the gold document came from rank 5 to rank 3"

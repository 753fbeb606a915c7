"""Pairs by hand: what is chosen, what is dropped, and that every drop is counted."""

import pytest

from builders.errors import KitError
from builders.pairing.gold_rank import GoldRank
from builders.pairing.load import load_rule
from builders.pairing.ndcg_margin import NdcgMargin
from builders.pairing.pairing import Pairing, PairStatistics


def candidate(number, ndcg, tokens=10, rank=5, check="ok", text=None):
    return {
        "candidate_id": f"q#{number}",
        "query": "sort a list",
        "candidate": text or f"text {number}",
        "ndcg_at_10": ndcg,
        "gold_rank": rank,
        "completion_tokens": tokens,
        "check": check,
    }


def names(pairs):
    return [(pair.chosen["candidate_id"], pair.rejected["candidate_id"]) for pair in pairs]


def pairing(rule=None, margin=0.05, ratio=3.0, most=2):
    return Pairing(rule or NdcgMargin(), margin, ratio, most)


def test_best_against_worst_then_second_best_against_second_worst():
    counts = PairStatistics()
    rows = [candidate(0, 0.5), candidate(1, 0.9), candidate(2, 0.1), candidate(3, 0.7)]
    pairs = pairing().pairs(rows, counts)
    assert names(pairs) == [("q#1", "q#2"), ("q#3", "q#0")]
    assert [round(pair.margin, 6) for pair in pairs] == [0.8, 0.2]
    assert (counts.queries, counts.candidates, counts.pairs, counts.queries_with_pairs) == (1, 4, 2, 1)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([candidate(0, 0.5), candidate(1, 0.5)], "all candidates tie"),
        ([candidate(0, 0.5), candidate(1, 0.52)], "margin too small"),
        ([candidate(0, 0.9)], "fewer than two usable candidates"),
        ([candidate(0, 0.9), candidate(1, 0.1, check="empty")], "fewer than two usable candidates"),
        ([candidate(0, 0.9, text="same"), candidate(1, 0.1, text="same")], "fewer than two usable candidates"),
        ([candidate(0, 0.9, tokens=31), candidate(1, 0.1, tokens=10)], "length ratio too large"),
        ([], "fewer than two usable candidates"),
    ],
)
def test_every_drop_has_its_reason(rows, reason):
    counts = PairStatistics()
    assert pairing().pairs(rows, counts) == []
    assert dict(counts.dropped_queries) == {reason: 1}
    assert counts.pairs == counts.queries_with_pairs == 0


def test_a_rule_sees_all_usable_candidates_of_a_query_and_may_drop_it():
    class Rank:
        """By the order of their texts; too few are not scored."""

        name, margins = "rank", (0.0,)

        def scores(self, candidates):
            seen.append([candidate["candidate_id"] for candidate in candidates])
            order = sorted(candidate["candidate"] for candidate in candidates)
            found = [1 / (1 + order.index(candidate["candidate"])) for candidate in candidates]
            return found if len(found) > 2 else "too few to rank"

    seen, counts = [], PairStatistics()
    rows = [
        candidate(0, 0.5, text="b"),
        candidate(1, 0.1, check="empty", text="a"),
        candidate(2, 0.9, text="c"),
        candidate(3, 0.2, text="b"),
        candidate(4, 0.3, text="a"),
    ]
    assert names(pairing(Rank(), margin=0, most=1).pairs(rows, counts)) == [("q#4", "q#2")]
    assert pairing(Rank(), margin=0).pairs(rows[:3], counts) == []
    assert seen == [["q#0", "q#2", "q#4"], ["q#0", "q#2"]], "no rejected one, no text twice"
    assert counts.as_dict()["dropped_queries"] == {"too few to rank": 1}


def test_equal_scores_are_no_pair_even_without_a_margin():
    assert pairing(margin=0).pairs([candidate(0, 0.5), candidate(1, 0.5)], PairStatistics()) == []


def test_the_length_bound_takes_the_widest_pair_that_it_allows():
    rows = [candidate(0, 0.9, tokens=40), candidate(1, 0.8, tokens=12), candidate(2, 0.1, tokens=10)]
    assert names(pairing(most=1).pairs(rows, PairStatistics())) == [("q#1", "q#2")]
    assert names(pairing(most=1, ratio=4.0).pairs(rows, PairStatistics())) == [("q#0", "q#2")]


def test_ties_are_broken_by_the_gold_documents_rank():
    rows = [
        candidate(0, 0.9, rank=3),
        candidate(1, 0.9, rank=1),
        candidate(2, 0.1, rank=50),
        candidate(3, 0.1, rank=90),
    ]
    assert names(pairing(most=1).pairs(rows, PairStatistics())) == [("q#1", "q#3")]


def test_gold_rank_prefers_the_nearer_document():
    rows = [candidate(0, 0.0, rank=101), candidate(1, 0.0, rank=12), candidate(2, 0.0, rank=40)]
    pairs = pairing(GoldRank(), margin=1, most=1).pairs(rows, PairStatistics())
    assert names(pairs) == [("q#1", "q#0")] and pairs[0].margin == 89


def test_rejected_candidates_are_counted_by_reason():
    counts = PairStatistics()
    rows = [
        candidate(0, 0.9),
        candidate(1, 0.1),
        candidate(2, 0.0, check="repeats"),
        candidate(3, 0.0, check="repeats"),
    ]
    assert names(pairing().pairs(rows, counts)) == [("q#0", "q#1")]
    assert counts.as_dict()["rejected_candidates"] == {"repeats": 2}


def test_the_yield_of_other_margins_is_what_they_would_leave():
    queries = [
        [candidate(0, 0.9), candidate(1, 0.1)],
        [candidate(0, 0.5), candidate(1, 0.42)],
        [candidate(0, 0.5), candidate(1, 0.48), candidate(2, 0.3), candidate(3, 0.28)],
        [candidate(0, 0.5), candidate(1, 0.5)],
    ]
    report = pairing(margin=0.15).by_margin(queries)
    assert [tuple(row.values()) for row in report] == [(0.0, 4, 3), (0.05, 4, 3), (0.1, 3, 2), (0.2, 2, 2)]
    for row in report:
        counts = PairStatistics()
        kept = [pair for rows in queries for pair in pairing(margin=row["margin"]).pairs(rows, counts)]
        assert (len(kept), counts.queries_with_pairs) == (row["pairs"], row["queries_with_pairs"])


def test_an_unknown_rule_is_refused():
    with pytest.raises(KitError, match="ndcg-margin, gold-rank or reward"):
        load_rule("best-guess")


def test_an_echo_is_never_chosen_over_a_candidate_of_equal_score():
    """Nor spared where two are as bad: it is the one to be rejected."""
    rows = [candidate(0, 0.9, rank=1, text="List, sort a list!"), candidate(1, 0.9, rank=2), candidate(2, 0.1)]
    assert names(pairing(most=1).pairs(rows, PairStatistics())) == [("q#1", "q#2")]
    rows = [candidate(0, 0.1, rank=1, text="list"), candidate(1, 0.9), candidate(2, 0.1, rank=3)]
    assert names(pairing(most=1).pairs(rows, PairStatistics())) == [("q#1", "q#0")]

"""What a build says of its candidates."""

from pathlib import Path

from builders.grading.candidates import grading_report, summary


def test_the_best_of_a_query_whose_candidates_all_fail_is_the_plain_query():
    """By hand: one query has a candidate at 0.5; the other's only candidate fails, and plain finds everything."""

    def row(query: str, check: str, ndcg: float) -> dict:
        return {
            "query_id": query,
            "prompt_id": "p",
            "candidate": "text",
            "condition": "zero_shot",
            "check": check,
            "ndcg_at_10": ndcg,
            "plain_ndcg_at_10": 1.0,
        }

    counts = summary([row("a", "ok", 0.5), row("b", "refusal", 0.0)])
    assert counts["mean_best_ndcg_at_10"] == (0.5 + 1.0) / 2 and counts["queries_without_candidate"] == 1
    assert "best of each query 0.75 (plain for 1 without a valid one)" in "".join(
        grading_report(Path("d"), counts | {"distillation_rows": 0})
    )
    assert "queries_without_candidate" not in summary([row("a", "ok", 0.5)])

"""The selection: which graded candidates (rows of config `raw`) a student imitates."""

from typing import Any

from builders.artifacts.dataset_folder import Rows
from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.prompts.prompt import Message, Prompt


def all_valid(rows: Rows) -> Rows:
    """Every candidate that passed its output check."""
    return [row for row in rows if row["check"] == "ok"]


def better(rows: Rows) -> Rows:
    """The candidates that retrieve better than the plain query."""
    return [row for row in all_valid(rows) if row["ndcg_at_10"] > row["plain_ndcg_at_10"]]


def harmless(rows: Rows) -> Rows:
    """The candidates that do not retrieve worse than the plain query."""
    return [row for row in all_valid(rows) if row["ndcg_at_10"] >= row["plain_ndcg_at_10"]]


def best(rows: Rows) -> Rows:
    """Per query the best candidate (AQE's RSFT), where it does not fall below the plain query.

    Ties go to the better rank of the gold document, then to the shorter candidate, then to the first.
    """
    held_best: dict[str, dict[str, Any]] = {}
    for row in all_valid(rows):
        rank = (-row["ndcg_at_10"], row["gold_rank"], row["completion_tokens"])
        held = held_best.get(row["query_id"])
        if held is None or rank < (-held["ndcg_at_10"], held["gold_rank"], held["completion_tokens"]):
            held_best[row["query_id"]] = row
    return [row for row in held_best.values() if row["ndcg_at_10"] >= row["plain_ndcg_at_10"]]


def distillation_row(row: dict[str, Any], student: Prompt) -> dict[str, Any]:
    """A selected candidate, a row of config `raw`, as a row of config `distillation`."""
    completion = [Message(role="assistant", content=row["candidate"])]
    kept = ("query_id", "query", "candidate_id", "ndcg_at_10", "plain_ndcg_at_10")
    return {
        "prompt": student.messages(row["query"], (), row["grounding"]),
        "completion": completion,
        "chat_template_kwargs": TEMPLATE_KWARGS,
        **{name: row[name] for name in kept},
    }


SELECTIONS = {"all": all_valid, "better": better, "harmless": harmless, "best": best}

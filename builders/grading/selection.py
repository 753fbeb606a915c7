"""Select the graded candidates (rows of config `raw`) that a student imitates."""

from collections.abc import Mapping
from typing import Any

from builders.artifacts.dataset_folder import Rows
from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.errors import KitError
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


SELECTIONS = {"all": all_valid, "better": better, "harmless": harmless, "best": best}


def require_selection(name: str) -> None:
    """Refuse a selection that there is not.

    Raises:
        KitError: there is none of that name.
    """
    if name not in SELECTIONS:
        raise KitError(f"unknown --select {name!r}: give one of {', '.join(SELECTIONS)}")


def distillation_rows(raw: Mapping[str, Rows], select: str, student: Prompt) -> dict[str, Rows]:
    """The selected candidates of each split, as rows of config `distillation`."""
    return {
        split: [_distillation_row(row, student) for row in SELECTIONS[select](rows)] for split, rows in raw.items()
    }


def _distillation_row(row: dict[str, Any], student: Prompt) -> dict[str, Any]:
    kept = ("query_id", "query", "candidate_id", "ndcg_at_10", "plain_ndcg_at_10")
    return {
        "prompt": student.messages(row["query"], (), row["grounding"]),
        "completion": [Message(role="assistant", content=row["candidate"])],
        "chat_template_kwargs": TEMPLATE_KWARGS,
        **{name: row[name] for name in kept},
    }

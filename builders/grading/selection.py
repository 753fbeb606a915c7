"""Select the graded candidates (rows of config `raw`) that a student imitates."""

from collections.abc import Mapping
from typing import Any

from builders.artifacts.dataset_folder import Rows
from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.collections.collection import Collection
from builders.errors import KitError
from builders.grading.nearness import Nearness, nearness_to_gold
from builders.prompts.prompt import Message, Prompt


def all_valid(rows: Rows, nearness: Nearness | None = None) -> Rows:
    """Every candidate that passed its output check."""
    return [row for row in rows if row["check"] == "ok"]


def better(rows: Rows, nearness: Nearness | None = None) -> Rows:
    """The candidates that retrieve better than the plain query."""
    return [row for row in all_valid(rows) if row["ndcg_at_10"] > row["plain_ndcg_at_10"]]


def harmless(rows: Rows, nearness: Nearness | None = None) -> Rows:
    """The candidates that do not retrieve worse than the plain query."""
    return [row for row in all_valid(rows) if row["ndcg_at_10"] >= row["plain_ndcg_at_10"]]


def best(rows: Rows, nearness: Nearness | None = None) -> Rows:
    """Per query the best candidate (AQE's RSFT), where it does not fall below the plain query.

    Ties go to the better rank of the gold document. Among candidates that gain by it, further ties go to the shorter,
    then to the first. Where nothing gains, a refusal retrieves as well as a good passage and is shorter: there the
    candidate nearest to the relevant document is taken; silence before one that has nothing in common with it.
    """
    held_best: dict[str, tuple[tuple[float, ...], dict[str, Any]]] = {}
    for row in harmless(rows):
        gains, near = _gains(row), 0.0
        if not gains and nearness is not None:
            near = nearness(row)
            if not near and row["candidate"].strip():
                continue
        rank = (-row["ndcg_at_10"], row["gold_rank"], row["completion_tokens"] if gains else -near)
        held = held_best.get(row["query_id"])
        if held is None or rank < held[0]:
            held_best[row["query_id"]] = rank, row
    return [row for _, row in held_best.values()]


def _gains(row: dict[str, Any]) -> bool:
    """Whether a candidate retrieves better than the plain query, or brings the gold document nearer to the top."""
    own, plain = ((-row[f"{of}ndcg_at_10"], row[f"{of}gold_rank"]) for of in ("", "plain_"))
    return bool(own < plain)


SELECTIONS = {"all": all_valid, "better": better, "harmless": harmless, "best": best}


def require_selection(name: str) -> None:
    """Refuse a selection that there is not.

    Raises:
        KitError: there is none of that name.
    """
    if name not in SELECTIONS:
        raise KitError(f"unknown --select {name!r}: give one of {', '.join(SELECTIONS)}")


def distillation_rows(
    raw: Mapping[str, Rows], select: str, student: Prompt, collection: Collection
) -> dict[str, Rows]:
    """The selected candidates of each split, as rows of config `distillation`; the collection is their queries'."""
    chosen = SELECTIONS[select]
    idle = {row["query_id"] for rows in raw.values() for row in harmless(rows) if not _gains(row)}
    nearness = nearness_to_gold(collection, idle) if chosen is best and idle else None
    return {split: [_distillation_row(row, student) for row in chosen(rows, nearness)] for split, rows in raw.items()}


def _distillation_row(row: dict[str, Any], student: Prompt) -> dict[str, Any]:
    kept = ("query_id", "query", "candidate_id", "ndcg_at_10", "plain_ndcg_at_10")
    return {
        "prompt": student.messages(row["query"], (), row["grounding"]),
        "completion": [Message(role="assistant", content=row["candidate"])],
        "chat_template_kwargs": TEMPLATE_KWARGS,
        **{name: row[name] for name in kept},
    }

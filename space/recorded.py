"""Picks test queries with the expansions that the evaluation recorded for them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from builders.artifacts.records import read_record
from builders.errors import KitError


EXAMPLES = "examples.json"
PER_KIND = 4
# Differences of nDCG@10 below this are rounding.
SAME = 1e-9

Kind = Literal["helped", "hurt", "unchanged"]


@dataclass(frozen=True)
class Answer:
    """One recorded expansion and the nDCG@10 it led to."""

    text: str
    tokens: int
    ndcg_at_10: float


@dataclass(frozen=True)
class Recorded:
    """A test query, what the plain query reached, and what base model and student wrote for it.

    `base` is missing where the evaluation did not run it.
    """

    query_id: str
    query: str
    kind: Kind
    plain_ndcg_at_10: float
    student: Answer
    base: Answer | None


def pick(rows: Iterable[Mapping[str, Any]], student: str, per_kind: int = PER_KIND) -> list[Recorded]:
    """The largest gains, the largest losses and some unchanged queries, so that the picture is not a flattering one.

    Args:
        rows (`Iterable[Mapping]`):
            Rows of `per_query.parquet`.
        student (`str`):
            The system to show.
        per_kind (`int`, *optional*, defaults to 4):
            At most so many of each kind.

    Returns:
        Gains (largest first), losses (largest first), unchanged (in the order of their ids).
    """
    by_query: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_query.setdefault(row["query_id"], {})[row["system"]] = row
    found = [_recorded(systems, student) for systems in by_query.values() if {"plain", student} <= set(systems)]
    gain = {item.query_id: item.student.ndcg_at_10 - item.plain_ndcg_at_10 for item in found}
    picked: list[Recorded] = []
    for kind in ("helped", "hurt", "unchanged"):
        kin = [item for item in found if item.kind == kind]
        picked += sorted(kin, key=lambda item: (-abs(gain[item.query_id]), item.query_id))[:per_kind]
    return picked


def _recorded(systems: Mapping[str, Mapping[str, Any]], student: str) -> Recorded:
    row = systems[student]
    delta = row["ndcg_at_10"] - systems["plain"]["ndcg_at_10"]
    return Recorded(
        query_id=row["query_id"],
        query=row["query"],
        kind="helped" if delta > SAME else "hurt" if delta < -SAME else "unchanged",
        plain_ndcg_at_10=systems["plain"]["ndcg_at_10"],
        student=_answer(row),
        base=_answer(systems["base"]) if "base" in systems else None,
    )


def _answer(row: Mapping[str, Any]) -> Answer:
    return Answer(row["expansion"], row["completion_tokens"], row["ndcg_at_10"])


def to_json(recorded: Iterable[Recorded]) -> str:
    """The content of `examples.json`."""
    return json.dumps([asdict(item) for item in recorded], indent=2, ensure_ascii=False) + "\n"


def read_recorded(folder: Path) -> dict[str, Recorded]:
    """Read `examples.json`: query text → recorded query.

    Raises:
        KitError: the file is missing or broken.
    """
    try:
        items = read_record(folder / EXAMPLES)
        found = [
            Recorded(
                **{name: value for name, value in item.items() if name not in ("student", "base")},
                student=Answer(**item["student"]),
                base=Answer(**item["base"]) if item["base"] else None,
            )
            for item in items
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"{folder / EXAMPLES}: missing or broken; run python -m space again") from error
    return {item.query: item for item in found}

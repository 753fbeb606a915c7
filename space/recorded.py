"""Keeps what the evaluation recorded of every measured query, and chooses examples from it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from builders.artifacts.records import read_record
from builders.errors import KitError


QUERIES = "queries.json"
PLAIN, BASE = "plain", "base"
# Differences of nDCG@10 below this are rounding.
SAME = 1e-9
# How deep rankings are looked at; what stands deeper has no rank.
DEPTH = 100
# By so many ranks the page looked for rises at least in the example that the app opens with.
RISE = 2
# What a text of code has and prose has not.
_CODE = re.compile(r"[`{}\[\]=;]|>>>|\w\(|\b(?:import|def|return) ")

Kind = Literal["helped", "hurt", "unchanged"]


@dataclass(frozen=True)
class Answer:
    """One recorded expansion, its nDCG@10, and the rank of the best page judged relevant (`None`: not in 100)."""

    text: str
    tokens: int
    ndcg_at_10: float
    rank: int | None


@dataclass(frozen=True)
class Recorded:
    """A measured query: system → answer, `plain` among them; `seen`: whether training saw the page looked for."""

    query_id: str
    query: str
    seen: bool | None
    answers: Mapping[str, Answer]

    def delta(self, system: str) -> float:
        """What a system's expansion changed of nDCG@10."""
        return self.answers[system].ndcg_at_10 - self.answers[PLAIN].ndcg_at_10

    def kind(self, system: str) -> Kind:
        """Whether a system's expansion helped."""
        delta = self.delta(system)
        return "helped" if delta > SAME else "hurt" if delta < -SAME else "unchanged"

    def opens(self, system: str) -> bool:
        """Whether it shows at a glance what an expansion is for: the page rises, by words that are the student's."""
        plain, answer, base = self.answers[PLAIN], self.answers[system], self.answers.get(BASE)
        others = base is not None and system != BASE and base.text == answer.text
        return (
            answer.rank is not None
            and (plain.rank or DEPTH + 1) - answer.rank >= RISE
            and not others
            and not _CODE.search(answer.text)
        )


def measured_queries(rows: Iterable[Mapping[str, Any]], retriever: str) -> list[Recorded]:
    """What `per_query.parquet` holds of one retriever, a query each, in the order of their ids.

    Args:
        rows (`Iterable[Mapping]`):
            Its rows.
        retriever (`str`):
            As the results call it; rows of others are passed over.
    """
    asked: dict[str, tuple[Mapping[str, Any], dict[str, Answer]]] = {}
    for row in rows:
        if row.get("retriever", retriever) == retriever:
            name = row["system"].removesuffix(f"/{retriever}")
            first, answers = asked.setdefault(row["query_id"], (row, {}))
            rank = row.get("gold_rank")
            found = rank if rank is not None and rank <= DEPTH else None
            answers[name] = Answer(row["expansion"], row["completion_tokens"], row["ndcg_at_10"], found)
    return [
        Recorded(name, " ".join(row["query"].split()), row.get("gold_seen"), answers)
        for name, (row, answers) in sorted(asked.items())
        if PLAIN in answers
    ]


def examples(recorded: Sequence[Recorded], system: str) -> list[Recorded]:
    """Two queries that were helped, two that were hurt, one that was left as it was: no flattering picture.

    The first is what the app opens with: of those that meet [`Recorded.opens`] the one whose page rises most towards
    the top, else the largest gain.
    """
    known = [item for item in recorded if system in item.answers]
    by_gain = sorted(known, key=lambda item: (-abs(item.delta(system)), item.query_id))
    kinds = {kind: [item for item in by_gain if item.kind(system) == kind] for kind in ("helped", "hurt", "unchanged")}
    opening = [item for item in known if item.opens(system)]
    first = sorted(opening, key=lambda item: (item.answers[system].rank or DEPTH, item.query_id))[:1]
    helped = first + [item for item in kinds["helped"] if item not in first]
    return [*helped[:2], *kinds["hurt"][:2], *kinds["unchanged"][:1]]


def to_json(recorded: Iterable[Recorded]) -> str:
    """The content of `queries.json`."""
    return json.dumps([asdict(item) for item in recorded], indent=1, ensure_ascii=False) + "\n"


def read_recorded(folder: Path) -> dict[str, Recorded]:
    """Read `queries.json`: query text → what was recorded.

    Raises:
        KitError: the file is missing or broken.
    """
    try:
        found = [
            Recorded(**{**item, "answers": {name: Answer(**answer) for name, answer in item["answers"].items()}})
            for item in read_record(folder / QUERIES)
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"{folder / QUERIES}: missing or broken; run python -m space again") from error
    return {item.query: item for item in found}

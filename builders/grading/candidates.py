"""Grade every expansion of every query: rows of config `raw`, and what `build.json` records of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from builders.artifacts.dataset_folder import Rows
from builders.collections.collection import Query
from builders.expanders.expander import Identity
from builders.expanders.generations import Answer, answer_columns
from builders.grading.grader import DEPTH, Grade, Grader
from builders.measures.diversity import mean_pairwise_cosine
from builders.prompts.prompt import Prompt
from builders.prompts.script import segments


def graded_candidates(
    queries: Sequence[Query],
    prompts: Sequence[Prompt],
    answers: Mapping[tuple[str, str], Sequence[Answer]],
    grader: Grader,
    identities: Mapping[str, Identity],
    shown: Mapping[str, str],
) -> Rows:
    """Grade all answers.

    Args:
        answers (`Mapping`):
            (Prompt id, query id) → answers.
        identities (`Mapping`):
            Prompt id → who answered it.
        shown (`Mapping`):
            Query id → what the student's prompt shows of the collection.

    Returns:
        Rows of config `raw`: queries in their order, then prompts, then samples.
    """
    plain = dict(zip((q.id for q in queries), grader.plain([q.id for q in queries]), strict=True))
    flat = [
        (query, prompt, number, answer)
        for query in queries
        for prompt in prompts
        for number, answer in enumerate(answers[prompt.id, query.id])
    ]
    grades = grader.expanded([(query.id, answer.expansion.text) for query, _, _, answer in flat])
    return [
        _raw_row(query, prompt, number, answer, identities[prompt.id], shown[query.id])
        | _grade_columns(grade, plain[query.id], grader)
        for (query, prompt, number, answer), grade in zip(flat, grades, strict=True)
    ]


def regraded_candidates(raw: Rows, grader: Grader) -> Rows:
    """The same candidates, graded by another retriever or with another query formulation; the rest stays."""
    ids = list(dict.fromkeys(row["query_id"] for row in raw))
    plain = dict(zip(ids, grader.plain(ids), strict=True))
    grades = grader.expanded([(row["query_id"], row["candidate"]) for row in raw])
    return [
        row | _grade_columns(grade, plain[row["query_id"]], grader) for row, grade in zip(raw, grades, strict=True)
    ]


def _raw_row(
    query: Query, prompt: Prompt, number: int, answer: Answer, identity: Identity, shown: str
) -> dict[str, Any]:
    expansion = answer.expansion
    return {
        "query_id": query.id,
        "query": query.text,
        "candidate_id": f"{query.id}#{prompt.id}#{number}",
        "candidate": expansion.text,
        "grounding": shown,
        "condition": prompt.condition,
        **answer_columns(prompt, identity, answer, sample=number),
        "check": prompt.check.reason(expansion.text, query.text, expansion.finish_reason) or "ok",
    }


def _grade_columns(grade: Grade, plain: Grade, grader: Grader) -> dict[str, Any]:
    return {
        "retriever": grader.retriever.name,
        "formation": grader.formation.name,
        "ndcg_at_10": grade.ndcg_at_10,
        "reciprocal_rank": grade.reciprocal_rank,
        "gold_rank": grade.gold_rank,
        "plain_ndcg_at_10": plain.ndcg_at_10,
        "plain_reciprocal_rank": plain.reciprocal_rank,
        "plain_gold_rank": plain.gold_rank,
    }


def summary(raw: Rows) -> dict[str, Any]:
    """Counts and means over rows of config `raw`, for `build.json`, the card and the terminal."""
    by_query: dict[str, list[float]] = {}
    for row in raw:
        if row["check"] == "ok":
            by_query.setdefault(row["query_id"], []).append(row["ndcg_at_10"])
    plain = {row["query_id"]: row["plain_ndcg_at_10"] for row in raw}

    def share(rows: Iterable[bool]) -> float:
        values = list(rows)
        return round(sum(values) / len(values), 4) if values else 0.0

    return {
        "queries": len(plain),
        "candidates": len(raw),
        "checks": dict(sorted(Counter(row["check"] for row in raw).items())),
        "mean_plain_ndcg_at_10": round(mean(plain.values()), 4),
        "mean_ndcg_at_10": {
            condition: round(mean(row["ndcg_at_10"] for row in raw if row["condition"] == condition), 4)
            for condition in sorted({row["condition"] for row in raw})
        },
        # A query whose candidates all failed the check is searched as it is.
        "mean_best_ndcg_at_10": round(mean(max(by_query.get(q, [plain[q]])) for q in plain), 4),
        **({"queries_without_candidate": without} if (without := len(plain) - len(by_query)) else {}),
        "candidates_helping": share(row["ndcg_at_10"] > row["plain_ndcg_at_10"] for row in raw),
        "candidates_hurting": share(row["ndcg_at_10"] < row["plain_ndcg_at_10"] for row in raw),
        "mean_pairwise_cosine": _similarity_by_prompt(raw),
    }


def grading_record(
    grader: Grader,
    select: str,
    raw: Mapping[str, Rows],
    distillation: Mapping[str, Rows],
    stripped: Mapping[str, int],
) -> dict[str, Any]:
    """What `build.json` says of graded candidates and of the rows to imitate; both come by split.

    `stripped` counts what was taken out of the answers, where something was.
    """
    rows = [row for some in raw.values() for row in some]
    return {
        "retriever": grader.retriever.name,
        "formation": grader.formation.name,
        "grading_depth": DEPTH,
        "select": select,
        "yield": {
            **summary(rows),
            **({"stripped": dict(stripped)} if stripped else {}),
            "distillation_rows": sum(map(len, distillation.values())),
        },
    }


def grading_report(folder: Path, counts: Mapping[str, Any]) -> list[str]:
    """What the person at the terminal is told of a build's candidates, from `yield` in its `build.json`."""
    checks = f"checks {counts['checks']}"
    checks += "".join(f", {kind} taken out of {number}" for kind, number in counts.get("stripped", {}).items())
    return [
        f"{folder}: {counts['queries']} queries, {counts['candidates']} candidates, {checks}",
        f"  nDCG@10: plain {counts['mean_plain_ndcg_at_10']}, candidates {counts['mean_ndcg_at_10']}, "
        f"best of each query {counts['mean_best_ndcg_at_10']}"
        + (
            f" (plain for {without} without a valid one)"
            if (without := counts.get("queries_without_candidate"))
            else ""
        )
        + f"; {counts['distillation_rows']} rows to imitate",
    ]


def candidate_similarity(candidates: Iterable[Sequence[str]]) -> float | None:
    """How alike the candidates of a query are: the mean of `mean_pairwise_cosine` of their words, over the queries.

    Queries with a single candidate say nothing; `None` where no query has two.

    Args:
        candidates (`Iterable[Sequence[str]]`):
            The texts of the candidates of each query.
    """
    cosines = (mean_pairwise_cosine([segments(text) for text in texts]) for texts in candidates)
    told = [cosine for cosine in cosines if cosine is not None]
    return mean(told) if told else None


def _similarity_by_prompt(raw: Rows) -> float | None:
    """Of the candidates that one prompt got for one query: two prompts are meant to give different ones."""
    texts: dict[tuple[str, str], list[str]] = {}
    for row in raw:
        texts.setdefault((row["query_id"], row["prompt_id"]), []).append(row["candidate"])
    cosine = candidate_similarity(texts.values())
    return None if cosine is None else round(cosine, 4)

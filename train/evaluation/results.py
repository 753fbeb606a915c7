"""The results: one table of systems, the rows behind it, and a picture."""

import json
import os
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_write
from builders.artifacts.provenance import code_version, versions
from builders.cli import say
from builders.collections.collection import Query, collection_provenance
from builders.grading.comparison import (
    PLAIN,
    Row,
    correct,
    difference_row,
    differences,
    parquet_bytes,
    query_row,
    system_row,
)
from builders.grading.grader import DEPTH, Grader
from builders.measures.leakage import LENGTH
from builders.measures.ratio import ratio
from builders.prompts.prompt import Prompt
from train.evaluation.leakage import Audit, Audited
from train.evaluation.systems import System
from train.reports.plot import delta_plot
from train.reports.results_table import markdown_table


FILES = ("results.json", "results.md", "per_query.parquet", "ndcg_delta.png")
# Settings that once were: they say nothing about the rows that are still made.
RETIRED = ("guard", "num_validation")
# Among what is missing: pyserini's matcher decides which passages hold an answer.
ANSWERS = "top-k accuracy"


@dataclass(frozen=True)
class Evaluation:
    """All that was asked and found.

    Args:
        settings (`Mapping`):
            What decides the results.
        grader ([`Grader`]), queries (`Sequence[Query]`), prompt ([`Prompt`]):
            What was asked.
        systems (`Sequence[System]`):
            In table order, `plain` first.
        references (`Sequence[str]`):
            Systems that all others are compared with, beside `plain`.
        teacher (`str`, *optional*):
            The system that retention and gain captured refer to.
        missing (`Mapping[str, str]`):
            What could not be measured here → how to install it.
        facts (`Mapping`):
            Further parts of `results.json`.
        seed (`int`):
            Of tests and intervals.
    """

    settings: Mapping[str, Any]
    grader: Grader
    queries: Sequence[Query]
    prompt: Prompt
    systems: Sequence[System]
    references: Sequence[str]
    teacher: str | None
    missing: Mapping[str, str]
    seed: int
    facts: Mapping[str, Any] = field(default_factory=dict)


def results_are_current(folder: Path, settings: dict[str, Any], files: Sequence[str] = FILES) -> bool:
    """Whether all files are there, the first of which says that they were made with exactly these settings."""
    try:
        results = json.loads((folder / files[0]).read_text())
    except (OSError, ValueError):
        return False
    made_with = {name: value for name, value in results.get("settings", {}).items() if name not in RETIRED}
    same = made_with == json.loads(json.dumps(settings))
    return same and all((folder / name).is_file() for name in files)


def write_results(folder: Path, evaluation: Evaluation) -> None:
    """Measure, and write the files; `results.json` last, so that it stands for all of them."""
    systems, collection = evaluation.systems, evaluation.grader.collection
    with_answers = any(collection.answers.get(query.id) for query in evaluation.queries)
    audit = Audit(
        collection,
        evaluation.grader.retriever,
        evaluation.queries,
        systems,
        with_answers and ANSWERS not in evaluation.missing,
    )
    audited = {system.name: audit.audited(system) for system in systems}
    rows = [row for system in systems for row in _query_rows(evaluation, system, audit, audited[system.name])]
    results = {
        "systems": _system_rows(evaluation, audit, audited, rows),
        "reference_teacher": evaluation.teacher,
        "missing": dict(evaluation.missing),
        "correction": {"method": "Holm", "tests": len(systems) - 1},
        **evaluation.facts,
        "copied_terms": LENGTH,
        "settings": dict(evaluation.settings),
        "command": f"accelerate launch train/evaluate.py {shlex.join(sys.argv[1:])}",
        "code_version": code_version(),
        "versions": versions(),
        "seed": evaluation.seed,
        "collection": collection_provenance(collection),
        "retriever": evaluation.grader.retriever.name,
        "formation": evaluation.grader.formation.name,
        "depth": DEPTH,
        "prompt": {
            "id": evaluation.prompt.id,
            "version": evaluation.prompt.version,
            "sha256": evaluation.prompt.sha256,
        },
        "decoding": {"greedy": True, "max_new_tokens": evaluation.settings["max_new_tokens"]},
        "hardware": hardware(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    table = markdown_table(results)
    atomic_write(folder / "per_query.parquet", parquet_bytes(rows))
    _write_plot(folder / "ndcg_delta.png", rows)
    atomic_write(folder / "results.md", table.encode())
    # In table order, not sorted: readers show the systems as they stand here.
    atomic_write(folder / "results.json", (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
    say(table)


def hardware() -> str:
    """Where students wrote: on the GPU, if there is one."""
    import torch

    cores = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return f"{torch.cuda.get_device_name()}, {cores}" if torch.cuda.is_available() else cores


def _system_rows(
    evaluation: Evaluation, audit: Audit, audited: Mapping[str, Audited], rows: Sequence[Row]
) -> dict[str, Row]:
    plain, seed = evaluation.systems[0], evaluation.seed
    by_name = {system.name: system for system in evaluation.systems}
    found: dict[str, Row] = {}
    for system in evaluation.systems:
        row = system_row(system.grades, plain.grades, seed)
        row |= {"search_ms_per_query": round(system.search_ms, 2), **system.facts}
        if system.writing is not None:
            checks = Counter(one["check"] for one in rows if one["system"] == system.name)
            row |= {**system.writing.facts, "checks": dict(sorted(checks.items()))}
        row |= audit.row(system, plain, audited[system.name], seed)
        if evaluation.teacher is not None and system.name != evaluation.teacher:
            row |= _beside_teacher(system, plain, by_name[evaluation.teacher], seed)
        found[system.name] = row
    correct([row for name, row in found.items() if name != PLAIN])
    for reference in evaluation.references:
        against = {}
        for system in evaluation.systems:
            if system.name not in (PLAIN, reference):
                deltas = differences(system.grades, by_name[reference].grades)
                against[system.name] = difference_row(deltas, seed)
        correct(list(against.values()))
        for name, row in against.items():
            found[name].setdefault("against", {})[reference] = row
    return found


def _beside_teacher(system: System, plain: System, teacher: System, seed: int) -> Row:
    """Retention (system / teacher) and gain captured ((system − plain) / (teacher − plain)) of nDCG@10."""
    kept = ratio([grade.ndcg_at_10 for grade in system.grades], [grade.ndcg_at_10 for grade in teacher.grades], seed)
    gain = ratio(differences(system.grades, plain.grades), differences(teacher.grades, plain.grades), seed)
    return {
        "retention": kept.value,
        "retention_ci95": kept.interval and list(kept.interval),
        "gain_captured": gain.value,
        "gain_captured_ci95": gain.interval and list(gain.interval),
    }


def _query_rows(evaluation: Evaluation, system: System, audit: Audit, audited: Audited) -> list[Row]:
    """The rows of one system; every row of a file has the same columns."""
    writing, plain, rows = system.writing, evaluation.systems[0], []
    for number, query in enumerate(evaluation.queries):
        expansion = writing.expansions[number] if writing else None
        reason = (
            evaluation.prompt.check.reason(expansion.text, query.text, expansion.finish_reason) if expansion else ""
        )
        more: Row = {"gold_seen": audit.gold_seen[number]}
        if audited.answer_ranks is not None:
            more["answer_rank"] = audited.answer_ranks[number]
        rows.append(
            query_row(
                system.name,
                query,
                expansion.text if expansion else "",
                system.grades[number],
                plain.grades[number],
                completion_tokens=writing.tokens[number] if writing else 0,
                check=reason or "ok",
                new_terms=audited.new_terms[number][0],
                copies_gold=audited.copies[number],
                **more,
            )
        )
    return rows


def _write_plot(path: Path, rows: list[Row]) -> None:
    deltas: dict[str, list[float]] = {}
    for row in rows:
        if row["system"] != PLAIN:
            deltas.setdefault(row["system"], []).append(row["delta_ndcg_at_10"])
    atomic_write(path, delta_plot(deltas))

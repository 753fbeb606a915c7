"""Writes the results of an evaluation or a matrix: JSON, tables, the queries behind them, and a picture."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_write
from builders.artifacts.provenance import cores, made_by, same_settings
from builders.artifacts.records import read_record
from builders.cli import say
from builders.collections.collection import collection_provenance
from builders.grading.comparison import Row, parquet_bytes
from builders.grading.grader import DEPTH
from builders.measures.leakage import LENGTH
from builders.plots.delta_plot import delta_plot
from builders.plots.grid_plot import interval_plot
from train.evaluation.comparison_rows import query_rows, result_rows
from train.evaluation.evaluation_arguments import GenerationArguments
from train.evaluation.evaluation_plan import Plan, make_matrix_plan, make_plan
from train.evaluation.leakage_audit import Audited
from train.evaluation.result_files import FILES, WORK
from train.reports.matrix_table import matrix_table, short_grid_table
from train.reports.results_table import markdown_table, short_table


# Settings that once were: they say nothing about the rows that are still made.
RETIRED = ("guard", "num_validation")


@dataclass(frozen=True)
class Output:
    """What a command writes.

    Args:
        command (`str`):
            Its script.
        plan (`Callable`):
            Looks up the settings.
        files (`Sequence[str]`):
            JSON, which stands for all of them, Markdown, the queries behind them, and the picture.
        work (`str`):
            The folder that keeps answers.
        table (`Callable`), first_table (`Callable`):
            Results → Markdown: all tables, and what a reader in a hurry needs.
        picture (`Callable`):
            Results and the rows of the queries → PNG.
    """

    command: str
    plan: Callable[[Any], Plan]
    files: Sequence[str]
    work: str
    table: Callable[[Mapping[str, Any]], str]
    first_table: Callable[[Mapping[str, Any]], str]
    picture: Callable[[Mapping[str, Any], Sequence[Row]], bytes]


EVALUATION = Output(
    "train/evaluate.py",
    make_plan,
    FILES,
    WORK,
    markdown_table,
    short_table,
    delta_plot,
)
MATRIX = Output(
    "train/matrix.py",
    make_matrix_plan,
    ("matrix.json", "matrix.md", "per_query.parquet", "matrix.png"),
    "matrix.work",
    matrix_table,
    short_grid_table,
    interval_plot,
)


def results_are_current(folder: Path, settings: Mapping[str, Any], files: Sequence[str] = EVALUATION.files) -> bool:
    """Whether all files are there, the first of which says that they were made with exactly these settings."""
    try:
        results = read_record(folder / files[0])
    except (OSError, ValueError):
        return False
    made_with = {name: value for name, value in results.get("settings", {}).items() if name not in RETIRED}
    return same_settings(made_with, settings) and all((folder / name).is_file() for name in files)


def write_results(
    folder: Path,
    plan: Plan,
    output: Output,
    measured: Sequence[Audited],
    facts: Mapping[str, Any],
    generation_seconds: float,
    started: float,
) -> None:
    """Compare all systems, and write the files; the JSON last, so that it stands for all of them.

    Args:
        folder (`Path`), output ([`Output`]):
            Where to, and what.
        plan ([`Plan`]):
            What was asked.
        measured (`Sequence[Audited]`):
            All systems, in table order.
        facts (`Mapping`):
            Further parts of the results.
        generation_seconds (`float`), started (`float`):
            What generation took, and when the search began.
    """
    args, queries = plan.args, query_rows(plan, measured)
    systems = [one.system for one in measured]
    baselines = {
        one.retriever: {"spec": one.retriever, "name": one.searched_by, "formation": None}
        for one in systems
        if one.retriever not in plan.retrievers
    }
    results = {
        "rows": result_rows(plan, measured),
        "retrievers": {**plan.retrievers, **baselines},
        "reference": plan.reference,
        "against": list(plan.against),
        "correction": {"method": "Holm", "tests": len(systems) - 1},
        "shown": plan.shown,
        "reference_teacher": plan.teachers[0].name if plan.teachers else None,
        "missing": plan.missing,
        **facts,
        "split": args.split,
        "queries": len(plan.queries),
        "copied_terms": LENGTH,
        "settings": plan.settings,
        **made_by(f"accelerate launch {output.command}", 1),
        "seed": args.seed,
        "collection": collection_provenance(plan.collection),
        "depth": DEPTH,
        "prompt": {"id": plan.prompt.id, "version": plan.prompt.version, "sha256": plan.prompt.sha256},
        "decoding": decoding_record(args),
        "hardware": hardware(),
        "timing": {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "generation_seconds": round(generation_seconds, 1),
            "searching_and_testing_seconds": round(time.time() - started, 1),
        },
    }
    table = output.table(results)
    folder.mkdir(parents=True, exist_ok=True)
    # In table order, not sorted: readers show the systems as they stand here.
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    contents = (text.encode(), table.encode(), parquet_bytes(queries), output.picture(results, queries))
    for name, content in reversed(list(zip(output.files, contents, strict=True))):
        atomic_write(folder / name, content)
    say(table)
    say(f"{folder}: {len(systems)} systems measured on {len(plan.queries)} queries")


def decoding_record(args: GenerationArguments) -> dict[str, Any]:
    """How students wrote: greedily, or several expansions that were searched together."""
    if args.samples == 1:
        return {"greedy": True, "max_new_tokens": args.max_new_tokens}
    drawn = {name: getattr(args, name) for name in ("samples", "temperature", "top_k", "max_new_tokens")}
    return {"greedy": False, **drawn}


def hardware() -> str:
    """Where students wrote: on the GPU, if there is one."""
    import torch

    return f"{torch.cuda.get_device_name()}, {cores()}" if torch.cuda.is_available() else cores()

"""The results of a matrix: a row a cell, the queries behind it, and a picture."""

import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_write
from builders.artifacts.provenance import code_version, versions
from builders.cli import say
from builders.collections.collection import collection_provenance
from builders.grading.comparison import Row, differences, parquet_bytes, query_row
from builders.grading.grader import DEPTH
from builders.measures.leakage import LENGTH
from train.evaluation.generation import Generation
from train.evaluation.grid import NONE, Cell, cell_rows, searched_cells
from train.evaluation.grid_plan import MatrixPlan
from train.evaluation.leakage import Audit
from train.evaluation.results import hardware
from train.evaluation.systems import Writing, shown_writing, student_writing
from train.reports.matrix_table import matrix_table
from train.reports.plot import interval_plot


# The first stands for all of them.
FILES = ("matrix.json", "matrix.md", "per_query.parquet", "matrix.png")


def write_matrix(folder: Path, plan: MatrixPlan, generations: Mapping[str, Generation]) -> None:
    """Search with all that was written, measure, and write the files.

    Args:
        folder (`Path`):
            Where to.
        plan ([`MatrixPlan`]):
            What was asked.
        generations (`Mapping`):
            Expander → what it wrote.
    """
    started = time.time()
    asked = plan.asked
    prompts = [[message["content"] for message in request.messages] for request in asked.requests(asked.queries)]
    students = {name: student_writing(asked.queries, one, prompts) for name, one in generations.items()}
    writings = dict(students)
    if asked.shown:  # What the prompt gives away, searched without a model's choosing from it.
        writings = {asked.shown: shown_writing(asked.queries, asked.shown_texts(asked.queries)), **students}
    cells: list[Cell] = []
    audits: dict[str, Row] = {}
    more: dict[str, list[Row]] = {}
    for searcher in plan.searchers:
        say(f"searching: {searcher.name}")
        # One after the other, so that each has the memory for itself.
        grader = searcher.grader(asked.collection)
        found = searched_cells(searcher.name, grader, asked.queries, writings)
        audit = Audit(asked.collection, grader.retriever, asked.queries, [cell.system for cell in found], False)
        for cell in found:
            audited = audit.audited(cell.system)
            audits[cell.name] = audit.row(cell.system, found[0].system, audited, asked.args.seed)
            pairs = zip(audit.gold_seen, audited.copies, strict=True)
            more[cell.name] = [{"gold_seen": seen, "copies_gold": copied} for seen, copied in pairs]
        cells += found
    rows = [
        {**row, **audits[cell.name]}
        for cell, row in zip(cells, cell_rows(cells, plan.reference, plan.args.against, asked.args.seed), strict=True)
    ]
    results = {
        "rows": rows,
        "reference": plan.reference,
        "against": plan.args.against,
        "correction": {"method": "Holm", "tests": len(cells) - 1},
        "expanders": {NONE: None, **plan.settings["expanders"]},
        "shown": asked.shown,
        "writing": {name: _writing_row(plan, writing) for name, writing in students.items()},
        "retrievers": plan.settings["retrievers"],
        "split": asked.args.split,
        "queries": len(asked.queries),
        "copied_terms": LENGTH,
        "settings": plan.settings,
        "command": f"accelerate launch train/matrix.py {shlex.join(sys.argv[1:])}",
        "code_version": code_version(),
        "versions": versions(),
        "seed": asked.args.seed,
        "collection": collection_provenance(asked.collection),
        "depth": DEPTH,
        "prompt": {"id": asked.prompt.id, "version": asked.prompt.version, "sha256": asked.prompt.sha256},
        "decoding": {"greedy": True, "max_new_tokens": asked.args.max_new_tokens},
        "hardware": hardware(),
        "timing": {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "generation_seconds": round(sum(cost.seconds for one in generations.values() for cost in one.costs), 1),
            "searching_and_testing_seconds": round(time.time() - started, 1),
        },
    }
    table = matrix_table(results)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "per_query.parquet", parquet_bytes(_query_rows(plan, cells, more)))
    atomic_write(folder / "matrix.png", interval_plot(rows, plan.reference))
    atomic_write(folder / "matrix.md", table.encode())
    # In table order, not sorted: readers show the cells as they stand here.
    atomic_write(folder / FILES[0], (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
    say(table)


def _writing_row(plan: MatrixPlan, writing: Writing) -> Row:
    """What an expander's answers cost, whatever searches them, and how many are as the prompt wants them."""
    facts: dict[str, Any] = {name: value for name, value in writing.facts.items() if name != "identity"}
    return {**facts, "checks": dict(sorted(Counter(_checks(plan, writing)).items()))}


def _checks(plan: MatrixPlan, writing: Writing) -> list[str]:
    check = plan.asked.prompt.check
    pairs = zip(plan.asked.queries, writing.expansions, strict=True)
    return [check.reason(one.text, query.text, one.finish_reason) or "ok" for query, one in pairs]


def _query_rows(plan: MatrixPlan, cells: Sequence[Cell], more: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The rows of `per_query.parquet`; differences are those to the reference, `_own` those to the same retriever."""
    by_name = {cell.name: cell for cell in cells}
    reference, rows = by_name[plan.reference].system.grades, []
    for cell in cells:
        writing = cell.system.writing
        checks = _checks(plan, writing) if writing else ["ok"] * len(plan.asked.queries)
        own = differences(cell.system.grades, by_name[f"{NONE}/{cell.retriever}"].system.grades)
        for number, query in enumerate(plan.asked.queries):
            rows.append(
                query_row(
                    cell.name,
                    query,
                    writing.expansions[number].text if writing else "",
                    cell.system.grades[number],
                    reference[number],
                    expander=cell.expander,
                    retriever=cell.retriever,
                    completion_tokens=writing.tokens[number] if writing else 0,
                    check=checks[number],
                    **more[cell.name][number],
                    delta_own=own[number],
                )
            )
    return rows

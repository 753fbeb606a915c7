"""The results: one table of systems, the rows behind it, and a picture."""

import json
import os
import platform
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from builders.cache import atomic_write
from builders.collections.collection import Query
from builders.command import say
from builders.comparison import PLAIN, legend, parquet_bytes, query_row, subject, system_row, table_lines
from builders.expanders.expander import Expansion, Identity
from builders.grading import DEPTH, Grade, Grader
from builders.prompts.prompt import Prompt
from builders.provenance import code_version, collection_provenance, versions
from train.cost import Cost


FILES = ("results.json", "results.md", "per_query.parquet", "ndcg_delta.png")
# The plain query costs nothing to write.
COST_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "tokens / query": lambda row: f"{row['tokens_per_query']:.1f}" if "tokens_per_query" in row else "0",
    "ms / query": lambda row: f"{row['ms_per_query']:.0f}" if "ms_per_query" in row else "0",
    "peak MiB": lambda row: f"{row['peak_memory_mib']:.0f}" if "peak_memory_mib" in row else "",
}


@dataclass(frozen=True)
class Generation:
    """What one system wrote: who it is, query id → expansion, and the cost in each process."""

    identity: Identity
    expansions: Mapping[str, Expansion]
    costs: Sequence[Cost]


def results_are_current(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether all four files are there, made with exactly these settings."""
    try:
        results = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError):
        return False
    same = results.get("settings") == json.loads(json.dumps(settings))
    return same and all((folder / name).is_file() for name in FILES)


def write_results(
    folder: Path,
    settings: dict[str, Any],
    grader: Grader,
    queries: Sequence[Query],
    generations: Mapping[str, Generation],
    prompt: Prompt,
    seed: int,
) -> None:
    """Search, measure, and write the four files; `results.json` last, so that it stands for all of them."""
    ids = [query.id for query in queries]
    started = time.perf_counter()
    plain = grader.plain(ids)
    search_ms = 1000 * (time.perf_counter() - started) / len(ids)
    systems = {PLAIN: system_row(plain, plain, seed) | {"search_ms_per_query": round(search_ms, 2)}}
    rows = _rows(PLAIN, queries, plain, plain, None, prompt)
    for name, generation in generations.items():
        started = time.perf_counter()
        grades = grader.expanded([(query_id, generation.expansions[query_id].text) for query_id in ids])
        search_ms = 1000 * (time.perf_counter() - started) / len(ids)
        system_rows = _rows(name, queries, grades, plain, generation, prompt)
        systems[name] = (
            system_row(grades, plain, seed)
            | _cost(generation)
            | {
                "search_ms_per_query": round(search_ms, 2),
                "checks": dict(sorted(Counter(row["check"] for row in system_rows).items())),
                "identity": asdict(generation.identity),
            }
        )
        rows += system_rows
    results = {
        "systems": systems,
        "settings": settings,
        "command": f"accelerate launch train/evaluate.py {shlex.join(sys.argv[1:])}",
        "code_version": code_version(),
        "versions": versions(),
        "seed": seed,
        "collection": collection_provenance(grader.collection),
        "retriever": grader.retriever.name,
        "formation": grader.formation.name,
        "depth": DEPTH,
        "prompt": {"id": prompt.id, "version": prompt.version, "sha256": prompt.sha256},
        "decoding": {"greedy": True, "max_new_tokens": settings["max_new_tokens"]},
        "hardware": f"{os.cpu_count()} CPU cores ({platform.machine()})",
    }
    folder.mkdir(parents=True, exist_ok=True)
    table = markdown_table(results)
    atomic_write(folder / "per_query.parquet", parquet_bytes(rows))
    _write_plot(folder / "ndcg_delta.png", rows)
    atomic_write(folder / "results.md", table.encode())
    # In table order, not sorted: readers show the systems as they stand here.
    atomic_write(folder / "results.json", (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
    say(table)


def _cost(generation: Generation) -> dict[str, Any]:
    seconds, queries = sum(c.seconds for c in generation.costs), sum(c.queries for c in generation.costs)
    written = list(generation.expansions.values())
    return {
        "tokens_per_query": mean(expansion.completion_tokens for expansion in written),
        "prompt_tokens_per_query": mean(expansion.prompt_tokens for expansion in written),
        "ms_per_query": 1000 * seconds / queries,
        "peak_memory_mib": max(cost.peak_mib for cost in generation.costs),
    }


def _rows(
    system: str,
    queries: Sequence[Query],
    grades: Sequence[Grade],
    plain: Sequence[Grade],
    generation: Generation | None,
    prompt: Prompt,
) -> list[dict[str, Any]]:
    rows = []
    for query, grade, base in zip(queries, grades, plain, strict=True):
        expansion = generation.expansions[query.id] if generation else None
        reason = prompt.check.reason(expansion.text, query.text, expansion.finish_reason) if expansion else None
        tokens = expansion.completion_tokens if expansion else 0
        text = expansion.text if expansion else ""
        rows.append(query_row(system, query, text, grade, base, completion_tokens=tokens, check=reason or "ok"))
    return rows


def markdown_table(results: dict[str, Any]) -> str:
    """The table of `results.md`, from the content of `results.json` alone."""
    lines = [
        f"{subject(results)}, greedy, at most {results['decoding']['max_new_tokens']} tokens; {results['hardware']}.",
        "",
        *table_lines(results["systems"], COST_COLUMNS),
        "",
        f"{legend()} ms / query: writing the expansion, {results['settings']['block']} queries at a time; searching "
        "comes on top.",
        "",
    ]
    return "\n".join(lines)


def _write_plot(path: Path, rows: list[dict[str, Any]]) -> None:
    from train.plot import delta_plot

    deltas: dict[str, list[float]] = {}
    for row in rows:
        if row["system"] != PLAIN:
            deltas.setdefault(row["system"], []).append(row["delta_ndcg_at_10"])
    atomic_write(path, delta_plot(deltas))

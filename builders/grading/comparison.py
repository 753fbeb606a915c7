"""Compare systems on the same queries: rows of `results.json`, and the tables that people read."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import mean
from typing import Any

from builders.artifacts.markdown import code, table, text
from builders.collections.assembly import POOLED
from builders.collections.collection import Query
from builders.grading.grader import Grade
from builders.measures.significance import significance
from builders.prompts.output_check import is_silent
from builders.prompts.script import segments


PLAIN = "plain"
# Differences of nDCG@10 below this are rounding.
SAME = 1e-9
# Titles of the columns of `silence_row`, and their keys.
SILENCE = {"no new word": "silent", "echoes": "echoes"}

Row = dict[str, Any]


def system_row(grades: Sequence[Grade], plain: Sequence[Grade], seed: int) -> Row:
    """One system's entry under `systems`: means of the measures, and what it did to the queries.

    Args:
        grades (`Sequence`), plain (`Sequence`):
            Grades of the system and of what it is compared with, for the same queries in the same order.
        seed (`int`):
            Of the significance test.
    """
    deltas = differences(grades, plain)
    return {
        "queries": len(grades),
        "ndcg_at_10": mean(grade.ndcg_at_10 for grade in grades),
        "mrr_at_10": mean(grade.mrr_at_10 for grade in grades),
        "recall_at_100": mean(grade.recall_at_100 for grade in grades),
        "helped": sum(delta > SAME for delta in deltas) / len(deltas),
        "hurt": sum(delta < -SAME for delta in deltas) / len(deltas),
        "unchanged": sum(abs(delta) <= SAME for delta in deltas) / len(deltas),
        **difference_row(deltas, seed),
    }


def silence_row(queries: Iterable[Query], expansions: Iterable[str]) -> Row:
    """Shares of expansions without a word beyond their query: `echoes` repeat it, `silent` counts empty ones too."""
    pairs = list(zip(queries, expansions, strict=True))
    silent = [text for query, text in pairs if is_silent(text, query.text)]
    return {"silent": len(silent) / len(pairs), "echoes": sum(map(bool, map(segments, silent))) / len(pairs)}


def differences(grades: Sequence[Grade], base: Sequence[Grade]) -> list[float]:
    """nDCG@10 of each query less what it is compared with."""
    return [grade.ndcg_at_10 - other.ndcg_at_10 for grade, other in zip(grades, base, strict=True)]


def difference_row(deltas: Sequence[float], seed: int) -> Row:
    """A mean difference of nDCG@10, its 95 % interval, and the p-value of the paired randomisation test."""
    test = significance(deltas, seed)
    return {"delta_ndcg_at_10": mean(deltas), "delta_ci95": [test.low, test.high], "p_value": test.p_value}


def query_row(system: str, query: Query, expansion: str, grade: Grade, plain: Grade, **more: Any) -> Row:
    """One query under one system: the row of `per_query.parquet`."""
    return {
        "system": system,
        "query_id": query.id,
        "query": query.text,
        "expansion": expansion,
        **more,
        **asdict(grade),
        "delta_ndcg_at_10": grade.ndcg_at_10 - plain.ndcg_at_10,
    }


def parquet_bytes(rows: Sequence[Row]) -> bytes:
    """A Parquet file of per-query rows."""
    import pyarrow
    import pyarrow.parquet as parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def subject(results: Row) -> str:
    """What was measured, as the first words of a sentence: queries, collection, retriever, formation."""
    queries = next(iter(results["systems"].values()))["queries"]
    split = results["settings"]["split"]
    which = "judged" if split == "all" else split
    what = f"{queries} {text(which)} queries of {text(results['collection']['name'])}"
    without = without_relevant(results["collection"], split)
    if not results["retriever"]:
        # Runs are measured as trec_eval does, over all judged queries.
        return what + (f" ({without} of them have no relevant document and count 0)" if without else "")
    what += left_out(results["collection"], split)
    # Such figures compare systems with one another, and with nothing measured on the whole corpus.
    pooled = f" ({POOLED})" if POOLED in results["collection"]["source"] else ""
    return f"{what}{pooled}, {text(results['retriever'])}, query formed as {code(results['formation'])}"


def without_relevant(collection: Mapping[str, Any], split: str) -> int:
    """How many judged queries of a split, or of `all`, have no relevant document, by a collection's provenance."""
    counts: Mapping[str, int] = collection.get("without_relevant", {})
    return sum(counts.values()) if split == "all" else counts.get(split, 0)


def left_out(collection: Mapping[str, Any], split: str) -> str:
    """What a table says of the judged queries that it leaves out, in brackets; nothing where there are none."""
    number = without_relevant(collection, split)
    return f" ({number} more have no relevant document)" if number else ""


def table_lines(
    systems: Mapping[str, Row], more: Mapping[str, Callable[[Row], str]] | None = None, baseline: str = PLAIN
) -> list[str]:
    """The Markdown table of the systems, and beneath it what its columns mean.

    Args:
        systems (`Mapping`):
            Name → row, in table order.
        more (`Mapping`, *optional*):
            Further columns: title → the row's cell.
        baseline (`str`, *optional*, defaults to `"plain"`):
            The system that the others are compared with.
    """
    extra = {**(more or {}), **silence_cells(systems.values())}
    p_title, p_key = ("p (Holm)", "p_corrected") if _corrected(systems) else ("p", "p_value")
    titles = ["system", "nDCG@10", "MRR@10", "Recall@100", "helped", "hurt", "unchanged"]
    titles += ["Δ nDCG@10 (95 % interval)", p_title, *extra]
    lines = []
    for name, row in systems.items():
        cells = [
            name,
            *(f"{row[measure]:.4f}" for measure in ("ndcg_at_10", "mrr_at_10", "recall_at_100")),
            *(f"{100 * row[share]:.0f} %" for share in ("helped", "hurt", "unchanged")),
            "" if name == baseline else delta_cell(row),
            "" if name == baseline else p_cell(row[p_key]),
            *(cell(row) for cell in extra.values()),
        ]
        lines.append(cells)
    return table(titles, lines)


def legend(baseline: str = PLAIN, tests: int | None = None) -> str:
    """What the columns of [`table_lines`] mean.

    Args:
        baseline (`str`, *optional*, defaults to `"plain"`):
            The system that the others are compared with.
        tests (`int`, *optional*):
            The number of tests that the p-values are corrected for, where they are.
    """
    against = f"{code(baseline)}, the query without expansion" if baseline == PLAIN else code(baseline)
    return (
        f"helped / hurt / unchanged: share of queries whose nDCG@10 rises, falls or stays against {against}. "
        f"p: paired randomisation test against {code(baseline)}"
        + (f", corrected by Holm's method for the {tests} systems compared." if tests else ".")
    )


def delta_cell(row: Row) -> str:
    """A difference of nDCG@10 with its interval, as tables show it."""
    low, high = row["delta_ci95"]
    return f"{row['delta_ndcg_at_10']:+.4f} ({low:+.4f} … {high:+.4f})"


def p_cell(value: float) -> str:
    """A p-value, as tables show it."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def p_said(value: float) -> str:
    """The same after the word p, in a sentence."""
    cell = p_cell(value)
    return cell if cell.startswith("<") else f"= {cell}"


def silence_cells(rows: Iterable[Row]) -> dict[str, Callable[[Row], str]]:
    """Title → cell of the columns about silence that any row has a figure for."""
    known = {name for row in rows for name in row}
    return {title: _silence_cell(name) for title, name in SILENCE.items() if name in known}


def _silence_cell(name: str) -> Callable[[Row], str]:
    return lambda row: f"{100 * row[name]:.1f} %" if name in row else ""


def _corrected(systems: Mapping[str, Row]) -> bool:
    return any("p_corrected" in row for row in systems.values())

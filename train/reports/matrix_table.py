"""Tables of every expander with every retriever: `matrix.md`, from the content of `matrix.json` alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from builders.artifacts.markdown import Markdown, code, table, text
from builders.grading.comparison import Row, delta_cell, left_out, p_cell, silence_cells
from builders.grading.results_form import NONE, decoding_in_words, in_one_form, rows_by_system
from train.reports.results_table import leakage_lines


# What a star in the matrix at a glance stands for.
SURE = 0.01
# Titles of what a comparison's cells say.
COMPARISON = ("relative", "p", "helped", "hurt")


def matrix_table(results: Mapping[str, Any]) -> str:
    """All tables with what their columns mean: one row a system, grouped by retriever."""
    results = in_one_form(results)
    retrievers = results["retrievers"].items()
    lines = [
        "",
        *(f"- {code(key)}: {text(one['name'])}, query formed as {code(one['formation'])}" for key, one in retrievers),
        "",
        *_scores(results),
        *_expansions(results),
        *_against(results),
        *leakage_lines(rows_by_system(results), results["copied_terms"]),
    ]
    return short_grid_table(results) + "\n".join(lines)


def short_grid_table(results: Mapping[str, Any]) -> str:
    """The matrix at a glance, what a reader in a hurry needs: one row an expander, one column a retriever."""
    results = in_one_form(results)
    retrievers, reference = list(results["retrievers"]), results["reference"]
    cells: dict[str, dict[str, str]] = {}
    for row in results["rows"]:
        compared = row["against"][reference]
        sure = "" if compared["p_corrected"] >= SURE else "*"
        is_told = row["system"] != reference and compared["relative"] is not None
        relative = f" ({_percent(compared['relative'])}{sure})" if is_told else ""
        cell = Markdown(f"{row['ndcg_at_10']:.4f}{relative}")
        cells.setdefault(row["expander"], {})[row["retriever"]] = cell
    split = "judged" if results["split"] == "all" else results["split"]
    lines = [
        f"nDCG@10 on {results['queries']} {text(split)} queries of {text(results['collection']['name'])}"
        f"{left_out(results['collection'], results['split'])}; expansions by prompt "
        f"{code(results['prompt']['id'])}, {decoding_in_words(results['decoding'])}.",
        "",
        *table(["expander", *retrievers], [[name, *(own[one] for one in retrievers)] for name, own in cells.items()]),
        "",
        f"In brackets: relative to {code(reference)}; `*`: p < {SURE} (paired randomisation test, Holm's correction "
        f"for {results['correction']['tests']} cells).",
        "",
    ]
    if shown := results.get("shown"):
        lines += [
            f"{code(shown)}: what the prompt shows beside the query, searched as it stands, without a model.",
            "",
        ]
    return "\n".join(lines)


def _scores(results: Mapping[str, Any]) -> list[str]:
    """Measures, and the comparison with the reference."""
    rows, reference = results["rows"], results["reference"]
    best: dict[str, float] = {}
    for row in rows:
        best[row["retriever"]] = max(row["ndcg_at_10"], best.get(row["retriever"], 0.0))
    lines = []
    for row in rows:
        score = f"{row['ndcg_at_10']:.4f}"
        cells = [Markdown(f"**{score}**") if row["ndcg_at_10"] == best[row["retriever"]] else score]
        cells += [f"{row[measure]:.4f}" for measure in ("mrr_at_10", "recall_at_100")]
        is_reference = row["system"] == reference
        lines.append(cells + (["reference", "", "", "", ""] if is_reference else _compared(row["against"][reference])))
    return [
        *_by_retriever(rows, ["nDCG@10", "MRR@10", "Recall@100", "Δ (95 % interval)", *COMPARISON], lines),
        "",
        f"Δ: difference of nDCG@10 to the reference, {code(reference)}, with its 95 % interval. p: paired "
        f"randomisation test against it, corrected by Holm's method for {results['correction']['tests']} cells. "
        "helped / hurt: share of queries whose nDCG@10 rises or falls against it. Bold: the best of each retriever.",
        "",
    ]


def _expansions(results: Mapping[str, Any]) -> list[str]:
    """The comparison with the same retriever without expansion, and cost."""
    titles = ["Δ to no expansion (95 % interval)", *COMPARISON]
    silence = silence_cells(results["rows"])
    titles += ["tokens / query", "ms writing", "ms searching", "peak MiB", *silence]
    lines = []
    for row in results["rows"]:
        compared = [""] * 5 if row["expander"] == NONE else _compared(row["own"])
        cost = [f"{row.get('tokens_per_query', 0.0):.1f}", f"{row.get('ms_per_query', 0.0):.0f}"]
        cost += [f"{row['search_ms_per_query']:.1f}", f"{row['peak_mib']:.0f}"]
        lines.append([*compared, *cost, *(cell(row) for cell in silence.values())])
    return [
        *_by_retriever(results["rows"], titles, lines),
        "",
        "The same cells, each beside its own retriever without expansion (p corrected over these rows). ms: writing "
        f"the expansion, {results['settings']['block']} queries at a time, and searching, for one query; peak MiB: "
        f"the most memory of either. {text(results['hardware'])}.",
        "",
    ]


def _against(results: Mapping[str, Any]) -> list[str]:
    """The comparisons with further systems: which of them each beats."""
    if not results["against"]:
        return []
    lines = []
    for row in results["rows"]:
        compared = [row["against"][name] if name != row["system"] else None for name in results["against"]]
        lines.append(["" if one is None else ", ".join(_compared(one)[:3]) for one in compared])
    titles = [f"Δ to {name}, relative, p" for name in results["against"]]
    return [*_by_retriever(results["rows"], titles, lines), "", "p corrected by Holm's method over each column.", ""]


def _by_retriever(rows: Sequence[Row], titles: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    named = [[row["retriever"], row["expander"], *line] for row, line in zip(rows, lines, strict=True)]
    return table(["retriever", "expander", *titles], named)


def _compared(row: Row) -> list[str]:
    relative = "" if row["relative"] is None else _percent(row["relative"])
    shares = [f"{100 * row[share]:.0f} %" for share in ("helped", "hurt")]
    return [delta_cell(row), relative, p_cell(row["p_corrected"]), *shares]


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %"

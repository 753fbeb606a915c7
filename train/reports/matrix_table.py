"""The tables of `matrix.md`, from the content of `matrix.json` alone."""

from collections.abc import Mapping
from typing import Any

from builders.grading.comparison import Row, p_cell
from train.evaluation.grid import NONE
from train.reports.markdown import table
from train.reports.results_table import leakage_lines


# What a star in the matrix at a glance stands for.
SURE = 0.01


def matrix_table(results: Mapping[str, Any]) -> str:
    """All tables with what their columns mean: one row a cell, grouped by retriever."""
    lines = [
        *_score_lines(results),
        *_expansions(results["rows"]),
        "",
        "The same cells, each beside its own retriever without expansion (p corrected over these rows). ms: writing "
        f"the expansion, {results['settings']['block']} queries at a time, and searching, for one query; peak MiB: "
        f"the most memory of either. {results['hardware']}.",
        "",
        *_against(results),
    ]
    named = {f"{row['expander']}/{row['retriever']}": row for row in results["rows"]}
    return grid_table(results) + "\n".join([*lines, *leakage_lines({**results, "systems": named})])


def grid_table(results: Mapping[str, Any]) -> str:
    """The matrix at a glance, and what its columns are in full."""
    lines = [
        "",
        *(
            f"- `{name}`: {one['name']}, query formed as `{one['formation']}`"
            for name, one in results["retrievers"].items()
        ),
        "",
    ]
    return short_grid_table(results) + "\n".join([*lines, ""])


def short_grid_table(results: Mapping[str, Any]) -> str:
    """The matrix at a glance, what a reader in a hurry needs: one row an expander, one column a retriever."""
    retrievers, reference = list(results["retrievers"]), results["reference"]
    cells: dict[str, dict[str, str]] = {}
    for row in results["rows"]:
        sure = "" if row["p_corrected"] >= SURE else "*"
        relative = "" if row["relative"] is None else f" ({100 * row['relative']:+.1f} %{sure})"
        is_reference = f"{row['expander']}/{row['retriever']}" == reference
        cells.setdefault(row["expander"], {})[row["retriever"]] = (
            f"{row['ndcg_at_10']:.4f}{'' if is_reference else relative}"
        )
    split = "judged" if results["split"] == "all" else results["split"]
    lines = [
        f"nDCG@10 on {results['queries']} {split} queries of {results['collection']['name']}; expansions by prompt "
        f"`{results['prompt']['id']}`, greedy, at most {results['decoding']['max_new_tokens']} tokens.",
        "",
        *table(["expander", *retrievers], [[name, *(own[one] for one in retrievers)] for name, own in cells.items()]),
        "",
        f"In brackets: relative to `{reference}`; `*`: p < {SURE} (paired randomisation test, Holm's correction "
        f"for {results['correction']['tests']} cells).",
        "",
        *_shown(results),
    ]
    return "\n".join(lines)


def _score_lines(results: Mapping[str, Any]) -> list[str]:
    reference, tests = results["reference"], results["correction"]["tests"]
    return [
        *_scores(results["rows"], reference),
        "",
        f"Δ: difference of nDCG@10 to the reference, `{reference}`, with its 95 % interval. p: paired randomisation "
        f"test against it, corrected by Holm's method for {tests} cells. helped / hurt: share of queries whose "
        "nDCG@10 rises or falls against it. Bold: the best of each retriever.",
        "",
    ]


def _shown(results: Mapping[str, Any]) -> list[str]:
    if not results.get("shown"):
        return []
    return [
        f"`{results['shown']}`: what the prompt shows beside the query, searched as it stands, without a model.",
        "",
    ]


def _scores(rows: list[Row], reference: str) -> list[str]:
    titles = ["retriever", "expander", "nDCG@10", "MRR@10", "Recall@100", "Δ (95 % interval)", "relative", "p"]
    titles += ["helped", "hurt"]
    best: dict[str, float] = {}
    for row in rows:
        best[row["retriever"]] = max(row["ndcg_at_10"], best.get(row["retriever"], 0.0))
    lines = []
    for row in rows:
        score = f"{row['ndcg_at_10']:.4f}"
        cells = [row["retriever"], row["expander"]]
        cells.append(f"**{score}**" if row["ndcg_at_10"] == best[row["retriever"]] else score)
        cells += [f"{row[measure]:.4f}" for measure in ("mrr_at_10", "recall_at_100")]
        is_reference = f"{row['expander']}/{row['retriever']}" == reference
        lines.append(cells + (["reference", "", "", "", ""] if is_reference else _comparison(row)))
    return table(titles, lines)


def _comparison(row: Row, own: str = "") -> list[str]:
    low, high = row[f"interval{own}"]
    relative = row[f"relative{own}"]
    return [
        f"{row[f'delta{own}']:+.4f} ({low:+.4f} … {high:+.4f})",
        "" if relative is None else f"{100 * relative:+.1f} %",
        p_cell(row[f"p_corrected{own}"]),
        *(f"{100 * row[f'{share}{own}']:.0f} %" for share in ("helped", "hurt")),
    ]


def _expansions(rows: list[Row]) -> list[str]:
    titles = ["retriever", "expander", "Δ to no expansion (95 % interval)", "relative", "p", "helped", "hurt"]
    titles += ["tokens / query", "ms writing", "ms searching", "peak MiB"]
    lines = []
    for row in rows:
        compared = [""] * 5 if row["expander"] == NONE else _comparison(row, "_own")
        cost = [f"{row['tokens_per_query']:.1f}", f"{row['generation_ms_per_query']:.0f}"]
        cost += [f"{row['search_ms_per_query']:.1f}", f"{row['peak_mib']:.0f}"]
        lines.append([row["retriever"], row["expander"], *compared, *cost])
    return table(titles, lines)


def _against(results: Mapping[str, Any]) -> list[str]:
    """The comparisons with further cells: which of them each cell beats."""
    if not results["against"]:
        return []
    titles = ["retriever", "expander", *(f"Δ to {name}, relative, p" for name in results["against"])]
    lines = []
    for row in results["rows"]:
        compared = [row["against"].get(name) for name in results["against"]]
        cells = ["" if one is None else ", ".join(_comparison(one)[:3]) for one in compared]
        lines.append([row["retriever"], row["expander"], *cells])
    return [*table(titles, lines), "", "p corrected by Holm's method over each column.", ""]

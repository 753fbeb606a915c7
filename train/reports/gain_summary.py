"""Tells what an evaluation found in a dozen lines that a person can read; the tables stay in their file."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.cli import console_command
from builders.errors import KitError
from builders.grading.comparison import PLAIN, SAME, Row, p_cell
from builders.grading.grader import DEPTH
from builders.grading.results_form import one_retriever, read_results
from builders.prompts.output_check import is_silent


RESULTS, QUERIES = "results.json", "per_query.parquet"
UNSEEN = "; no training has seen them"
# Letters of a query and of the words added to it that an example shows.
SHOWN = 70
# Corrected p-values below this are no chance.
SIGNIFICANT = 0.05


def gain_summary(folder: Path, next_step: str = "") -> str:
    """What was searched, what the student that was trained last gains and harms, three queries, and what to do next.

    Args:
        folder (`Path`):
            What `train/evaluate.py` wrote.
        next_step (`str`, *optional*):
            A command that the reader may want to give then.

    Raises:
        KitError: there are no such results, or no student is among them.
    """
    results = read_results(folder / RESULTS, "qexpand evaluate", one_retriever)
    one = one_retriever(results)
    student = _student(one, folder)
    plain, row = one["systems"][PLAIN], one["systems"][student]
    rows = {each["query_id"]: each for each in _rows(folder, student)}
    before = {each["query_id"]: each for each in _rows(folder, PLAIN)}
    queries, adapter = row["queries"], one["settings"]["adapters"][-1]
    alone = str(one.get("shown") or "")
    told = (PLAIN, student, alone)
    others = [f"{name} {found['ndcg_at_10']:.4f}" for name, found in one["systems"].items() if name not in told]
    lines = [
        f"searched    {queries} {one['settings']['split']} queries of {one['collection']['name']} with "
        f"{one['settings']['retriever']}{UNSEEN if one['settings']['split'] == 'test' else ''}",
        f"before      nDCG@10 {plain['ndcg_at_10']:.4f}, the queries as they are",
        f"after       nDCG@10 {row['ndcg_at_10']:.4f}, with the words of {student}: {_difference(row)}",
        *([_without_model(one["systems"], student, alone)] if alone in row["against"] else []),
        *([_unseen(row["leakage"]["unseen_gold"])] if "leakage" in row else []),
        *([f"beside it   {', '.join(others)}"] if others else []),
        "queries     " + ", ".join(f"{round(row[name] * queries)} {name}" for name in ("helped", "hurt", "unchanged")),
        *(_example(title, each, before[each["query_id"]]) for title, each in _examples(list(rows.values()))),
        f"results     {folder}: results.md (all tables), per_query.parquet, ndcg_delta.png; student: {adapter}",
        f"next        {'; '.join(filter(None, [_to_try(adapter, list(rows.values())), next_step]))}",
    ]
    return "\n".join(["", *lines, ""])


def _student(one: Mapping[str, Any], folder: Path) -> str:
    """The last system whose words come from an adapter."""
    trained = [name for name, row in one["systems"].items() if (row.get("identity") or {}).get("adapter")]
    if not trained or not one["settings"].get("adapters"):
        raise KitError(f"{folder / RESULTS}: no student was evaluated: give evaluate its --adapters")
    return trained[-1]


def _rows(folder: Path, system: str) -> list[Row]:
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(folder / QUERIES, filters=[("system", "==", system)])
    except (OSError, ValueError) as error:
        raise KitError(f"{folder / QUERIES}: cannot be read ({error}); run qexpand evaluate again") from error
    found: list[Row] = table.to_pylist()
    return found


def _difference(row: Row) -> str:
    low, high = row["delta_ci95"]
    return f"{row['delta_ndcg_at_10']:+.4f} (95 % interval {low:+.4f} … {high:+.4f}{_verdict(low, high)})"


def _without_model(systems: Mapping[str, Row], student: str, alone: str) -> str:
    """What the words of the prompt do that no model has chosen from, beside the student."""
    against = systems[student]["against"][alone]
    p, ahead = against["p_corrected"], -against["delta_ndcg_at_10"] + 0.0
    verdict = f"no clear difference to {student}"
    if p < SIGNIFICANT:
        verdict = "better still" if ahead > 0 else f"{student} is better"
    found = p_cell(p) if p < 0.001 else f"= {p_cell(p)}"
    return (
        f"no model    nDCG@10 {systems[alone]['ndcg_at_10']:.4f}, with all words of the prompt ({alone}): {verdict}, "
        f"{ahead:+.4f} (p {found})"
    )


def _unseen(part: Row) -> str:
    """What becomes of the queries for which training has seen no judged document."""
    if not part["queries"]:
        return "unseen      no query: documents of each are judged for a train query, too"
    return f"unseen      {part['queries']} queries whose documents no train query is judged for: {_difference(part)}"


def _to_try(adapter: str, rows: Sequence[Row]) -> str:
    """A command that asks the student for words, where it has some to say."""
    speaking = [row for row in rows if not is_silent(row["expansion"], row["query"])]
    query = min((row["query"] for row in speaking or rows), key=len)
    return f"{console_command()} expand {shlex.quote(adapter)} {shlex.quote(_clean(query, SHOWN))}"


def _verdict(low: float, high: float) -> str:
    """What an interval says, where it says anything."""
    if low == high == 0:
        return ": no difference"
    return ": better" if low > 0 else ": worse" if high < 0 else ": chance could do that"


def _examples(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """The query that gains most, the middle one of those that gain, and the one that loses most, or gains least."""
    ranked = sorted(rows, key=lambda row: (-row["delta_ndcg_at_10"], row["query_id"]))
    helped = [row for row in ranked if row["delta_ndcg_at_10"] > SAME]
    hurt = [row for row in ranked if row["delta_ndcg_at_10"] < -SAME]
    found = [("most helped", helped[0])] if helped else []
    found += [("typical", helped[len(helped) // 2])] if len(helped) > 1 else []
    found += [("most hurt", hurt[-1])] if hurt else [("least gain", helped[-1])] if len(helped) > 2 else []
    return found


def _example(title: str, row: Row, before: Row) -> str:
    ranks, delta = (before["gold_rank"], row["gold_rank"]), row["delta_ndcg_at_10"]
    moved = f"rank {_rank(ranks[0])} → {_rank(ranks[1])}"
    # Where the best document stays, or goes the other way, it is others that count.
    if (ranks[0] - ranks[1]) * delta <= 0:
        moved = f"nDCG@10 {before['ndcg_at_10']:.2f} → {row['ndcg_at_10']:.2f}"
    return f"{title:<11} “{_clean(row['query'], SHOWN)}” + “{_clean(_added(row), SHOWN)}”: {moved}"


def _rank(rank: int) -> str:
    return str(rank) if rank <= DEPTH else f"beyond {DEPTH}"


def _added(row: Row) -> str:
    """The words of an expansion that its query lacks, each once."""
    known = set(row["query"].lower().split())
    words = dict.fromkeys(word for word in row["expansion"].split() if word.lower() not in known)
    return " ".join(words)


def _clean(text: str, length: int) -> str:
    """On one line, without what a terminal would obey."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= length else f"{line[: length - 1]}…"

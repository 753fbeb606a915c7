"""Tables of the systems of one retriever: `results.md`, from the content of `results.json` alone."""

from collections.abc import Callable, Mapping
from typing import Any

from builders.artifacts.markdown import code, table, text
from builders.grading.comparison import PLAIN, Row, delta_cell, legend, p_cell, silence_cells, subject, table_lines
from builders.grading.results_form import decoding_in_words, in_one_form, one_retriever


Column = Callable[[Row], str]

# A baseline that names its numbers has been tuned.
UNTUNED = "bm25s+rm3"


def markdown_table(results: Mapping[str, Any]) -> str:
    """All tables with what their columns mean; a column that no system has a figure for is left out."""
    results = one_retriever(in_one_form(results))
    leakage = leakage_lines(results["systems"], results.get("copied_terms"))
    return "\n".join([_gains(results), *_behind_the_gain(results), *leakage])


def _gains(results: Mapping[str, Any]) -> str:
    """The first table: gain, harm and cost of each system."""
    systems: dict[str, Row] = results["systems"]
    more = {"top-20": _share("top_20_accuracy")} if _any(systems, "top_20_accuracy") else {}
    tests = results.get("correction", {}).get("tests")
    lines = [
        _asked(results),
        "",
        *table_lines(systems, {**more, **COST}),
        "",
        f"{legend(tests=tests)} ms / query: writing the expansion, {results['settings']['block']} queries at a time; "
        "searching comes on top.",
        "",
    ]
    return "\n".join([*lines, *_remarks(results)])


def short_table(results: Mapping[str, Any]) -> str:
    """What a page for strangers shows: who gains, who is hurt, what it takes."""
    results = one_retriever(in_one_form(results))
    # Recorded results have rows `+ guard`, which `kept` marks; no evaluation makes them any more.
    systems: dict[str, Row] = {name: row for name, row in results["systems"].items() if "kept" not in row}
    tests = results.get("correction", {}).get("tests")
    p_key = "p_corrected" if tests else "p_value"
    columns: dict[str, Column] = {
        "nDCG@10": lambda row: f"{row['ndcg_at_10']:.4f}",
        "Δ (95 % interval)": delta_cell,
        "p": lambda row: p_cell(row[p_key]),
        "helped": lambda row: f"{100 * row['helped']:.0f} %",
        "hurt": lambda row: f"{100 * row['hurt']:.0f} %",
        "ms / query": COST["ms / query"],
        **silence_cells(systems.values()),
    }
    rows = [
        [name, *("" if name == PLAIN and cell is not columns["nDCG@10"] else cell(row) for cell in columns.values())]
        for name, row in systems.items()
    ]
    lines = [
        _asked(results),
        "",
        *table(["system", *columns], rows),
        "",
        "Δ: difference of nDCG@10 to `plain`, the query without expansion. p: paired randomisation test against it"
        + (f", corrected by Holm's method for all {tests} systems compared" if tests else "")
        + ". helped / hurt: share of queries whose nDCG@10 rises or falls. ms / query: writing the expansion, "
        f"{results['settings']['block']} queries at a time.",
        "",
    ]
    return "\n".join([*lines, *_remarks({**results, "systems": systems})])


def _asked(results: Mapping[str, Any]) -> str:
    written = decoding_in_words(results["decoding"])
    return f"{subject(dict(results))}, {written}; {text(results['hardware'])}."


def _cost(name: str, digits: int) -> Column:
    """Searching with the plain query costs nothing to write; of a recording nobody knows."""

    def cell(row: Row) -> str:
        if name in row:
            return f"{row[name]:.{digits}f}"
        return "" if "tokens_per_query" in row or name == "peak_memory_mib" else "0"

    return cell


COST: dict[str, Column] = {
    "tokens / query": _cost("tokens_per_query", 1),
    "ms / query": _cost("ms_per_query", 0),
    "peak MiB": _cost("peak_memory_mib", 0),
}


def _any(systems: Mapping[str, Row], name: str) -> bool:
    return any(name in row for row in systems.values())


def _share(name: str) -> Column:
    return lambda row: f"{100 * row[name]:.1f} %" if row.get(name) is not None else ""


def _with_interval(name: str) -> Column:
    def cell(row: Row) -> str:
        if row.get(name) is None:
            return ""
        interval = row[f"{name}_ci95"]
        ends = " … ".join(f"{100 * end:.1f}" for end in interval) if interval else "no bounds"
        return f"{100 * row[name]:.1f} % ({ends})"

    return cell


def _against(reference: str) -> Column:
    def cell(row: Row) -> str:
        other = row.get("against", {}).get(reference)
        return f"{delta_cell(other)}, p {_p(other['p_corrected'])}" if other else ""

    return cell


def _p(value: float) -> str:
    text = p_cell(value)
    return text if text.startswith("<") else f"= {text}"


def _remarks(results: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, row in results["systems"].items():
        if row.get("filter"):
            role = "the upper bound and no method" if row["filter"] == "oracle" else f"chosen by {code(row['filter'])}"
            lines.append(
                f"{code(name)}: one of {results['pool']['samples']} candidates, {role}; its cost is the pool's."
            )
    if shown := results.get("shown"):
        lines.append(f"{code(shown)}: what the prompt shows beside the query, searched as it stands, without a model.")
    if UNTUNED in results["systems"]:
        lines.append(f"{code(UNTUNED)}: feedback with its usual numbers, which nobody tuned on this collection.")
    if any("kept" in row for row in results["systems"].values()):
        lines.append("`+ guard`: a rule fitted on validation queries leaves some queries alone.")
    lines += [f"{text(name)} is missing: {text(remedy)}" for name, remedy in results.get("missing", {}).items()]
    return [part for line in lines for part in (line, "")]


def _behind_the_gain(results: Mapping[str, Any]) -> list[str]:
    """What is behind the gain: teacher, other systems, new terms."""
    systems: dict[str, Row] = {name: row for name, row in results["systems"].items() if name != PLAIN}
    columns: dict[str, Column] = {}
    notes = []
    teacher = results.get("reference_teacher")
    if teacher:
        columns |= {"retention": _with_interval("retention"), "gain captured": _with_interval("gain_captured")}
        notes.append(
            f"retention: nDCG@10 over that of {code(teacher)}; gain captured: gain over `{PLAIN}`, over that of "
            f"{code(teacher)} (95 % intervals)."
        )
    if _any(systems, "new_terms"):
        columns["new terms"] = lambda row: (
            f"{100 * row['new_terms']:.0f} %, {row['new_terms_per_query']:.1f} a query" if "new_terms" in row else ""
        )
        notes.append("new terms: share of the expansion's terms that the query lacks, and how many different ones.")
    references = [name for name in systems if any(name in row.get("against", {}) for row in systems.values())]
    for reference in references:
        columns[f"Δ against {reference}"] = _against(reference)
    if references:
        notes.append("Δ against: difference of nDCG@10 (95 % interval) and its p-value, corrected alike.")
    if not columns:
        return []
    rows = [[name, *(cell(row) for cell in columns.values())] for name, row in systems.items()]
    return [*table(["system", *columns], rows), "", " ".join(notes), ""]


def leakage_lines(systems: Mapping[str, Row], length: int | None) -> list[str]:
    """What is copied, and what was seen in training: of the systems that write; nothing where none does."""
    rows = {name: row["leakage"] for name, row in systems.items() if row.get("leakage", {}).get("copies")}
    if not rows:
        return []
    lines = [
        f"Leakage: how much of the gain comes from expansions that repeat {length} terms in a row of a relevant "
        "document which the prompt does not hold; and Δ nDCG@10 where a gold document is relevant to a train query "
        "too (seen) and where none is (unseen), p uncorrected.",
        "",
    ]
    for name, row in rows.items():
        share = row["copies"]["share_of_gain"]
        gain = "no gain" if share is None else f"{100 * share:.1f} % of the gain"
        parts = "; ".join(_part(kind, row[f"{kind}_gold"]) for kind in ("seen", "unseen"))
        lines.append(f"- {code(name)}: {gain} from copies ({_queries(row['copies']['queries'])}); {parts}")
    return [*lines, ""]


def _part(kind: str, row: Row) -> str:
    if not row["queries"]:
        return f"{kind}: no query"
    return f"{kind}: {_queries(row['queries'])}, {delta_cell(row)}, p {_p(row['p_value'])}"


def _queries(number: int) -> str:
    return f"{number} {'query' if number == 1 else 'queries'}"

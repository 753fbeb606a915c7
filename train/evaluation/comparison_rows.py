"""Rows of the results: measures, cost and comparisons of each system, with p-values corrected family by family."""

from collections import Counter
from collections.abc import Mapping, Sequence

from builders.grading.comparison import Row, differences, query_row, silence_row, system_row
from builders.grading.results_form import COMPARED
from builders.measures.ratio import ratio
from builders.measures.significance import holm
from train.evaluation.evaluation_plan import Plan
from train.evaluation.leakage_audit import Audited
from train.evaluation.systems import ExpandedQueries, System


def result_rows(plan: Plan, measured: Sequence[Audited]) -> list[Row]:
    """The rows of the results, in the order of the systems.

    Every system is compared with the reference, with its own retriever without expansion (`own`), and with each
    system of `plan.against`. The p-values of the comparisons with one system are corrected together (Holm), and so are
    those of all expansions with their own retriever.
    """
    by_name = {one.system.name: one.system for one in measured}
    seed, systems = plan.args.seed, list(by_name.values())
    beside: dict[str, dict[str, Row]] = {}
    for name in (plan.reference, *plan.against):
        left_out = () if name == plan.reference else plan.not_against
        compared = [system for system in systems if system.name not in left_out]
        beside[name] = _comparisons(compared, dict.fromkeys(by_name, by_name[name]), seed)
    plains = {one.system.name: one.plain for one in measured}
    # With one retriever the plain query is the reference.
    is_reference = all(plain.name == plan.reference for plain in plains.values())
    own = beside[plan.reference] if is_reference else _comparisons(systems, plains, seed)
    teacher = by_name[plan.teachers[0].name] if plan.teachers else None
    rows = []
    for one in measured:
        system, expanded = one.system, one.system.expanded
        row = beside[plan.reference][system.name]
        facts = expanded.facts if expanded else {}
        against = {name: found[system.name] for name, found in beside.items() if system.name in found}
        rows.append(
            {
                "system": system.name,
                "expander": system.expander,
                "retriever": system.retriever,
                **{name: row[name] for name in ("queries", "ndcg_at_10", "mrr_at_10", "recall_at_100")},
                "own": _compared(own[system.name]),
                "against": {
                    name: _compared(found)
                    for name, found in against.items()
                    if name != system.name or name == plan.reference
                },
                "search_ms_per_query": system.search_ms,
                "peak_mib": max(system.peak_mib, facts.get("peak_memory_mib", 0.0)),
                **facts,
                **({"checks": dict(sorted(Counter(_checks(plan, expanded)).items()))} if expanded else {}),
                **(silence_row(plan.queries, [one.text for one in expanded.expansions]) if expanded else {}),
                **one.row(seed),
                **_beside_teacher(one, teacher, seed),
            }
        )
    return rows


def query_rows(plan: Plan, measured: Sequence[Audited]) -> list[Row]:
    """The rows of `per_query.parquet`; differences are those to the reference, `_own` those to the same retriever."""
    reference = next(one.system.grades for one in measured if one.system.name == plan.reference)
    rows = []
    for one in measured:
        system, expanded = one.system, one.system.expanded
        own, checks = differences(system.grades, one.plain.grades), _checks(plan, expanded)
        for number, query in enumerate(plan.queries):
            ranks = {} if one.answer_ranks is None else {"answer_rank": one.answer_ranks[number]}
            rows.append(
                query_row(
                    system.name,
                    query,
                    expanded.expansions[number].text if expanded else "",
                    system.grades[number],
                    reference[number],
                    expander=system.expander,
                    retriever=system.retriever,
                    completion_tokens=expanded.tokens[number] if expanded else 0,
                    check=checks[number],
                    new_terms=one.new_terms[number][0],
                    copies_gold=one.copies[number],
                    gold_seen=one.gold_seen[number],
                    **ranks,
                    delta_own=own[number],
                )
            )
    return rows


def _checks(plan: Plan, expanded: ExpandedQueries | None) -> list[str]:
    """Whether each expansion is as the prompt wants it: `ok`, or why not."""
    if expanded is None:
        return ["ok"] * len(plan.queries)
    pairs = zip(plan.queries, expanded.expansions, strict=True)
    return [plan.prompt.check.reason(one.text, query.text, one.finish_reason) or "ok" for query, one in pairs]


def _comparisons(systems: Sequence[System], bases: Mapping[str, System], seed: int) -> dict[str, Row]:
    """Each system beside its base: differences, shares of queries, and p-values corrected for their number."""
    rows: dict[str, Row] = {}
    for system in systems:
        base = bases[system.name].grades
        row = system_row(system.grades, base, seed)
        score = sum(grade.ndcg_at_10 for grade in base) / len(base)
        relative = row["delta_ndcg_at_10"] / score if score else None
        rows[system.name] = {**row, "relative": relative, "p_corrected": 1.0}
    tested = [name for name in rows if bases[name].name != name]
    for name, p_value in zip(tested, holm([rows[name]["p_value"] for name in tested]), strict=True):
        rows[name]["p_corrected"] = p_value
    return rows


def _compared(row: Row) -> Row:
    return {name: row[name] for name in COMPARED}


def _beside_teacher(one: Audited, teacher: System | None, seed: int) -> Row:
    """Retention (system / teacher) and gain captured ((system − plain) / (teacher − plain)) of nDCG@10."""
    if teacher is None or teacher is one.system:
        return {}
    grades, plain = one.system.grades, one.plain.grades
    kept = ratio([grade.ndcg_at_10 for grade in grades], [grade.ndcg_at_10 for grade in teacher.grades], seed)
    gain = ratio(differences(grades, plain), differences(teacher.grades, plain), seed)
    return {
        "retention": kept.value,
        "retention_ci95": kept.interval and list(kept.interval),
        "gain_captured": gain.value,
        "gain_captured_ci95": gain.interval and list(gain.interval),
    }

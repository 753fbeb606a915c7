"""The cells: every expander with every retriever, and how they compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builders.collections.collection import Query
from builders.grading.comparison import Row, system_row
from builders.grading.grader import Grader
from builders.measures.significance import holm
from train.evaluation.systems import System, Writing, expanded_system, plain_system
from train.memory import PeakMemory


NONE = "none"
# What a comparison says, as the cells' rows call it: name here → name in `builders.grading.comparison`.
COMPARED = {
    "delta": "delta_ndcg_at_10",
    "interval": "delta_ci95",
    "p": "p_value",
    "helped": "helped",
    "hurt": "hurt",
    "unchanged": "unchanged",
}


@dataclass(frozen=True)
class Cell:
    """One expander with one retriever.

    Args:
        expander (`str`), retriever (`str`), formation (`str`):
            Their names; `none` searches the query as it is.
        system ([`System`]):
            What was found, in the order of the queries.
        peak_mib (`float`):
            Most memory while searching.
    """

    expander: str
    retriever: str
    formation: str
    system: System
    peak_mib: float

    @property
    def name(self) -> str:
        """How settings name it: `EXPANDER/RETRIEVER`."""
        return f"{self.expander}/{self.retriever}"


def searched_cells(
    retriever: str, grader: Grader, queries: Sequence[Query], writings: Mapping[str, Writing]
) -> list[Cell]:
    """The cells of one retriever: the plain query, then what each expander wrote.

    Args:
        retriever (`str`), grader ([`Grader`]):
            What searches, and its name.
        queries (`Sequence[Query]`), writings (`Mapping`):
            What is asked: expander → what it adds.
    """
    # Ahead of the clock, so that no cell pays for loading an encoder.
    grader.expanded([(queries[0].id, queries[0].text)])
    cells = []
    for expander in (NONE, *writings):
        with PeakMemory() as memory:
            system = (
                plain_system(expander, grader, queries)
                if expander == NONE
                else expanded_system(expander, grader, queries, writings[expander])
            )
        cells.append(Cell(expander, retriever, grader.formation.name, system, memory.mebibytes))
    return cells


def cell_rows(cells: Sequence[Cell], reference: str, against: Sequence[str], seed: int) -> list[Row]:
    """The rows of `matrix.json`, in the order of the cells.

    Every cell is compared with the reference, with its own retriever without expansion (`…_own`), and with each cell
    of `against`. The p-values of the comparisons with one cell are corrected together (Holm), and so are those of all
    expansions with their own retriever.

    Args:
        cells (`Sequence[Cell]`):
            The whole matrix.
        reference (`str`), against (`Sequence[str]`):
            Names of cells.
        seed (`int`):
            Of tests and intervals.
    """
    by_name = {cell.name: cell for cell in cells}
    others = {name: _comparisons(cells, {cell.name: by_name[name] for cell in cells}, seed) for name in against}
    to_reference = _comparisons(cells, {cell.name: by_name[reference] for cell in cells}, seed)
    to_own = _comparisons(cells, {cell.name: by_name[f"{NONE}/{cell.retriever}"] for cell in cells}, seed)
    rows = []
    for cell in cells:
        writing = cell.system.writing
        facts = writing.facts if writing else {}
        row = system_row(cell.system.grades, cell.system.grades, seed)
        rows.append(
            {
                "expander": cell.expander,
                "retriever": cell.retriever,
                "formation": cell.formation,
                **{name: row[name] for name in ("ndcg_at_10", "mrr_at_10", "recall_at_100")},
                **to_reference[cell.name],
                **{f"{name}_own": value for name, value in to_own[cell.name].items()},
                "against": {name: compared[cell.name] for name, compared in others.items() if name != cell.name},
                "tokens_per_query": facts.get("tokens_per_query", 0.0),
                "generation_ms_per_query": facts.get("ms_per_query", 0.0),
                "search_ms_per_query": cell.system.search_ms,
                "peak_mib": max(cell.peak_mib, facts.get("peak_memory_mib", 0.0)),
            }
        )
    return rows


def _comparisons(cells: Sequence[Cell], bases: Mapping[str, Cell], seed: int) -> dict[str, Row]:
    """Each cell beside its base: differences, shares of queries, and p-values corrected for their number."""
    rows = {}
    for cell in cells:
        base = bases[cell.name].system.grades
        row = system_row(cell.system.grades, base, seed)
        score = sum(grade.ndcg_at_10 for grade in base) / len(base)
        found = {name: row[own] for name, own in COMPARED.items()}
        rows[cell.name] = {**found, "relative": found["delta"] / score if score else None, "p_corrected": 1.0}
    tested = [name for name in rows if bases[name].name != name]
    for name, p_value in zip(tested, holm([rows[name]["p"] for name in tested]), strict=True):
        rows[name]["p_corrected"] = p_value
    return rows

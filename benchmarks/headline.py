"""What training gains, at a glance: the README's first table, from the recorded results of the kit's own students.

    python benchmarks/headline.py

Each row names what a recipe ends with: the student after DPO, and the pair of expander and retriever after the rounds,
the one that validation kept where there are validation queries. The students of pydocs are measured on libraries that
pydocs does not hold, too: what was to be compared there was written down first (`matrix-otherdocs-expandr.yaml`,
`evaluate-otherdocs.yaml`).
"""

import json
import re
import sys
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
sys.path.insert(0, str(ROOT))

from builders.grading.comparison import PLAIN, p_cell
from train.reports.markdown import table


STUDENT = "BM25, with the student's expansions"
PAIR = "dense, retriever and student trained for each other"
NEW_RETRIEVER = "dense, retriever trained there with the student of pydocs"
NEW_STUDENT = "BM25, with the expansions of the student of pydocs"
TITLES = ["search", "test queries", "plain query, untrained", "trained", "gain", "p", "helped", "hurt"]
# What the student is up against: the words that its prompt shows, searched with all of them.
TITLES += ["prompt's words, no language model"]
COLLECTIONS = {"pydocs:astropy,networkx,skimage,statsmodels,xarray": "other libraries"}


def main() -> None:
    """Write the table between its marks in README.md."""
    readme = ROOT / "README.md"
    marks = r"(<!-- headline -->\n).*?(<!-- end of headline -->)"
    text, count = re.subn(
        marks, lambda found: f"{found[1]}{headline_table()}{found[2]}", readme.read_text(), flags=re.DOTALL
    )
    if not count:
        sys.exit("README.md: no marks for the headline")
    readme.write_text(text)
    print("README.md: headline written")


def headline_table() -> str:
    """The table, one row for each kind of search and collection; scores are nDCG@10."""
    rows = [
        _student("pydocs", "dpo"),
        _student("scifact", "dpo"),
        _pair("pydocs-expandr", "round-1", "trained"),
        _pair("scifact-expandr", "expander", "trained"),
        _student("otherdocs", "dpo", NEW_STUDENT),
        _pair("otherdocs-expandr", "round-1", "trained", NEW_RETRIEVER),
    ]
    return "\n".join([*table(TITLES, rows), ""])


def _student(name: str, system: str, search: str = STUDENT) -> list[str]:
    results = json.loads((RESULTS / f"{name}.json").read_text())
    before, row = results["systems"][PLAIN]["ndcg_at_10"], results["systems"][system]
    shown = results["systems"][results["shown"]]
    return _row(search, results, row["queries"], before, {**row, "relative": row["delta_ndcg_at_10"] / before}, shown)


def _pair(name: str, expander: str, retriever: str, search: str = PAIR) -> list[str]:
    results = json.loads((RESULTS / f"{name}.json").read_text())
    cells = {f"{row['expander']}/{row['retriever']}": row for row in results["rows"]}
    before = cells[results["reference"]]["ndcg_at_10"]
    shown = cells[f"{results['shown']}/{retriever}"]
    return _row(search, results, results["queries"], before, cells[f"{expander}/{retriever}"], shown)


def _row(
    search: str, results: dict[str, Any], queries: int, before: float, row: dict[str, Any], shown: dict[str, Any]
) -> list[str]:
    return [
        search,
        f"{queries} of {COLLECTIONS.get(results['collection']['name'], results['collection']['name'])}",
        f"{before:.4f}",
        f"{row['ndcg_at_10']:.4f}",
        f"**{100 * row['relative']:+.1f} %**",
        p_cell(row["p_corrected"]),
        *(f"{100 * row[share]:.0f} %" for share in ("helped", "hurt")),
        f"{shown['ndcg_at_10']:.4f}",
    ]


if __name__ == "__main__":
    main()

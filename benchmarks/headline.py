"""What training gains, at a glance: the README's first table, from the recorded results of the kit's own students.

    python benchmarks/headline.py

Each row names what a recipe ends with: the student after DPO, and the pair of expander and retriever after the rounds,
the one that validation kept where there are validation queries. The students of pydocs are measured on libraries that
pydocs does not hold, too: what was to be compared there was written down first (`experiments/otherdocs`).
"""

import json
import re
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
sys.path.insert(0, str(ROOT))

from builders.grading.comparison import p_cell
from builders.grading.results_form import in_one_form, rows_by_system
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
    if not put("headline", headline_table()):
        sys.exit("README.md: no marks for the headline")
    print("README.md: headline written")


def put(name: str, shown: str) -> int:
    """Write a table between its marks in README.md; returns how many places there are for it."""
    readme, marks = ROOT / "README.md", rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
    text, count = re.subn(marks, lambda found: f"{found[1]}{shown}{found[2]}", readme.read_text(), flags=re.DOTALL)
    readme.write_text(text)
    return count


def headline_table() -> str:
    """The table, one row for each kind of search and collection; scores are nDCG@10."""
    rows = [
        _row("pydocs", "dpo", STUDENT),
        _row("scifact", "dpo", STUDENT),
        _row("pydocs-expandr", "round-1/trained", PAIR),
        _row("scifact-expandr", "expander/trained", PAIR),
        _row("otherdocs", "dpo", NEW_STUDENT),
        _row("otherdocs-expandr", "round-1/trained", NEW_RETRIEVER),
    ]
    return "\n".join([*table(TITLES, rows), ""])


def _row(name: str, system: str, search: str) -> list[str]:
    results = in_one_form(json.loads((RESULTS / f"{name}.json").read_text()))
    rows, reference = rows_by_system(results), results["reference"]
    row, compared = rows[system], rows[system]["against"][reference]
    _, slash, retriever = system.partition("/")
    shown = rows[f"{results['shown']}{slash}{retriever}"]
    return [
        search,
        f"{row['queries']} of {COLLECTIONS.get(results['collection']['name'], results['collection']['name'])}",
        f"{rows[reference]['ndcg_at_10']:.4f}",
        f"{row['ndcg_at_10']:.4f}",
        f"**{100 * compared['relative']:+.1f} %**",
        p_cell(compared["p_corrected"]),
        *(f"{100 * compared[share]:.0f} %" for share in ("helped", "hurt")),
        f"{shown['ndcg_at_10']:.4f}",
    ]


if __name__ == "__main__":
    main()

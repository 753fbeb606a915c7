"""What training gains, at a glance: a table of the README, a wider one of `docs/results.md`, and pictures of all
recorded results.

    python benchmarks/headline.py

Each row names what a recipe ends with: the student after DPO, and the pair of expander and retriever after the rounds,
the one that validation kept where there are validation queries. The students of pydocs are measured on libraries that
pydocs does not hold, too: what was to be compared there was written down first (`experiments/otherdocs`).

`benchmarks/results/NAME-gain.png` shows what each system gains, or what each expander is worth with each retriever;
`pydocs-cost.png` sets the gain against the cost. All are drawn from the JSON alone.
"""

import json
import re
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
sys.path.insert(0, str(ROOT))

from builders.artifacts.markdown import Markdown, table
from builders.grading.comparison import delta_cell, p_cell
from builders.grading.results_form import in_one_form, one_retriever, rows_by_system
from builders.plots.cost_plot import cost_plot
from builders.plots.gain_plot import compared, gain_plot
from builders.plots.grid_plot import interval_plot


STUDENT = "BM25, with the student's expansions"
PAIR = "dense, retriever and student trained for each other"
NEW_RETRIEVER = "dense, retriever trained there with the student of pydocs"
NEW_STUDENT = "BM25, with the expansions of the student of pydocs"
TITLES = ["search", "test queries", "plain query, untrained", "trained", "gain", "p", "helped", "hurt"]
# What the student is up against: the words that its prompt shows, searched with all of them.
TITLES += ["prompt's words, no language model"]
# Where systems differ in cost.
COSTS = ("pydocs",)
UNJUDGED = {
    "dl19": "TREC DL 2019, pooled",
    "dl20": "TREC DL 2020, pooled",
    "cranfield": "Cranfield",
    "scifact": "SciFact",
}
RECORDED = ("7B zero-shot", "72B zero-shot")
COLLECTIONS = {"pydocs:astropy,networkx,skimage,statsmodels,xarray": "other libraries"}


def main() -> None:
    """Write the tables between their marks, and draw the pictures."""
    tables = {"headline": short_table, "overview": wide_table, "demo gain": demo_table, "unjudged": unjudged_table}
    for name, lines in ((name, made()) for name, made in tables.items()):
        if not put(name, lines):
            sys.exit(f"README.md, docs: no marks for the {name}")
    drawn = pictures()
    for name, png in drawn.items():
        (RESULTS / name).write_bytes(png)
    print(f"README.md, docs/results.md: the gains written; benchmarks/results: {len(drawn)} pictures drawn")


def pictures() -> dict[str, bytes]:
    """File name → PNG, of all recorded evaluations and matrices."""
    drawn = {}
    for path in sorted(RESULTS.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not {"rows", "systems"} & set(content) or "settings" not in content:
            continue  # A benchmark of something else.
        results = in_one_form(content)
        # Baselines search the plain query, and have no formation.
        several = sum(one["formation"] is not None for one in results["retrievers"].values()) > 1
        drawn[f"{path.stem}-gain.png"] = interval_plot(results, []) if several else gain_plot(compared(results))
        if path.stem in COSTS:
            drawn[f"{path.stem}-cost.png"] = cost_plot(compared(results))
    return drawn


def put(name: str, shown: str) -> int:
    """Write a table between its marks in README.md and `docs`; returns how many places there are for it."""
    marks, places = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", 0
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        old = page.read_text()
        text, count = re.subn(marks, lambda found: f"{found[1]}{shown}{found[2]}", old, flags=re.DOTALL)
        places += count
        if text != old:
            page.write_text(text)
    return places


def demo_table() -> str:
    """What the demo gains, at a glance: four columns of its recorded results."""
    systems = one_retriever(in_one_form(json.loads((RESULTS / "demo.json").read_text())))["systems"]
    rows = [
        [name, f"{row['ndcg_at_10']:.4f}", delta_cell(row), f"{100 * row['helped']:.0f} % / {100 * row['hurt']:.0f} %"]
        for name, row in systems.items()
    ]
    rows[0][2:] = ["", ""]  # The plain query beside itself.
    return "\n".join([*table(["searched with", "nDCG@10", "Δ (95 % interval)", "helped / hurt"], rows), ""])


def unjudged_table() -> str:
    """A model that saw no judgment, on each collection, beside the better of two feedbacks and recorded teachers."""
    teachers = json.loads((RESULTS / "recorded_teachers.json").read_text())["collections"]
    rows = []
    for name, title in UNJUDGED.items():
        content = json.loads((RESULTS / f"unjudged-{name}.json").read_text())
        systems = one_retriever(in_one_form(content))["systems"]
        feedback = max((one for one in systems if "+rm3" in one), key=lambda one: systems[one]["ndcg_at_10"])
        recorded = next(iter(teachers[name]["retrievers"].values())) if name in teachers else {}
        row = systems["base"]
        rows.append(
            [
                f"{row['queries']} of {title}",
                *(f"{systems[one]['ndcg_at_10']:.4f}" for one in ("plain", feedback, "base")),
                delta_cell(row),
                delta_cell(row["against"][feedback]),
                *(f"{recorded[one]['ndcg_at_10']:.4f}" if one in recorded else "" for one in RECORDED),
            ]
        )
    titles = ["test queries", "plain", "feedback, no model", "eight passages, 135M", "Δ to plain", "Δ to feedback"]
    return "\n".join([*table([*titles, "one passage, 7B", "one passage, 72B"], rows), ""])


def short_table() -> str:
    """What a reader sees first: without and with the student, and what needs no language model."""
    rows = [[f"{search}: {queries}", plain, trained, words] for search, queries, plain, trained, *_, words in _rows()]
    return "\n".join([*table(["search: test queries", *(TITLES[column] for column in (2, 3, 8))], rows), ""])


def wide_table() -> str:
    """The same with gain, significance and harm."""
    return "\n".join([*table(TITLES, _rows()), ""])


def _rows() -> list[list[str]]:
    """One row for each kind of search and collection; scores are nDCG@10."""
    return [
        _row("pydocs", "dpo", STUDENT),
        _row("scifact", "dpo", STUDENT),
        _row("pydocs-expandr", "round-1/trained", PAIR),
        _row("scifact-expandr", "expander/trained", PAIR),
        _row("otherdocs", "dpo", NEW_STUDENT),
        _row("otherdocs-expandr", "round-1/trained", NEW_RETRIEVER),
    ]


def _row(name: str, system: str, search: str) -> list[str]:
    results = in_one_form(json.loads((RESULTS / f"{name}.json").read_text()))
    rows, reference = rows_by_system(results), results["reference"]
    row, gained = rows[system], rows[system]["against"][reference]
    _, slash, retriever = system.partition("/")
    shown = rows[f"{results['shown']}{slash}{retriever}"]
    return [
        search,
        f"{row['queries']} of {COLLECTIONS.get(results['collection']['name'], results['collection']['name'])}",
        f"{rows[reference]['ndcg_at_10']:.4f}",
        f"{row['ndcg_at_10']:.4f}",
        Markdown(f"**{100 * gained['relative']:+.1f} %**"),
        p_cell(gained["p_corrected"]),
        *(f"{100 * gained[share]:.0f} %" for share in ("helped", "hurt")),
        f"{shown['ndcg_at_10']:.4f}",
    ]


if __name__ == "__main__":
    main()

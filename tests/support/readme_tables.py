"""The tables of README and `docs` that say what options take, made from the classes that the options choose from.

    python -m tests.support.readme_tables

writes them anew, between `<!-- list of NAME -->` and `<!-- end of list of NAME -->`.
"""

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.collections.clicks import CLICKS
from builders.collections.folder import KINDS, PATHS
from builders.collections.load import SOURCES
from builders.collections.open_qa import OPEN_QA
from builders.collections.source import FolderKind
from builders.collections.training_pairs import PAIRS
from builders.expanders.load import EXPANDERS
from builders.prompts.context.load import CONTEXTS
from builders.retrievers.formulation import FORMULATIONS
from builders.retrievers.load import RETRIEVERS
from tests.support.commands import ROOT


RESULTS = ROOT / "benchmarks/results"
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def forms(named: Iterable[str]) -> str:
    return ", ".join(f"`{form}`" for form in named)


def of_kind(kind: FolderKind) -> str:
    alone = kind in (CLICKS, OPEN_QA, PAIRS)
    return "the folder, an archive of it, or the file" if alone else "the folder, or an archive of it"


def measured(name: str, *endings: str) -> str:
    """What a benchmark of speed recorded, a line a system; of `what`, that which ends in one of these."""
    rows = [row for row in recorded(name)["rows"] if row["what"].endswith(endings)]
    return markdown(
        ["measured", "system", "median", "from … to", "times ours"],
        [
            [row["what"], row["system"], f"{row['median']:.3g} {row['unit']}", f"{row['min']:.3g} … {row['max']:.3g}"]
            + [f"{row['ratio_to_ours']:.1f}"]
            for row in rows
        ],
    )


def aimed_at(*names: str) -> str:
    """The targets of benchmarks of speed, and what was reached."""
    return markdown(
        ["target", "bound", "reached", "met"],
        [
            [one["what"], one["target"], f"{one['reached']:.3g}", "yes" if one["met"] else "**no**"]
            for name in names
            for one in recorded(name)["targets"]
        ],
    )


def recorded(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def launchers() -> str:
    """How several processes are launched, as the configurations say it themselves."""
    rows = []
    for path in sorted((ROOT / "train/accelerate").glob("*.yaml")):
        lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
        said = " ".join(line.removeprefix("# ") for line in lines)
        rows.append([f"[`{path.name}`](../train/accelerate/{path.name})", said.rstrip(":.").split(". ")[0]])
    return markdown(["configuration", "what it launches"], rows)


def million_passages() -> str:
    """What BM25 over very many passages took."""
    found = recorded("large_index")
    index, search = found["index"], found["search"]
    rows = [
        ["index", f"{index['seconds']:.0f} s", f"{index['peak_mib']:,} MiB"],
        ["search, plain query", f"{search['ms_per_query']['plain']:.1f} ms a query", f"{search['peak_mib']:,} MiB"],
        ["search, `q*5+e`", f"{search['ms_per_query']['q*5+e']:.1f} ms a query", f"{search['peak_mib']:,} MiB"],
    ]
    return markdown([f"{found['passages']:,} passages, {found['hardware']}", "time", "peak memory"], rows)


def speed_tables() -> dict[str, str]:
    """Name → table of a benchmark of speed, of `docs/speed.md`."""
    return {
        "grading, seconds": measured("grading", "candidates"),
        "grading, CPU seconds": measured("grading", "all cores together"),
        "grading, first calls": measured("grading", "first call in a process"),
        "grading, targets": aimed_at("grading"),
        "generation, candidates": measured("generation", "a query of 20 tokens", "tokens, all cores together"),
        "generation, greedy": measured("generation", "at a time"),
        "generation, both engines": measured("generation", "queries, 20 tokens"),
        "generation, targets": aimed_at("generation"),
        "training, steps": measured("training_steps", "a step", "peak", "last loss"),
        "training, targets": aimed_at("training_steps"),
        "startup, seconds": measured("startup", ""),
        "startup, targets": aimed_at("startup"),
        "growth, targets": aimed_at("growth"),
    }


def tables() -> dict[str, str]:
    """Name → table."""
    folders = [[kind.reads, of_kind(kind)] for kind in KINDS]
    others = [[source.reads, forms(source.forms)] for source in SOURCES if source is not PATHS]
    return {
        "collections": markdown(["what you have", "what `--collection` takes"], [*folders, *others]),
        "retrievers": markdown(
            ["`--retriever`", "searches by", "languages"],
            [[forms(kind.forms), kind.searches_by, kind.languages] for kind in RETRIEVERS],
        ),
        "formulations": markdown(
            ["`--formation`", "ranks by"], [[f"`{kind.form}`", kind.ranks_by] for kind in FORMULATIONS]
        ),
        "expanders": markdown(["`--expander`", "what writes"], [[f"`{kind.name}`", kind.help] for kind in EXPANDERS]),
        "contexts": markdown(
            ["`grounding` of a prompt", "what it shows beside the query"],
            [[f"`{kind.name}`", kind.shows] for kind in CONTEXTS],
        ),
        "launchers": launchers(),
        "a million passages": million_passages(),
        **speed_tables(),
    }


def renewed() -> dict[Path, str]:
    """The README and the pages of `docs`, with their tables as they should be."""
    pages = {path: path.read_text() for path in GUIDES}
    for name, table in tables().items():
        marks = rf"(<!-- list of {name} -->\n).*?(<!-- end of list of {name} -->)"
        places = 0
        for path, text in pages.items():
            pages[path], count = re.subn(marks, rf"\1{escaped(table)}\2", text, flags=re.DOTALL)
            places += count
        assert places == 1, f"{places} places for the list of {name}"
    return pages


def escaped(text: str) -> str:
    """As the replacement of a pattern has it."""
    return text.replace("\\", r"\\")


if __name__ == "__main__":
    for path, text in renewed().items():
        path.write_text(text)

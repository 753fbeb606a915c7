"""Takes over an evaluation's results into the project: JSON and Markdown, with the time that each stage took.

    make results-pydocs && python benchmarks/record_results.py pydocs
    make results-expandr SCIFACT=folder && python benchmarks/record_results.py pydocs-expandr

Reads `out/NAME`, of `train/evaluate.py` or `train/matrix.py`, and writes `benchmarks/results/NAME.json` and `.md`.
Where README.md or a page of docs has marks for NAME, a short table stands there too; the tables and pictures of all
gains are made anew. A folder or file outside the project keeps its name alone: where it lay on one machine tells a
reader nothing.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import headline

from builders.artifacts.markdown import table
from train.evaluation.results_writer import EVALUATION, MATRIX


# The folders before the last name of a path that begins with `../` or `/`, alone or after a space, `=` or a quote.
OUTSIDE = re.compile(r"""(?<![^\s='"])(?:\.\./|/)(?:[^/\s,='"]+/)*(?=[^/\s,='"])""")


RESULTS = (EVALUATION, MATRIX)


def main() -> None:
    """Copy, add the stages, rewrite."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__, formatter_class=raw)
    parser.add_argument("name", help="folder under out/, e.g. pydocs, rfd or pydocs-expandr")
    name = parser.parse_args().name
    source, kept = ROOT / "out" / name, ROOT / "benchmarks/results"
    made = [result for result in RESULTS if (source / result.files[0]).is_file()]
    if not made:
        sys.exit(f"out/{name}: neither {' nor '.join(result.files[0] for result in RESULTS)} is there: make it first")
    if len(made) > 1:
        sys.exit(
            f"out/{name}: {' and '.join(result.files[0] for result in made)} are both there: keep one in the folder"
        )
    (result,) = made
    results = json.loads((source / result.files[0]).read_text())
    results["stages"] = stages(source)
    results = without_places(results)
    (kept / f"{name}.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    text = result.table(results) + "\n" + "\n".join(stage_lines(results["stages"])) + "\n"
    (kept / f"{name}.md").write_text(text)
    for of_rounds in (*source.glob("rounds/rounds.*"), *source.glob("alternation/alternation.*")):
        shutil.copyfile(of_rounds, kept / f"{name}-{of_rounds.name}")
    count = headline.put(f"{name} table", result.first_table(results))
    headline.main()
    shown = f"{kept.relative_to(ROOT)}/{name}.* show the results of {results['code_version']}"
    print(f"{shown}; tables in README and docs: {count}")


def without_places(value: Any) -> Any:
    """Results whose paths out of the project are cut: `--collection ../data/scifact` → `--collection scifact`."""
    if isinstance(value, str):
        return OUTSIDE.sub("", value)
    if isinstance(value, dict):
        return {name: without_places(each) for name, each in value.items()}
    return [without_places(each) for each in value] if isinstance(value, list) else value


def stages(source: Path) -> list[dict[str, Any]]:
    """Every dataset, adapter and filter beneath a folder, with what making it took, in the order they were made."""
    found = []
    for path in sorted(source.rglob("timing.json")):
        timing = json.loads(path.read_text())
        made: dict[str, Any] = {"stage": str(path.parent.relative_to(source)), **timing}
        training = path.with_name("training.json")
        if training.is_file():
            record = json.loads(training.read_text())
            made |= {name: record[name] for name in ("steps", "rows", "effective_batch_size") if name in record}
        found.append(made)
    return sorted(found, key=lambda made: (made["finished"], made["stage"]))


def stage_lines(found: list[dict[str, Any]]) -> list[str]:
    """The stages as a Markdown table."""
    lines = []
    for made in found:
        seconds = made.get("seconds", made.get("total_seconds"))
        # Of an interrupted stage only the last run is known.
        minutes = "" if seconds is None else f"{'> ' if made.get('resumed') else ''}{seconds / 60:.1f}"
        rows = ", ".join(f"{count} {role}" for role, count in made.get("rows", {}).items())
        lines.append([made["stage"], minutes, str(made.get("steps", "")), rows, str(made.get("peak_memory_mib", ""))])
    return table(["stage", "minutes", "steps", "rows", "peak MiB"], lines)


if __name__ == "__main__":
    main()

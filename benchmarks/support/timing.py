"""What the benchmarks of speed share: systems measured in turn, medians as a table, and one form of JSON.

A benchmark measures, makes rows and targets, and reports them:

    args = arguments(__doc__)
    values = in_turn({"kit": seconds(ours), "pyserini": seconds(theirs)}, runs=5)
    rows = rows_of("SciFact, 2,000 queries", "s", values)
    report("grading", rows, [at_least("SciFact against pyserini", 20, rows[1]["ratio_to_ours"])], args)

The JSON: {"benchmark", "machine", "rows": [{"what", "system", "median", "min", "max", "unit", "ratio_to_ours"}],
"targets": [{"what", "target", "reached", "met"}]}, and which command, code and packages it was made with.
"""

import argparse
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from builders.artifacts.files import atomic_write, dump_json
from builders.artifacts.markdown import table
from builders.artifacts.provenance import cores, made_by


RESULTS = Path(__file__).resolve().parent.parent / "results"


def arguments(doc: str | None, *add: Callable[[argparse.ArgumentParser], Any]) -> argparse.Namespace:
    """The command line: `--quick`, `--output` and what the benchmark adds to the parser."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="Less of everything, in under a minute; not recorded.")
    parser.add_argument("--output", type=Path, help="JSON file to write; by default, unless --quick, in results/.")
    for one in add:
        one(parser)
    return parser.parse_args()


def seconds(work: Callable[[], Any]) -> Callable[[], float]:
    """A measurement of the time that something takes."""

    def measured() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return measured


def in_turn(systems: Mapping[str, Callable[[], float]], runs: int, warm_up: bool = True) -> dict[str, list[float]]:
    """Measure systems one after the other, so often, so that a slow minute of the machine falls on all of them.

    Args:
        systems (`Mapping`):
            System → what measures it once, e.g. [`seconds`] of its work.
        runs (`int`):
            Rounds that count.
        warm_up (`bool`, *optional*, defaults to `True`):
            Whether a round goes before that does not count.
    """
    values: dict[str, list[float]] = {system: [] for system in systems}
    for round in range(runs + warm_up):
        for system, measure in systems.items():
            value = measure()
            if round >= warm_up:
                values[system].append(value)
    return values


def rows_of(what: str, unit: str, values: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """A row a system; the first system is ours.

    `ratio_to_ours` says how many times ours is better: of seconds and mebibytes (theirs over ours), and of a unit that
    ends in `/s`, of which more is better, ours over theirs. Ours has 1.
    """
    medians = {system: median(found) for system, found in values.items()}
    ours = next(iter(medians.values()))
    return [
        {
            "what": what,
            "system": system,
            "median": medians[system],
            "min": min(found),
            "max": max(found),
            "unit": unit,
            "ratio_to_ours": ours / medians[system] if unit.endswith("/s") else medians[system] / ours,
        }
        for system, found in values.items()
    ]


def at_least(what: str, bound: float, reached: float) -> dict[str, Any]:
    """A target that is met by so much and more."""
    return {"what": what, "target": f">= {bound:g}", "reached": reached, "met": reached >= bound}


def at_most(what: str, bound: float, reached: float) -> dict[str, Any]:
    """A target that is met by so much and less."""
    return {"what": what, "target": f"<= {bound:g}", "reached": reached, "met": reached <= bound}


def report(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    targets: Sequence[Mapping[str, Any]],
    args: argparse.Namespace,
    **facts: Any,
) -> None:
    """Print rows and targets as tables, and write them as JSON where [`arguments`] say.

    Args:
        name (`str`):
            Of the benchmark: the module's.
        rows (`Sequence`), targets (`Sequence`):
            See [`rows_of`], [`at_least`] and [`at_most`].
        args (`argparse.Namespace`):
            Of [`arguments`].
        facts (`Any`):
            What else the JSON says.
    """
    measured = [
        [row["what"], row["system"], *(f"{row[key]:.4g}" for key in ("median", "min", "max")), row["unit"]]
        + [f"{row['ratio_to_ours']:.2f}"]
        for row in rows
    ]
    print(machine(), "", sep="\n")
    print(*table(["what", "system", "median", "min", "max", "unit", "ratio to ours"], measured), sep="\n")
    if targets:
        checked = [
            [one["what"], one["target"], f"{one['reached']:.4g}", "yes" if one["met"] else "**no**"] for one in targets
        ]
        print("", *table(["target", "bound", "reached", "met"], checked), sep="\n")
    output = args.output or (None if args.quick else RESULTS / f"{name}.json")
    if output:
        results = {"benchmark": name, "machine": machine(), "rows": rows, "targets": targets, **facts}
        atomic_write(output, dump_json(results | made_by(f"python -m benchmarks.{name}")).encode())


def commit(folder: Path) -> str:
    """The commit that a checkout stands at."""
    command = ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def machine() -> str:
    """The machine that something was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), flags=re.MULTILINE)
    return f"{cores()}{f', {found[1]}' if found else ''}, {memory:.0f} GiB"


def peak_mib() -> int:
    """The most memory that this process had resident, files that it maps included."""
    return int(_read("/proc/self/status").partition("VmHWM:")[2].split()[0]) // 1024


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).is_file() else ""

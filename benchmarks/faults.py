"""What was tried against the kit, and what held: runs the fault matrix and all that belongs to it, area by area.

    python benchmarks/faults.py         # hours of two cores: writes benchmarks/results/faults.json and docs/trust.md
    python benchmarks/faults.py locks   # only the areas with such tests anew
    python benchmarks/faults.py --page  # only docs/trust.md, from the recorded results

Every trial is a test of the slow tier; what each demands stands there.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "benchmarks/results/faults.json", ROOT / "docs/trust.md"
sys.path.insert(0, str(ROOT))

from builders.artifacts.files import atomic_write, dump_json
from builders.artifacts.markdown import Markdown, table
from builders.artifacts.provenance import cores, made_by


# What is tried → the tests that try it.
AREAS: dict[str, tuple[str, ...]] = {
    "every request of a publish × every fault": ("publishing/test_fault_matrix.py",),
    "answers that make no sense": ("publishing/test_senseless_answers.py",),
    "faults of the storage and of xet; silence; commits that may be done": (
        *("publishing/test_faults.py", "publishing/test_silence.py", "publishing/test_maybe_done.py"),
        "publishing/test_read_back.py",
    ),
    "others at work on the repository, two publishers at once": ("publishing/test_races.py",),
    "a publish killed at random, then run again": ("publishing/test_kills.py",),
    "a release: a fault at every part, a kill at random, then run again": tuple(
        f"publishing/test_release.py::{name}"
        for name in (
            *("test_after_a_failure_the_report_is_true_and_the_next_run_goes_on", "test_lost_answers_are_no_failures"),
            *("test_killed_then_run_again", "test_killed_at_a_random_request_then_run_again"),
        )
    ),
    "full disks, pipes and links in what is published": ("publishing/test_local_faults.py",),
    "a kill at every change of a folder or file that takes its place": ("artifacts/test_swap.py",),
    "two builds at once in one folder": ("artifacts/test_locks.py",),
    "every command killed at random changes of its files, then run again": ("commands/test_killed.py",),
    "paid answers: killed at random, then run again": ("expanders/test_paid_once.py",),
    "bad inputs of all commands": ("commands/test_fuzz.py",),
}
KEYS = ("tried", "held", "skipped")
TEXT = """# What does it promise, and what was tried?

- **Old or new.** A folder, a file and a repository hold the old state or the new one, whole, at every instant; where a
  kill came between two renames, the next command puts the old one back.
- **The truth in one line.** A command ends well, or with one line that says what is wrong, where and what to do, and
  exit code 2. What was published is never called refused, and what was not is never called published; where nobody
  can know, that is said.
- **Run it again.** The same command goes on where it was, ends in the bytes of an undisturbed run, and leaves nothing
  else. No answer that was on disk is paid for again.
- **Nothing hangs.** A server that is silent or asks for a day's patience is given up after minutes.
- **Only what is ours.** A folder that the kit did not make is not replaced; one command works in a folder at a time.

{command} ran all of this, with code {versions} on {hardware}:

{areas}

A trial held when all of the above did. Every request of a publish of {kinds}, with a tag and made public, was answered
with each of these faults, once or from there on for ever. *Went on*: the publish ended well by itself. *Told*: it
ended in one line, or was killed. Either way what is on the Hub was the old version or the new one, and the next run
made the rest, with no commit twice.

{faults}
"""


def main() -> None:
    """Run the trials, and write what came of them after every area."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", help="parts of the names of test files; all by default")
    parser.add_argument("--page", action="store_true", help="only write the page")
    args = parser.parse_args()
    os.chdir(ROOT)
    wanted = [
        name for name, files in AREAS.items() if any(part in file for part in args.tests or [""] for file in files)
    ]
    by = {"hardware": cores(), **made_by("python benchmarks/faults.py")}  # What is written below changes the checkout.
    for name in () if args.page else wanted:
        found = {**tried(AREAS[name]), **by}
        results = {**recorded(), name: found}
        atomic_write(RESULTS, dump_json(results).encode())
    atomic_write(PAGE, page(recorded()).encode())
    print(f"{PAGE.relative_to(ROOT)}: written")


def recorded() -> dict[str, Any]:
    """The results of all areas that were tried so far."""
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {area: found[area] for area in AREAS if area in found}


class Counted:
    """A plugin of pytest that adds up what was tried."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[dict[str, Any]] = []
        self.broken: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Of a test that says how much it tried take that, of others one."""
        if report.when != "call" and report.passed:
            return
        trials = dict(report.user_properties).get("trials", {})
        number = trials.get("tried", 1)
        if report.skipped:
            self.counts["skipped"] += 1
            return
        self.counts["tried"] += number
        self.counts["held"] += number - trials.get("broken", number if report.failed else 0)
        if "fault" in trials:
            self.faults.append(trials)
        if report.failed:
            self.broken.append(report.nodeid)


def tried(files: Sequence[str]) -> dict[str, Any]:
    """What the tests in some files tried, and what held; of the matrix each fault by itself."""
    import pytest

    counted = Counted()
    options = ["-m", "", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "worksteal"]
    pytest.main([*options, *(f"tests/{name}" for name in files)], plugins=[counted])
    faults = sorted(counted.faults, key=lambda one: (one["fault"], one["kind"]))
    return {**{key: counted.counts[key] for key in KEYS}, "faults": faults, "broken": counted.broken}


def page(results: Mapping[str, Any]) -> str:
    """The page, from the results alone."""
    areas = [[name, *(f"{one[key]:,}" for key in KEYS)] for name, one in results.items()]
    total = [Markdown("**all**"), *(Markdown(f"**{sum(one[key] for one in results.values()):,}**") for key in KEYS)]
    faults = [fault for one in results.values() for fault in one["faults"]]
    return TEXT.format(
        command=f"`{next(iter(results.values()))['command']}`",
        hardware=", ".join(sorted({one["hardware"] for one in results.values()})),
        versions=", ".join(sorted({one["code_version"] for one in results.values()})),
        kinds=", ".join(f"a {kind}" for kind in sorted({one["kind"] for one in faults})).replace("a a", "an a"),
        areas="\n".join(table(["tried", "trials", "held", "not possible there"], [*areas, total])),
        faults="\n".join(table(["fault", "trials", "went on", "told", "neither"], _by_fault(faults))),
    )


def _by_fault(trials: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row a fault, over all kinds."""
    found: dict[str, Counter[str]] = {}
    for one in trials:
        found.setdefault(one["fault"], Counter()).update({key: one[key] for key in ("tried", "went_on", "broken")})
    return [
        [fault, *(f"{n:,}" for n in (c["tried"], c["went_on"], c["tried"] - c["went_on"] - c["broken"], c["broken"]))]
        for fault, c in found.items()
    ]


if __name__ == "__main__":
    main()

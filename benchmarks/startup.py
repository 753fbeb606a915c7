"""How long one waits before anything happens: `--help`, importing the library, and reading pydocs for the first time.

    python -m benchmarks.startup [--quick] [--before FOLDER] [--output FILE]

FOLDER is a checkout to compare with, measured in turn.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.support.timing import arguments, at_most, in_turn, report, rows_of, seconds


ROOT = Path(__file__).resolve().parent.parent
RUNS, QUICK_RUNS = 5, 2
READ = "from builders.collections.load import load_collection; load_collection('pydocs')"
# What, the command and the seconds that it may take.
STARTS = {
    "python -m builders --help": (["-m", "builders", "--help"], 1.0),
    "import builders": (["-c", "import builders"], 0.3),
    "pydocs, read for the first time": (["-c", READ], 6.0),
}


def main() -> None:
    """Measure every start, and report."""
    args = arguments(__doc__, _add_options)
    rows, targets = [], []
    for what, (command, bound) in STARTS.items():
        trees = {"kit": ROOT} | ({"kit before": args.before} if args.before else {})
        starts = {system: seconds(partial(start, command, tree)) for system, tree in trees.items()}
        rows += rows_of(what, "s", in_turn(starts, QUICK_RUNS if args.quick else RUNS))
        targets.append(at_most(what, bound, rows[-len(trees)]["median"]))
    report("startup", rows, targets, args)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--before", type=Path, help="Checkout of the kit to compare with.")


def start(command: list[str], tree: Path) -> None:
    """Run Python once, with a cache of its own."""
    path = os.pathsep.join([str(tree.resolve()), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"PYTHONPATH": path, "QUERY_EXPANSION_KIT_CACHE": cache}
        subprocess.run([sys.executable, *command], cwd=tree, env=environment, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()

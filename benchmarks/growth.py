"""How time and memory grow with the candidates: grading them, and building a dataset of them, up to 100,000.

    python -m benchmarks.growth [--quick] [--output FILE]

Grading is the kit's over pydocs by bm25s, of the same two thousand candidates again and again. Building is
`python -m builders expansions` with recorded passages, so that no model is needed. Each size is a process of its own.
Beside the JSON, in a file of the same name, a picture shows both.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.grading import CANDIDATES, OF_A_QUERY, pydocs_task
from benchmarks.support.timing import RESULTS, arguments, at_most, report
from builders.artifacts.files import atomic_write
from builders.collections.load import load_collection
from builders.plots.style import png, subplots


ROOT = Path(__file__).resolve().parent.parent
SIZES = {
    "grading": (1_000, 3_000, 10_000, 30_000, 100_000),
    "building": (1_000, 3_000, 10_000, 20_000),
}
QUICK_SIZES = {"grading": (1_000, 10_000), "building": (300, 1_000)}
# Time at the largest size over what it would be if it grew in proportion from the middle one, and memory likewise: of
# the process, over that at the smallest size.
LINEAR, FLAT = 1.25, 1.5


def main() -> None:
    """Measure every size, and report."""
    args = arguments(__doc__)
    measured: dict[str, dict[int, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, sizes in (QUICK_SIZES if args.quick else SIZES).items():
            step = {"grading": grading, "building": building}[what]
            measured[what] = {size: step(size, folder) for size in sizes}
    rows = [
        {"what": what, "system": f"{size:,} candidates", "median": value, "min": value, "max": value, "unit": unit}
        | {"ratio_to_ours": 1.0}
        for what, of_size in measured.items()
        for size, values in of_size.items()
        for unit, value in values.items()
    ]
    targets = [target for what, of_size in measured.items() for target in checks(what, of_size)]
    report("growth", rows, targets, args)
    output = args.output or (None if args.quick else RESULTS / "growth.json")
    if output:
        atomic_write(output.with_suffix(".png"), plot(measured))


def checks(what: str, of_size: Mapping[int, Mapping[str, float]]) -> list[dict[str, Any]]:
    """Whether time grew in proportion, from size to size, and memory did not."""
    sizes = sorted(of_size)
    middle, largest = sizes[len(sizes) // 2 - (len(sizes) == 2)], sizes[-1]
    growth = of_size[largest]["s"] / of_size[middle]["s"] / (largest / middle)
    memory = of_size[largest]["MiB"] / of_size[sizes[0]]["MiB"]
    return [
        at_most(f"{what}: time, {middle:,} to {largest:,}, over the growth of the candidates", LINEAR, growth),
        at_most(f"{what}: memory, {sizes[0]:,} to {largest:,}, growth", FLAT, memory),
    ]


def grading(size: int, folder: Path) -> dict[str, float]:
    """Seconds to grade so many candidates, and the most memory of the process."""
    task = folder / f"grading-{size}.json"
    given = pydocs_task(min(size, CANDIDATES))
    task.write_text(json.dumps(given | {"pairs": [given["pairs"][n % len(given["pairs"])] for n in range(size)]}))
    command = [sys.executable, str(ROOT / "benchmarks/support/grading_worker.py"), "kit", str(task)]
    answers = _run(command, "run\npeak\n").splitlines()
    return {"s": float(answers[1]), "MiB": float(answers[2])}


def building(size: int, folder: Path) -> dict[str, float]:
    """Seconds to build a dataset of so many candidates, start of the command included, and its most memory."""
    collection = load_collection("pydocs")
    queries = collection.split("train")[: size // OF_A_QUERY]
    passages = [" ".join(document.text.split()[:60]) for document in collection.documents]
    recorded = folder / f"recorded-{size}.jsonl"
    rows = [
        {"query_id": query.id, "expansion": passages[(number * OF_A_QUERY + n) % len(passages)], "model": "m/recorded"}
        for number, query in enumerate(queries)
        for n in range(-(-size // len(queries)))
    ]
    recorded.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = [sys.executable, "-c", PEAK, "expansions", "--expander", "recorded", "--recorded", str(recorded)]
    command += ["--prompts", "api-docs-zero-shot", "--samples", str(-(-size // len(queries)))]
    command += ["--num_train", str(len(queries)), "--output_dir", str(folder / f"built-{size}")]
    seconds, mib = _run(command).split()[-2:]
    return {"s": float(seconds), "MiB": float(mib)}


# What a command takes, told by itself: its time without the imports would leave out what a person waits for.
PEAK = """
import sys, time
started = time.perf_counter()
from benchmarks.support.timing import peak_mib
from builders.__main__ import main
main()
print(time.perf_counter() - started, peak_mib())
"""


def _run(command: Sequence[str], given: str = "") -> str:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, input=given, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} …: ended with {done.returncode}")
    return done.stdout


def plot(measured: Mapping[str, Mapping[int, Mapping[str, float]]]) -> bytes:
    """A PNG: time by candidates, where a line of slope 1 is growth in proportion, and memory."""
    figure, axes = subplots(2, 1, 5.4, sharex=True)
    time_axis, memory = axes.flat
    for axis, unit, label in zip((time_axis, memory), ("s", "MiB"), ("seconds", "peak memory, MiB"), strict=True):
        for what, of_size in measured.items():
            axis.plot([*of_size], [values[unit] for values in of_size.values()], "o-", label=what)
        axis.set_xscale("log")
        axis.set_ylabel(label)
    memory.set_xlabel("candidates")
    time_axis.set_yscale("log")
    # Powers of ten would be written as formulas, which the style shows as they stand.
    for axis in (memory.xaxis, time_axis.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.12g}")
    memory.set_ylim(bottom=0)
    time_axis.legend()
    return png(figure)


if __name__ == "__main__":
    main()

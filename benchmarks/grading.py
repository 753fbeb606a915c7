"""How fast candidates are graded by BM25: the kit, the kit before, pyserini and bm25s on the same expanded queries.

    python -m benchmarks.grading [--quick] [--before FOLDER] [--large FOLDER] [--output FILE]

2,000 candidates, query by query, on SciFact (recorded passages, of the test data beside the project) and on pydocs
(passages of its documents). pyserini and bm25s search for ten documents and measure nDCG@10; the kit ranks a hundred,
as it always does, and makes all its measures. Every system is a process of its own, on two threads where it can have
several; they are measured in turn. FOLDER of --before is a checkout to compare with, of --large a folder of
`python benchmarks/large_index.py --folder`, whose million passages and index are searched, too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Self

from benchmarks.large_index import EXPANSION_LENGTH, QUERY_LENGTH, Words
from benchmarks.support.timing import arguments, at_least, at_most, commit, in_turn, report, rows_of
from builders.collections.collection import Collection
from builders.collections.load import load_collection
from builders.expanders.recordings import read_recorded
from builders.prompts.output_check import is_silent


ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared/data"
RECORDED = {"method": "query2doc|genqr"}
# Of a document, so that the expanded query has some 150 words.
PASSAGE_WORDS = 112
RUNS, QUICK_RUNS = 5, 3
CANDIDATES, QUICK_CANDIDATES, OF_A_QUERY = 2_000, 500, 10
LARGE_CANDIDATES = 160
KIT, PLAIN, BEFORE, PYSERINI = "kit", "kit without numba", "kit before", "pyserini"
BM25S, BM25S_NUMBA = "bm25s, numpy", "bm25s, numba"
# What the kit should be faster by.
BOUNDS = {BEFORE: 8, PYSERINI: 20, BM25S: 6}
LARGE_BOUND, LARGE_MIB = 4, 4 * 1024

Task = dict[str, Any]


def main() -> None:
    """Measure every task, and report."""
    args = arguments(__doc__, _add_options)
    candidates = QUICK_CANDIDATES if args.quick else CANDIDATES
    tasks = {"pydocs": pydocs_task(candidates)}
    if not args.quick and (DATA / "scifact").is_dir():
        tasks = {"SciFact": scifact_task(candidates)} | tasks
    elif not args.quick:
        sys.stderr.write(f"{DATA}: no scifact there, so it is left out\n")
    systems = _systems(args)
    rows, targets = [], []
    for name, task in tasks.items():
        found, checks = measured(f"{name}, {len(task['pairs']):,} candidates", task, systems, BOUNDS, args)
        rows, targets = rows + found, targets + checks
    if args.large:
        task = large_task(args.large / "synthetic")
        what, large = f"1,000,000 passages, {LARGE_CANDIDATES} candidates", [KIT, PYSERINI]
        cache = {"QUERY_EXPANSION_KIT_CACHE": str(args.large.resolve() / "cache")}
        found, checks = measured(what, task, [s for s in systems if s in large], {PYSERINI: LARGE_BOUND}, args, cache)
        (memory,) = (row["median"] for row in found if row["system"] == KIT and row["unit"] == "MiB")
        rows, targets = rows + found, [*targets, *checks, at_most(f"{what}: MiB", LARGE_MIB, memory)]
    report("grading", rows, targets, args, kit_before=commit(args.before) if args.before else None)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--before", type=Path, help="Checkout of the kit to compare with.")
    parser.add_argument("--large", type=Path, help="Folder of large_index.py, with its passages and index.")


def _systems(args: argparse.Namespace) -> list[str]:
    numba, java = find_spec("numba") is not None, find_spec("pyserini") is not None and not args.quick
    if not numba:
        sys.stderr.write("numba is not installed (extra `fast`): the kit is measured without it\n")
    there = {KIT: True, PLAIN: numba, BEFORE: bool(args.before), PYSERINI: java, BM25S: True, BM25S_NUMBA: numba}
    return [system for system, known in there.items() if known]


def scifact_task(candidates: int) -> Task:
    """Recorded passages of two teachers, written for the test queries."""
    collection = load_collection(str(DATA / "scifact"))
    recorded = read_recorded(str(DATA / "recorded-expansions/scifact.jsonl.gz"), RECORDED)
    written: dict[str, list[str]] = {}
    for row in recorded:
        written.setdefault(row.query_id, []).append(row.text)
    return _task(str(DATA / "scifact"), collection, written, candidates)


def pydocs_task(candidates: int) -> Task:
    """Beginnings of documents, as if they had been written for the test queries."""
    collection = load_collection("pydocs")
    passages = [" ".join(document.text.split()[:PASSAGE_WORDS]) for document in collection.documents]
    written = {
        query.id: [passages[7 * (OF_A_QUERY * number + n) % len(passages)] for n in range(OF_A_QUERY)]
        for number, query in enumerate(collection.split("test"))
    }
    return _task("pydocs", collection, written, candidates)


def large_task(folder: Path) -> Task:
    """Queries and expansions of the words of the synthetic passages, each with one passage judged at random."""
    import numpy as np

    generator = np.random.default_rng(1)
    draw = Words(generator)
    queries = {f"q{number}": draw.text(QUERY_LENGTH) for number in range(LARGE_CANDIDATES // OF_A_QUERY)}
    qrels = {query_id: {f"p{generator.integers(10**6)}": 1} for query_id in queries}
    pairs = [(query_id, draw.text(EXPANSION_LENGTH)) for query_id in queries for _ in range(OF_A_QUERY)]
    return {"collection": str(folder.resolve()), "queries": queries, "qrels": qrels, "pairs": pairs}


def _task(name: str, collection: Collection, written: Mapping[str, list[str]], candidates: int) -> Task:
    """The first so many candidates, query by query, as a build grades them; echoes are not searched as written."""
    asked = {query_id: collection.queries[query_id].text for query_id in written}
    said = ((key, text) for key in sorted(asked) for text in written[key] if not is_silent(text, asked[key]))
    pairs = list(islice(said, candidates))
    judged = {query_id for query_id, _ in pairs}
    qrels = {query_id: dict(collection.qrels[query_id]) for query_id in judged}
    return {"collection": name, "queries": {key: asked[key] for key in judged}, "qrels": qrels, "pairs": pairs}


def measured(
    what: str,
    task: Task,
    systems: list[str],
    bounds: Mapping[str, float],
    args: argparse.Namespace,
    environment: Mapping[str, str] | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and targets of one task."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if task["collection"] == "pydocs":
            # As files, since another checkout may read the libraries in another way.
            task = task | {"collection": str(folder)}
            write_documents(load_collection("pydocs"), folder)
        path = folder / "task.json"
        path.write_text(json.dumps(task))
        trees = {system: args.before if system == BEFORE else ROOT for system in systems}
        workers = {
            system: stack.enter_context(Worker(system, path, tree, environment or {}))
            for system, tree in trees.items()
        }
        for worker in workers.values():
            worker.wait()
        worked: dict[str, list[float]] = {system: [] for system in systems}

        def run(system: str) -> float:
            seconds: float = workers[system].ask("run")
            worked[system].append(workers[system].ask("cpu"))
            return seconds

        ask: dict[str, Callable[[], float]] = {system: partial(run, system) for system in systems}
        first = {system: [ask[system]()] for system in systems}
        values = in_turn(ask, QUICK_RUNS if args.quick else RUNS)
        # Without the first call and the round that does not count.
        cpu = {system: found[2:] for system, found in worked.items()}
        memory = {system: [float(worker.ask("peak"))] for system, worker in workers.items()}
        ndcg = {system: worker.ask("ndcg") for system, worker in workers.items()}
    rows = [*rows_of(what, "s", values), *rows_of(f"{what}, all cores together", "CPU s", cpu)]
    rows += rows_of(f"{what}, first call in a process", "s", first)
    rows += rows_of(f"{what}, peak memory", "MiB", memory)
    ratios = {row["system"]: row["ratio_to_ours"] for row in rows[: len(systems)]}
    targets = [at_least(f"{what}: against {name}", bounds[name], ratios[name]) for name in bounds if name in ratios]
    for system in (PLAIN, BEFORE):
        if system in ndcg:
            apart = max(abs(one - other) for one, other in zip(ndcg[KIT], ndcg[system], strict=True))
            targets.append(at_most(f"{what}: nDCG@10 of a query, difference to {system}", 1e-6, apart))
    return rows, targets


def write_documents(collection: Collection, folder: Path) -> None:
    """The documents as a folder in BEIR form, with one judged query, since a collection needs one."""
    lines = [json.dumps({"_id": one.id, "title": "", "text": one.text}) for one in collection.documents]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "a query"}\n')
    (folder / "qrels").mkdir()
    (folder / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq\t{json.loads(lines[0])['_id']}\t1\n")
    (folder / "collection.yaml").write_text(f"language: {collection.language}\n")


class Worker:
    """A process of `grading_worker.py`."""

    def __init__(self, system: str, task: Path, tree: Path, environment: Mapping[str, str]) -> None:
        self._system = system
        command = [sys.executable, str(ROOT / "benchmarks/support/grading_worker.py"), system, str(task)]
        path = os.pathsep.join([str(tree.resolve()), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            command,
            cwd=tree,
            env=os.environ | {"PYTHONPATH": path} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def wait(self) -> None:
        """Until it has its index."""
        self._line()

    def ask(self, what: str) -> Any:
        """Its answer to one word."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self._system}: the process has ended; see above")
        return line


if __name__ == "__main__":
    main()

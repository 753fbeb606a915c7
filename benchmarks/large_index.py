"""Memory and time of `bm25s` on a million passages: the index is built in one process and searched in another.

    python benchmarks/large_index.py

The passages are synthetic: words of a vocabulary of 500,000 by Zipf's law, 56 to a passage in the mean, as in
MS MARCO. They are read from a folder in BEIR form, as a collection of one's own is. Writes results/large_index.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from builders.artifacts.provenance import cores, made_by
from builders.collections.load import load_collection
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever


if TYPE_CHECKING:
    import numpy as np

    from builders.retrievers.retriever import Retriever

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

RESULTS = ROOT / "benchmarks/results/large_index.json"
VOCABULARY = 500_000
LENGTH = 56
QUERIES = 200
QUERY_LENGTH, EXPANSION_LENGTH = 6, 80
FORMATION = "q*5+e"
DEPTH = 100
LIMIT_MIB = 3 * 1024


def main() -> None:
    """All steps, or the one that a child process is asked for."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="Where passages and index lie; by default a temporary folder.")
    parser.add_argument("--output", type=Path, default=RESULTS, help="The JSON file to write.")
    parser.add_argument("--step", choices=("index", "search"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps({"index": index, "search": search}[args.step](args.folder)))
        return
    if args.folder:
        report(args.folder, args.passages, args.output)
        return
    with tempfile.TemporaryDirectory(prefix="large-index-") as folder:
        report(Path(folder), args.passages, args.output)


def report(folder: Path, passages: int, output: Path) -> None:
    """Write the passages, index and search them in processes of their own, and record what that took."""
    collection = folder / "synthetic"
    write_collection(collection, passages)
    results = {
        "passages": passages,
        "corpus_mib": round((collection / "corpus.jsonl").stat().st_size / 2**20),
        "index": step("index", collection),
        "search": step("search", collection),
        "limit_mib": LIMIT_MIB,
        **made_by(f"python benchmarks/large_index.py --passages {passages}"),
        "hardware": cores(),
    }
    output.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    if max(results["index"]["peak_mib"], results["search"]["peak_mib"]) > LIMIT_MIB:
        sys.exit(f"more than {LIMIT_MIB} MiB")


def step(name: str, collection: Path) -> dict[str, float]:
    """One step in a process of its own, whose peak is its own."""
    command = [sys.executable, __file__, "--step", name, "--folder", str(collection)]
    environment = os.environ | {"QUERY_EXPANSION_KIT_CACHE": str(collection.with_name("cache"))}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def index(folder: Path) -> dict[str, float]:
    """Load the collection and build the index."""
    started = time.perf_counter()
    retriever = load(folder)
    files = sum(path.stat().st_size for path in (folder.with_name("cache") / "bm25s").rglob("*") if path.is_file())
    found = {"seconds": round(time.perf_counter() - started, 1), "peak_mib": peak_mib()}
    return found | {"index_mib": round(files / 2**20), "retriever": retriever.name}


def search(folder: Path) -> dict[str, float]:
    """Load collection and index, and search with queries, plain and expanded."""
    import numpy as np

    started = time.perf_counter()
    retriever, formation = load(folder), load_formulation(FORMATION)
    loaded = time.perf_counter() - started
    draw = Words(np.random.default_rng(1))
    asked = [(draw.text(QUERY_LENGTH), [draw.text(EXPANSION_LENGTH)]) for _ in range(QUERIES)]
    milliseconds = {}
    for name, of_kind in (("plain", [(query, []) for query, _ in asked]), (FORMATION, asked)):
        started = time.perf_counter()
        rankings = formation.search(retriever, of_kind, DEPTH)
        milliseconds[name] = round(1000 * (time.perf_counter() - started) / QUERIES, 1)
        assert mean(len(hits) for hits in rankings) > DEPTH / 2
    return {"load_seconds": round(loaded, 1), "peak_mib": peak_mib(), "queries": QUERIES, "ms_per_query": milliseconds}


def load(folder: Path) -> "Retriever":
    """The retriever over the passages."""
    return load_retriever("bm25s", load_collection(str(folder)))


def peak_mib() -> int:
    """The most memory that this process had resident, files that it maps included."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def write_collection(folder: Path, passages: int) -> None:
    """Passages, and one judged query, since a collection needs one."""
    import numpy as np
    from tqdm import tqdm

    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    draw = Words(generator)
    lengths = np.maximum(5, generator.lognormal(np.log(LENGTH) - 0.125, 0.5, passages)).astype(int)
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number, length in enumerate(tqdm(lengths, desc="writing", unit=" passages")):
            corpus.write(f'{{"_id": "p{number}", "title": "", "text": "{draw.text(length)}"}}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "a query"}\n')
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp0\t1\n")


class Words:
    """Words by Zipf's law."""

    def __init__(self, generator: "np.random.Generator") -> None:
        import numpy as np

        weights = 1 / (np.arange(VOCABULARY) + 2.7)
        self._until = np.cumsum(weights / weights.sum())
        self._generator = generator
        # z and a number in letters, so that no stemmer makes two of them one.
        digits = str.maketrans("0123456789", "bcdfghjklm")
        self._words = [f"z{number}".translate(digits) for number in range(VOCABULARY)]

    def text(self, length: int) -> str:
        """A text of so many words."""
        numbers = self._until.searchsorted(self._generator.random(length))
        return " ".join([self._words[number] for number in numbers.tolist()])


if __name__ == "__main__":
    main()

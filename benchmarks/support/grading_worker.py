"""Grades the candidates of a task with one system, as often as it is asked to: a process of `benchmarks.grading`.

    python benchmarks/support/grading_worker.py SYSTEM TASK.json

It needs nothing of the kit but `builders`, which may be an older one's: PYTHONPATH says whose. Each line on standard
input is answered by a line of JSON: `run` by the seconds that grading took, `cpu` by those that the cores worked for
it, `ndcg` by what it gave, `peak` by the most memory that the process had, in MiB.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any


FORMULATION = "q*5+e"
THREADS, TOP = 2, 10


def main() -> None:
    """Get ready, say so, and answer."""
    system, task = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    if system == "kit without numba":
        sys.modules["numba"] = None  # type: ignore[assignment]
    name, _, backend = system.partition(", ")
    grade = bm25s(task, backend) if name == "bm25s" else {"pyserini": pyserini}.get(name, kit)(task)
    ndcg: Sequence[float] = []
    worked = 0.0
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        if line == "run\n":
            started, before = time.perf_counter(), time.process_time()
            ndcg = grade()
            answer: Any = time.perf_counter() - started
            worked = time.process_time() - before
        else:
            answer = {"ndcg\n": ndcg, "peak\n": peak(), "cpu\n": worked}[line]
        print(json.dumps(answer), file=answers, flush=True)


def kit(task: dict[str, Any]) -> Callable[[], Sequence[float]]:
    """The kit's grader, which ranks a hundred documents and makes all its measures."""
    from builders.grading.grader import Grader
    from builders.retrievers.formulation import load_formulation
    from builders.retrievers.load import load_retriever

    collection = judged_collection(task)
    grader = Grader(collection, load_retriever("bm25s", collection), load_formulation(FORMULATION))
    pairs = [(query_id, expansion) for query_id, expansion in task["pairs"]]
    return lambda: [grade.ndcg_at_10 for grade in grader.expanded(pairs)]


def pyserini(task: dict[str, Any]) -> Callable[[], Sequence[float]]:
    """`batch_search` of pyserini, over the kit's index, and trec_eval."""
    from builders.retrievers.load import load_retriever

    searcher = load_retriever("pyserini", judged_collection(task))._searcher  # type: ignore[attr-defined]
    texts, measured = formed(task), evaluator(task)
    names = [str(number) for number in range(len(texts))]

    def grade() -> Sequence[float]:
        found = searcher.batch_search(texts, names, k=TOP, threads=THREADS)
        return measured([{hit.docid: hit.score for hit in found[name]} for name in names])

    return grade


def bm25s(task: dict[str, Any], backend: str) -> Callable[[], Sequence[float]]:
    """`tokenize` and `retrieve` of bm25s, and trec_eval."""
    import bm25s
    import Stemmer

    ids, texts = zip(*judged_collection(task).indexed_texts(), strict=True)
    stemmer = Stemmer.Stemmer("porter")

    def tokens(some: Sequence[str]) -> Any:
        return bm25s.tokenize(list(some), stopwords="en", stemmer=stemmer, show_progress=False)

    index = bm25s.BM25(k1=0.9, b=0.4, method="lucene", backend=backend)
    index.index(tokens(texts), show_progress=False)
    queries, measured = formed(task), evaluator(task)

    def grade() -> Sequence[float]:
        numbers, scores = index.retrieve(tokens(queries), k=TOP, show_progress=False, n_threads=THREADS)
        runs = zip(numbers.tolist(), scores.tolist(), strict=True)
        return measured([{ids[n]: score for n, score in zip(*run, strict=True)} for run in runs])

    return grade


def judged_collection(task: dict[str, Any]) -> Any:
    """The collection with the queries and judgments of the task."""
    from builders.collections.collection import Query
    from builders.collections.load import load_collection

    queries = {query_id: Query(query_id, text, "test") for query_id, text in task["queries"].items()}
    return replace(load_collection(task["collection"]), queries=queries, qrels=task["qrels"])


def formed(task: dict[str, Any]) -> list[str]:
    """The texts that the kit searches."""
    from builders.retrievers.formulation import load_formulation

    form = load_formulation(FORMULATION)
    return [form.text(task["queries"][query_id], [expansion]) for query_id, expansion in task["pairs"]]  # type: ignore


def evaluator(task: dict[str, Any]) -> Callable[[Sequence[dict[str, float]]], list[float]]:
    """Scores by document, one a candidate → nDCG@10 of each, by pytrec_eval."""
    import pytrec_eval

    qrels = {str(number): task["qrels"][query_id] for number, (query_id, _) in enumerate(task["pairs"])}

    def measured(runs: Sequence[dict[str, float]]) -> list[float]:
        judged = pytrec_eval.RelevanceEvaluator(qrels, {f"ndcg_cut.{TOP}"})
        found = judged.evaluate({str(number): run for number, run in enumerate(runs)})
        return [found.get(name, {}).get(f"ndcg_cut_{TOP}", 0.0) for name in qrels]

    return measured


def peak() -> int:
    """The most memory that this process had resident, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()

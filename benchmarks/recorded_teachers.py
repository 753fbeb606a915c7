"""What recorded passages of two Qwen2.5 teachers do to BM25, whom they help and hurt, and how many pairs they yield.

    python benchmarks/recorded_teachers.py [DATA]

DATA is a folder with `trec-dl/dl19`, `trec-dl/dl20`, `scifact` and `recorded-expansions` (by default `../shared/data`
beside the project). Each expansion is graded twice: with the kit's own BM25, whose analysis is Anserini's, and with
the analysis under which the data's own table was made (Snowball's English stemmer, bm25s's stop words), so that a
difference of analysis cannot be taken for one of measuring. Pairs are counted over all recorded queries, for each
teacher's zero-shot and few-shot passage and for all four passages, at each margin of nDCG@10.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from builders.artifacts.files import atomic_write
from builders.artifacts.provenance import made_by
from builders.collections.assembly import POOLED
from builders.collections.collection import Collection, collection_provenance
from builders.collections.load import load_collection
from builders.expanders.expander import estimated_tokens
from builders.expanders.recordings import read_recorded
from builders.grading.comparison import PLAIN, legend, system_row, table_lines
from builders.grading.grader import DEPTH, Grader
from builders.pairing.ndcg_margin import NdcgMargin
from builders.pairing.pairing import Pairing
from builders.prompts.load import load_prompt
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from builders.retrievers.retriever import Hit, Retriever


COLLECTIONS = {"dl19": "trec-dl/dl19", "dl20": "trec-dl/dl20", "scifact": "scifact"}
SYSTEMS = {
    f"{size} {shots}": {"method": "query2doc", "mode": mode, "model": f"Qwen/Qwen2.5-{size}-Instruct"}
    for size in ("72B", "7B")
    for mode, shots in (("zs", "zero-shot"), ("fs", "few-shot"))
}
POOLS = {size: [name for name in SYSTEMS if name.startswith(size)] for size in ("72B", "7B")} | {"both": [*SYSTEMS]}
RULE, LENGTH_RATIO, PAIRS = NdcgMargin(), 3.0, 2
PROMPT = "web-passage-zero-shot"  # whose output check the passages must pass
FORMATION = "q*5+e"
SEED = 0


class SnowballBm25:
    """BM25 as bm25s comes: its English stop words, Snowball's English stemmer, its own tokens."""

    name = "bm25s(k1=0.9,b=0.4,analyzer=snowball-en,stopwords=bm25s)"

    def __init__(self, collection: Collection) -> None:
        import bm25s
        import Stemmer

        self._stemmer = Stemmer.Stemmer("english")
        ids, texts = zip(*sorted(collection.indexed_texts()), strict=True)
        self._ids: Sequence[str] = ids
        self._index = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
        tokens = bm25s.tokenize(list(texts), stopwords="en", stemmer=self._stemmer, show_progress=False)
        self._index.index(tokens, show_progress=False)

    def search(self, queries: Sequence[str], depth: int) -> list[list[Hit]]:
        """See `Retriever.search`."""
        import bm25s
        import numpy as np

        rankings = []
        for query in queries:
            (terms,) = bm25s.tokenize(
                [query], stopwords="en", stemmer=self._stemmer, return_ids=False, show_progress=False
            )
            scores = self._index.get_scores(terms)
            best = np.argsort(-scores, kind="stable")[:depth]
            rankings.append([Hit(self._ids[n], float(scores[n])) for n in best if scores[n] > 0])
        return rankings


def graded(data: Path, name: str) -> dict[str, Any]:
    """One collection: retriever → systems."""
    collection = load_collection(str(data / COLLECTIONS[name]))
    queries = [query.id for query in collection.split("test")]
    written = {
        system: {one.query_id: one.text for one in read_recorded(str(recorded(data, name)), where)}
        for system, where in SYSTEMS.items()
    }
    check = load_prompt(PROMPT).check
    pairing = Pairing(RULE, 0.0, LENGTH_RATIO, PAIRS)
    by_retriever, yields = {}, {}
    retrievers: list[Retriever] = [load_retriever("bm25s", collection), SnowballBm25(collection)]
    for retriever in retrievers:
        grader = Grader(collection, retriever, load_formulation(FORMATION))
        plain = grader.plain(queries)
        rows = {PLAIN: system_row(plain, plain, SEED)}
        candidates: dict[str, list[dict[str, Any]]] = {}
        for system, texts in written.items():
            grades = grader.expanded([(query_id, texts[query_id]) for query_id in queries])
            rows[system] = system_row(grades, plain, SEED)
            candidates[system] = [
                {
                    "candidate_id": system,
                    "query": collection.queries[query_id].text,
                    "candidate": texts[query_id],
                    "check": check.reason(texts[query_id], collection.queries[query_id].text, "stop") or "ok",
                    "completion_tokens": estimated_tokens(texts[query_id]),
                    "ndcg_at_10": grade.ndcg_at_10,
                    "gold_rank": grade.gold_rank,
                }
                for query_id, grade in zip(queries, grades, strict=True)
            ]
        by_retriever[retriever.name] = rows
        yields[retriever.name] = {
            pool: pairing.by_margin(list(zip(*(candidates[system] for system in systems), strict=True)))
            for pool, systems in POOLS.items()
        }
    return {
        "corpus": POOLED if POOLED in collection.source else "complete",
        "collection": collection_provenance(collection),
        "retrievers": by_retriever,
        "pairing": {"rule": RULE.name, "max_length_ratio": LENGTH_RATIO, "pairs_per_query": PAIRS, "prompt": PROMPT},
        "yield_by_margin": yields,
    }


def recorded(data: Path, name: str) -> Path:
    """The recordings for one collection."""
    return data / "recorded-expansions" / f"{name}.jsonl.gz"


def main() -> None:
    """Grade everything and write `benchmarks/results/recorded_teachers.json`."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data"
    if not recorded(data, "scifact").is_file():
        sys.exit(f"error: {data}: no recorded expansions there; give the folder that holds them")
    results = {
        **made_by("python benchmarks/recorded_teachers.py"),
        "formation": FORMATION,
        "depth": DEPTH,
        "seed": SEED,
        "collections": {name: graded(data, name) for name in COLLECTIONS},
    }
    path = ROOT / "benchmarks/results/recorded_teachers.json"
    atomic_write(path, (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
    for name, one in results["collections"].items():
        for retriever, systems in one["retrievers"].items():
            print(f"{name} ({one['corpus']}), {systems[PLAIN]['queries']} queries, {retriever}, `{FORMATION}`\n")
            print("\n".join(table_lines(systems)), end="\n\n")
            for pool, report in one["yield_by_margin"][retriever].items():
                counts = ", ".join(f"{row['pairs']} at {row['margin']:g}" for row in report)
                print(f"pairs by margin, {pool}: {counts}")
            print()
    print(legend())


if __name__ == "__main__":
    main()

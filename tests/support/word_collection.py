"""A small collection about the words that the inference server answers with: some answers help, others lead astray."""

import json
from pathlib import Path

from tests.support.inference_server import WORDS


def word_collection(folder: Path, queries: int) -> Path:
    """Each document is about two words, each query names one of them; all are train queries but none is spare."""
    (folder / "qrels").mkdir(parents=True)
    pairs = [(first, second) for number, first in enumerate(WORDS) for second in WORDS[:number]][:queries]
    rows = [{"_id": f"d{n}", "title": "", "text": f"{a} {b} {a} page{n}"} for n, (a, b) in enumerate(pairs)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"_id": f"q{n}", "text": f"how to {a}"} for n, (a, _) in enumerate(pairs)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(len(pairs)))
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    return folder

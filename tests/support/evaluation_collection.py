"""The collection of 42 documents that small evaluations search, its queries in three splits."""

from pathlib import Path

from tests.support.collection_folders import jsonl, tsv, write


SPLITS = {"train": range(12), "dev": range(12, 28), "test": range(28, 42)}
TEST = [f"q{n}" for n in SPLITS["test"]]
LINE = "first{n} second{n} third{n} fourth{n} fifth{n} sixth{n} seventh{n}"
# What so small a model writes, on one machine at least: without these words it would neither help nor hurt.
WRITES = ("hw", "median", "bt", "fitv", "wo", "n")


def collection(root: Path) -> Path:
    """Queries name a word of their document, and a word that all documents of four have.

    The documents of the first two test queries are relevant to a train query, too.
    """
    judged = {split: [(f"q{n}", f"d{n}", 1) for n in numbers] for split, numbers in SPLITS.items()}
    judged["train"] += [("q0", "d28", 1), ("q1", "d29", 1)]
    documents = [
        {
            "_id": f"d{n}",
            "title": "",
            "text": f"{LINE.format(n=n)} shared{n // 4} {WRITES[n % 6]} {'shared ' * (n % 3)}",
        }
        for n in range(42)
    ]
    queries = [{"_id": f"q{n}", "text": f"shared{n // 4} shared eighth{n}"} for n in range(42)]
    files = {f"qrels/{split}.tsv": tsv([("query-id", "corpus-id", "score"), *rows]) for split, rows in judged.items()}
    return write(root, {"corpus.jsonl": jsonl(documents), "queries.jsonl": jsonl(queries), **files})

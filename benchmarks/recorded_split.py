"""Cut the judged test queries of SciFact into 200 to train on and 100 to test on, by a hash of their ids.

    python benchmarks/recorded_split.py --collection ../shared/data/scifact --output_dir out/rfd/collection

For these queries a strong teacher's expansions are recorded; for SciFact's train queries they are not.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path


sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from builders.artifacts.files import atomic_folder
from builders.artifacts.ownership import Kind
from builders.collections.load import load_collection


DIVIDED = "; its test queries, divided"


def main() -> None:
    """Write the folder, in the BEIR layout."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__, formatter_class=raw)
    parser.add_argument("--collection", required=True, help="folder or Hub id of SciFact")
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--num_train", type=int, default=200)
    args = parser.parse_args()
    collection = load_collection(args.collection)
    queries = sorted(collection.split("test"), key=lambda query: hashlib.sha256(query.id.encode()).digest())
    with atomic_folder(Path(args.output_dir), Kind("divided collection", _is_divided)) as work:
        (work / "qrels").mkdir()
        with (work / "corpus.jsonl").open("w") as file:
            for document in collection.documents:
                row = {"_id": document.id, "title": document.title, "text": document.text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        rows = [json.dumps({"_id": query.id, "text": query.text}, ensure_ascii=False) for query in queries]
        (work / "queries.jsonl").write_text("\n".join(rows) + "\n")
        for split, part in (("train", queries[: args.num_train]), ("test", queries[args.num_train :])):
            lines = [f"{q.id}\t{doc}\t{rel}\n" for q in part for doc, rel in collection.relevant(q.id).items()]
            (work / f"qrels/{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
        (work / "collection.yaml").write_text(
            f"name: {collection.name}-recorded\nlanguage: {collection.language}\n"
            f"source: {json.dumps(collection.source + DIVIDED)}\n"
            f"licence: {json.dumps(collection.licence)}\n"
        )
    print(f"{args.output_dir}: {args.num_train} train and {len(queries) - args.num_train} test queries")


def _is_divided(folder: Path) -> bool:
    note = folder / "collection.yaml"
    return note.is_file() and DIVIDED in note.read_text()


if __name__ == "__main__":
    main()

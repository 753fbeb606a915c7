"""Local folders in BEIR form: what is read, and what is said about damaged ones."""

import gzip
import json
from pathlib import Path

import pytest

from builders.collections.collection import split_of
from builders.collections.load import load_collection
from builders.collections.sampling import sample_queries
from builders.errors import KitError


CORPUS = [{"_id": f"d{n}", "title": f"Title {n}", "text": f"text number {n}"} for n in range(4)]
QUERIES = [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}, {"_id": "q3", "text": "three"}]
HEADER = "query-id\tcorpus-id\tscore\n"
QRELS = {"train": "q1\td1\t1\n", "dev": "q2\td2\t2\nq2\td1\t0\n"}


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "sample"
    (root / "qrels").mkdir(parents=True)
    (root / "corpus.jsonl").write_text(lines(CORPUS))
    (root / "queries.jsonl").write_text(lines(QUERIES))
    for name, rows in QRELS.items():
        (root / "qrels" / f"{name}.tsv").write_text(HEADER + rows)
    return root


def fails(folder: Path, *parts: str) -> None:
    """Loading gives a one-line error that holds every part."""
    with pytest.raises(KitError) as caught:
        load_collection(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


def test_reads_a_folder(folder):
    found = load_collection(str(folder))
    assert found.name == "sample" and found.language == "en" and found.index_title
    assert {query.id: query.split for query in found.queries.values()} == {"q1": "train", "q2": "validation"}
    assert found.qrels == {"q1": {"d1": 1}, "q2": {"d2": 2, "d1": 0}}
    assert found.statistics["queries_without_judgment"] == 1
    assert next(found.indexed_texts()) == ("d0", "Title 0 text number 0")
    assert list(found.documents) == list(found.documents) and len(list(found.documents)) == 4


def test_documents_are_streamed_and_gzip_reads_the_same(folder):
    plain = load_collection(str(folder))
    expected = plain.fingerprint
    assert not hasattr(plain.documents, "__len__")
    for name in ("corpus", "queries"):
        path = folder / f"{name}.jsonl"
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert load_collection(str(folder)).fingerprint == expected


def test_a_single_qrels_file_keeps_its_split_unless_the_folder_says_divide(folder):
    (folder / "qrels" / "dev.tsv").unlink()
    (folder / "qrels" / "train.tsv").rename(folder / "qrels" / "test.tsv")
    found = load_collection(str(folder))
    assert {query.split for query in found.queries.values()} == {"test"} and "test.tsv" in found.judgments
    with pytest.raises(KitError, match="no judged train queries; .* `split: divide`"):
        sample_queries(found, "train", 1, seed=0)
    (folder / "collection.yaml").write_text("split: divide\n")
    found = load_collection(str(folder))
    assert {query.split for query in found.queries.values()} == {split_of("q1")} and "70/10/20" in found.judgments


def test_a_few_dangling_judgments_are_counted_and_many_refused(folder):
    rows = "".join(f"q1\td{n}\t1\n" for n in range(4)) * 50 + "q1\tgone\t1\n"
    (folder / "qrels" / "train.tsv").write_text(HEADER + rows)
    found = load_collection(str(folder))
    assert found.statistics["judgments_dangling"] == 1
    assert "gone" not in found.qrels["q1"]
    (folder / "qrels" / "train.tsv").write_text(HEADER + "q1\tgone\t1\n")
    fails(folder, "qrels", "1 of 3 judgments")


@pytest.mark.parametrize(
    ("file", "text", "parts"),
    [
        ("corpus.jsonl", lines([*CORPUS, CORPUS[0]]), ["corpus.jsonl", "'d0' stands twice"]),
        ("corpus.jsonl", lines([{"text": "x"}]), ["corpus.jsonl, row 1", '"_id"']),
        ("corpus.jsonl", lines([CORPUS[0], {"_id": "d9"}]), ["corpus.jsonl, row 2", '"text"']),
        ("corpus.jsonl", lines(CORPUS[:1]) + "{oops\n", ["corpus.jsonl, row 2", "not valid JSON"]),
        ("corpus.jsonl", "[1]\n", ["corpus.jsonl, row 1", "not a JSON object"]),
        ("corpus.jsonl", "", ["corpus.jsonl", "no documents"]),
        ("queries.jsonl", lines([*QUERIES, QUERIES[1]]), ["queries.jsonl, row 4", "'q2' stands twice"]),
        ("queries.jsonl", lines([{"_id": "q1", "text": " "}]), ["queries.jsonl, row 1", "'q1' has an empty text"]),
        ("qrels/train.tsv", "q1\td1\t1\n", ["train.tsv, row 1", "column 'query-id' is missing"]),
        ("qrels/train.tsv", HEADER + "q1\td1\t0.5\n", ["train.tsv, row 2", "'0.5' is not an integer"]),
        ("qrels/train.tsv", HEADER + "q1\td1\n", ["train.tsv, row 2", "2 columns"]),
        ("qrels/train.tsv", HEADER + "q1\td1\t1\nq1\td1\t2\n", ["train.tsv, row 3", "two different scores"]),
        ("qrels/test.tsv", HEADER + "q1\td1\t1\n", ["test.tsv, row 2", "'q1' is judged in train.tsv too"]),
    ],
)
def test_damage_is_named(folder, file, text, parts):
    (folder / file).write_text(text)
    fails(folder, *parts)


@pytest.mark.parametrize(("name", "kept"), [("corpus", 0.5), ("queries", 0.5), ("corpus", 0.0)])
def test_truncated_gzip(folder, name, kept):
    path = folder / f"{name}.jsonl"
    data = gzip.compress(path.read_bytes())
    path.unlink()
    (folder / f"{name}.jsonl.gz").write_bytes(data[: int(len(data) * kept)] or b"not gzip at all")
    fails(folder, f"{name}.jsonl.gz", "gzip data cut off or damaged")


def test_missing_queries(folder):
    (folder / "queries.jsonl").unlink()
    fails(folder, "queries.jsonl", "missing")


def test_without_a_corpus_there_is_nothing_to_search_but_runs_can_be_graded(folder):
    (folder / "corpus.jsonl").unlink()
    found = load_collection(str(folder))
    assert found.qrels
    with pytest.raises(KitError) as caught:
        list(found.documents)
    assert "\n" not in str(caught.value) and "corpus" in str(caught.value)


def test_missing_judgments(folder):
    for path in (folder / "qrels").iterdir():
        path.unlink()
    fails(folder, "qrels", "no judgments", "train.tsv")


def test_not_utf8(folder):
    (folder / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "\xff"}\n')
    fails(folder, "queries.jsonl", "not UTF-8")

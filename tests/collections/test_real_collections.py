"""Published collections, as they are distributed: counts, splits and languages."""

import gzip
import json

import pytest

from builders.collections.load import load_collection
from builders.errors import KitError
from tests.support.collection_folders import write


@pytest.mark.parametrize(
    ("folder", "language", "documents", "train", "validation", "test"),
    [
        ("scifact", "en", 5183, 809, 0, 300),
        ("classic/cranfield", "en", 1400, 0, 0, 225),
        ("classic/medline", "en", 1033, 0, 0, 30),
        ("cmrc2018-zh/dev", "zh", 848, 0, 0, 3219),
        ("cmrc2018-zh/trial", "zh", 256, 0, 0, 1000),
        ("nq-gold", "en", 2600, 0, 0, 2655),
    ],
)
def test_counts(shared_data, folder, language, documents, train, validation, test):
    found = load_collection(str(shared_data / folder))
    assert found.language == language and found.statistics["documents"] == documents
    counts = {split: len(found.split(split)) for split in ("train", "validation", "test")}
    assert counts == {"train": train, "validation": validation, "test": test}


@pytest.mark.parametrize(
    ("year", "queries", "judgments", "outside"), [("dl19", 43, 9260, 4923), ("dl20", 54, 11386, 6245)]
)
def test_deep_learning_pools(shared_data, year, queries, judgments, outside):
    """Judgments of passages outside of the pool stay: the ideal ranking counts them."""
    found = load_collection(str(shared_data / "trec-dl" / year))
    assert len(found.split("test")) == len(found.queries) == queries
    assert "pooled subset" in found.source and found.relevance_level == 2
    assert found.statistics["judgments_outside_the_pool"] == outside
    assert sum(map(len, found.qrels.values())) == judgments
    assert max(max(grades.values()) for grades in found.qrels.values()) == 3


def test_miracl_zh_loads_without_its_passages(shared_data):
    found = load_collection(str(shared_data / "miracl-zh"))
    counts = {split: len(found.split(split)) for split in ("train", "validation", "test")}
    assert found.language == "zh" and not found.has_documents
    assert counts["test"] == 393 and counts["train"] + counts["validation"] == 1312 and counts["validation"] > 100
    assert found.queries["1719936#0"].text == "二战是什么时候开始的？" and found.relevant("1000222#0")
    with pytest.raises(KitError, match="its documents are not there"):
        list(found.documents)


def test_questions_without_passages(shared_data):
    found = load_collection(str(shared_data / "open-domain-qa"))
    assert len(found.queries) == len(found.answers) == 8757 + 3610 + 755 + 2032 + 22068
    assert found.queries["nq.dev-0"].split == "validation" and found.answers["nq.test-0"] == (
        "Wilhelm Conrad Röntgen",
    )
    assert not found.has_documents and "No passage is judged" in found.judgments
    alone = load_collection(str(shared_data / "open-domain-qa/webquestions.val.jsonl.gz"))
    assert len(alone.queries) == 755 and {query.split for query in alone.queries.values()} == {"validation"}


def test_answers_find_the_gold_passages(shared_data, tmp_path):
    """The passages of nq-gold, by their answers alone: nearly every gold passage is among those found."""
    pytest.importorskip("pyserini", reason="needs the extra pyserini")
    gold = load_collection(str(shared_data / "nq-gold"))
    rows = [
        {"_id": key, "question": gold.queries[key].text, "answers": list(own)} for key, own in gold.answers.items()
    ]
    folder = write(
        tmp_path / "nq",
        {
            "nq.test.jsonl.gz": gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()),
            "passages.jsonl.gz": (shared_data / "nq-gold/corpus.jsonl.gz").read_bytes(),
        },
    )
    found = load_collection(str(folder))
    assert len(found.queries) == 2655 and {query.split for query in found.queries.values()} == {"test"}
    held = sum(set(gold.qrels[key]) <= set(found.qrels.get(key, {})) for key in gold.qrels)
    common = found.statistics.get("questions_too_common", 0)
    assert held + common > 0.97 * len(rows) and common < 30

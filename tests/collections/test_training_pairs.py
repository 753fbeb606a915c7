"""Training files of retrievers as collections, by hand."""

import pyarrow
import pytest
from pyarrow import parquet

from builders.collections.collection import split_of
from builders.collections.load import load_collection
from builders.commands.grade import GradeArguments, grade
from builders.errors import KitError
from tests.support.collection_folders import jsonl, write


TEVATRON = [
    {
        "query_id": "7",
        "query": "sun panels",
        "positive_passages": [{"docid": "d1", "title": "Sun", "text": "sun panels make power"}],
        "negative_passages": [{"docid": "d2", "title": "", "text": "trade"}, {"docid": "d3", "text": "cooking"}],
    },
    {
        "query_id": "8",
        "query": "trade",
        "positive_passages": [{"docid": "d2", "title": "", "text": "trade"}],
        "negative_passages": [{"docid": "d1", "title": "Sun", "text": "sun panels make power"}],
    },
]


@pytest.mark.parametrize("as_folder", [True, False])
def test_tevatron(tmp_path, as_folder):
    folder = write(tmp_path / "msmarco", {"train.jsonl": jsonl(TEVATRON)})
    found = load_collection(str(folder if as_folder else folder / "train.jsonl"), "en")
    assert {document.id: (document.title, document.text) for document in found.documents} == {
        "d1": ("Sun", "sun panels make power"),
        "d2": ("", "trade"),
        "d3": ("", "cooking"),
    }
    assert found.qrels == {"7": {"d1": 1, "d2": 0, "d3": 0}, "8": {"d2": 1, "d1": 0}}
    assert {query.split for query in found.queries.values()} == {"train"}
    results, _ = grade(GradeArguments(str(folder), split="train", language="en"))
    assert results["systems"]["plain"]["ndcg_at_10"] == 1


@pytest.mark.parametrize(
    "rows",
    [
        [{"query": "sun", "pos": ["sun panels"], "neg": ["trade", "cooking"]}],
        [{"anchor": "sun", "positive": "sun panels", "negative_1": "trade", "negative_2": "cooking"}],
        [{"query": "sun", "answer": "sun panels", "neg": ["trade", "cooking"]}],
        [
            {"anchor": "sun", "positive": "sun panels", "negative": "trade"},
            {"anchor": "sun", "positive": "sun panels", "negative": "cooking"},
        ],
    ],
    ids=["FlagEmbedding", "columns", "answers", "triplets"],
)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_texts_without_ids(tmp_path, rows, form):
    path = tmp_path / f"data.{form}"
    if form == "jsonl":
        path.write_text(jsonl(rows))
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    found = load_collection(str(path), "en")
    texts = {document.id: document.text for document in found.documents}
    assert sorted(texts.values()) == ["cooking", "sun panels", "trade"]
    ((query_id, grades),) = found.qrels.items()
    assert {texts[id]: grade for id, grade in grades.items()} == {"sun panels": 1, "trade": 0, "cooking": 0}
    assert found.queries[query_id].split == split_of(query_id)


def test_what_is_wrong_is_named(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(jsonl([{"query": "a", "pos": ["b"]}, {"query": "a", "pos": [3]}]))
    with pytest.raises(KitError, match=r'train.jsonl, row 2: field "pos" has a passage that is no text'):
        load_collection(str(path))
    path.write_text(jsonl([{"query": "a", "pos": ["b"]}, {"pos": ["b"]}]))
    with pytest.raises(KitError, match=r'row 2: field "query" is missing'):
        load_collection(str(path))
    path.write_text(jsonl([TEVATRON[0], {**TEVATRON[1], "positive_passages": [{"docid": "d2", "text": "else"}]}]))
    with pytest.raises(KitError, match="row 2: id 'd2' stands twice, with two texts"):
        load_collection(str(path))

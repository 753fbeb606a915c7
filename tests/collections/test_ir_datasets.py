"""Collections by their id in ir_datasets, on datasets that the tests register there."""

import pytest

from builders.collections.load import load_collection
from builders.errors import KitError
from tests.support.collection_folders import tsv, write


ir_datasets = pytest.importorskip("ir_datasets", reason="needs the extra ir-datasets")

FILES = {
    "docs.tsv": tsv([("d1", "月球 moon"), ("d2", "tide"), ("d3", "sun")]),
    "queries.tsv": tsv([("q1", "what is the moon"), ("q2", "why tides"), ("q3", "unjudged")]),
    "qrels": "q1 0 d1 3\nq1 0 d2 1\nq2 0 d2 2\n",
}


@pytest.fixture
def register(tmp_path):
    """Registers a dataset of these files under an id, and takes it out again."""
    known = set(ir_datasets.registry)

    def registered(id: str, **changed: str) -> str:
        folder = write(tmp_path / id.replace("/", "-"), {**FILES, **changed})
        parts = {"docs_tsv": "docs.tsv", "queries_tsv": "queries.tsv", "qrels_trec": "qrels"}
        paths = {name: str(folder / file) for name, file in parts.items() if changed.get(file) != ""}
        ir_datasets.registry.register(id, ir_datasets.create_dataset(**paths))
        return f"ir_datasets:{id}"

    yield registered
    for id in set(ir_datasets.registry) - known:
        del ir_datasets.registry._registered[id]


def refusal(name: str) -> str:
    with pytest.raises(KitError) as caught:
        load_collection(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_dataset_is_a_collection(register):
    found = load_collection(register("kit/moon"))
    assert [(document.id, document.text) for document in found.documents] == [
        ("d1", "月球 moon"),
        ("d2", "tide"),
        ("d3", "sun"),
    ]
    assert list(found.documents) == list(found.documents) and not hasattr(found.documents, "__len__")
    assert found.qrels == {"q1": {"d1": 3, "d2": 1}, "q2": {"d2": 2}}
    assert {query.split for query in found.queries.values()} == {"test"}
    assert found.name == "kit-moon" and found.source == "ir_datasets, kit/moon" and "ir_datasets" in found.versions
    assert found.relevance_level == 1 and found.statistics["queries_without_judgment"] == 1
    assert not found.index_title and found.language == "en"


@pytest.mark.parametrize(
    ("id", "split", "level"),
    [("kit/trec-dl-2019/judged", "test", 2), ("kit/dev/small", "validation", 1), ("kit/train", "train", 1)],
)
def test_the_id_tells_split_and_level(register, id, split, level):
    found = load_collection(register(id), "fr")
    assert {query.split for query in found.queries.values()} == {split}
    assert found.relevance_level == level and found.language == "fr"


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"qrels": ""}, "this dataset has no qrels"),
        ({"docs.tsv": ""}, "this dataset has no docs"),
        ({"docs.tsv": tsv([("d1", "a"), ("d1", "b")])}, "row 2: id 'd1' stands twice"),
        ({"queries.tsv": tsv([("q1", "")])}, "query 'q1' has an empty text"),
        ({"qrels": "q1 0 d9 1\n"}, "1 of 1 judgments name"),
        ({"qrels": "q1 0 d1\n"}, "ir_datasets cannot read it"),
        ({"docs.tsv": "no tabs here\n"}, "ir_datasets cannot read it"),
    ],
)
def test_what_is_wrong_is_named(register, changed, part):
    assert part in refusal(register("kit/spoiled", **changed))


def test_the_catalogue_itself_is_known():
    """Nothing is fetched for an id that lacks a part."""
    assert "has no queries and no qrels" in refusal("ir_datasets:msmarco-passage")

"""A visitor's own documents: read, searched by the Space's systems, and forgotten."""

import asyncio
import json
import time
from dataclasses import replace

import pytest

from builders.artifacts.cache import cache_dir
from builders.collections.files.documents import document_of
from builders.collections.files.lines import Place
from builders.errors import KitError
from space.serving import own_documents
from space.serving.answering import answers
from space.serving.own_documents import MOST_DOCUMENTS, SWITCH, OwnDocuments, read_file, read_hub, switched_on
from tests.hub_server.fixtures import hub, run_client
from tests.support.commands import ROOT
from tests.support.small_engine import STUDENT, small_engine


__all__ = ["hub"]
ROWS = [
    {"id": "g", "title": "Geese", "text": "The goose flies over the lake.", "url": "https://example.org/?a=1&b=2"},
    {"id": "d", "title": "", "text": "The duck swims in the lake."},
]


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    return small_engine(tmp_path)


def file(folder, name: str = "birds.jsonl", content: str = ""):
    path = folder / name
    path.write_text(content or "".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def page(engine, own, query: str, **asked) -> str:
    async def read() -> list[str]:
        data = {"query": query, "own": True, "systems": [STUDENT], **asked}
        return [html async for html in answers(engine, data, lambda: True, own) if html is not None]

    return asyncio.run(read())[-1]


def test_they_are_searched_by_the_same_systems_and_nothing_recorded_is_shown(engine, tmp_path):
    path = file(tmp_path)
    own = OwnDocuments(engine, read_file(path))
    assert not path.exists(), "the file is deleted"
    shown = page(engine, own, "goose lake", words={STUDENT: "swims"})
    assert "Geese" in shown and "<b>edited</b>" in shown and "no score" in shown and "lib." not in shown
    assert 'href="https://example.org/?a=1&amp;b=2"' in shown
    # A test query of the Space: asked of the student, which has written nothing for other documents yet.
    assert "words for store arrays on disk" in page(engine, own, "store arrays on disk")
    assert "what was recorded for test queries" in page(engine, own, "store arrays on disk", systems=["sft"])
    assert "Test queries still work" not in page(engine, own, "lake", systems=["feedback terms"])
    assert engine.search("goose lake").hits == [] and engine.recorded
    own.forget()


def test_of_a_csv_file(engine, tmp_path):
    found = read_file(file(tmp_path, "birds.csv", 'id,title,text\ng,Geese,"The goose, and the lake"\n'))
    assert [(item.id, item.title, item.text) for item in found.documents] == [
        ("g", "Geese", "The goose, and the lake")
    ]
    assert found.language == "en"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"url": "https://a.example/"}, "https://a.example/"),
        ({"metadata": {"url": "http://a.example/"}}, "http://a.example/"),
        ({"url": "javascript:alert(1)"}, ""),
        ({"metadata": "none", "url": None}, ""),
    ],
)
def test_a_document_keeps_its_address_which_tells_it_from_no_other(fields, url):
    found = document_of(Place("file", 1), {"id": "g", "text": "geese"} | fields)
    assert found.url == url and replace(found, url="") == found


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("birds.parquet", "x", "birds.parquet: neither JSONL nor CSV; name it one of *.jsonl, *.csv"),
        ("birds.csv.gz", "x", "neither JSONL nor CSV"),
        ("birds.jsonl", "{", "birds.jsonl, row 1: not valid JSON"),
        ("birds.jsonl", '{"id": "a"}', 'birds.jsonl, row 1: field "text" is missing or not text; add it'),
        ("birds.jsonl", '{"text": "a"}', 'birds.jsonl, row 1: field "_id" is missing, empty or no text; give the row'),
        ("birds.jsonl", "\n", "birds.jsonl: no documents in it"),
        ("birds.csv", "id,text\na,b\nc\n", "birds.csv, row 3: 1 column where 2 are expected"),
        ("birds.csv", "id,text\na,b\na,c\n", "birds.csv, row 3: id 'a' stands twice"),
        ("birds.csv", "id;text\na;b\n", "separated by semicolons, it seems; separate them by commas"),
        ("birds.csv", "id,text\n" + "".join(f"{n},word\n" for n in range(MOST_DOCUMENTS + 1)), "more than 5,000 doc"),
        ("birds.csv", "id,text\na," + "x" * (5 << 20), "birds.csv: larger than 5 MB; give a part of it"),
    ],
)
def test_bad_files_are_one_plain_line(tmp_path, name, content, message):
    path = file(tmp_path, name, content)
    with pytest.raises(KitError) as caught:
        read_file(path)
    assert message in str(caught.value) and "\n" not in str(caught.value) and str(tmp_path) not in str(caught.value)
    assert not path.exists()


def test_they_are_forgotten_and_leave_no_trace(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("builders.retrievers.bm25s_index.WORTH_KEEPING_SECONDS", -1)
    collection = read_file(file(tmp_path))
    monkeypatch.setattr(own_documents, "KEPT_MINUTES", 0.3 / 60)
    own = OwnDocuments(engine, collection)
    assert list(cache_dir("bm25s").glob(f"{collection.fingerprint}-*")) and "Geese" in page(engine, own, "goose")
    deadline = time.monotonic() + 10
    while own.engine is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1)
    assert not list(cache_dir("bm25s").glob(f"{collection.fingerprint}-*"))
    assert "None of your documents are here" in page(engine, own, "goose")
    assert "None of your documents are here" in page(engine, None, "goose")


def test_before_anything_is_asked_it_says_so(engine, tmp_path):
    own = OwnDocuments(engine, read_file(file(tmp_path)))
    assert "Your documents are ready: type what to look for." in page(engine, own, "")
    own.forget()


def test_not_too_many_visitors_documents_are_kept(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(own_documents, "_places", own_documents.threading.BoundedSemaphore(1))
    collection = read_file(file(tmp_path))
    own = OwnDocuments(engine, collection)
    with pytest.raises(KitError, match="visitors are kept already"):
        OwnDocuments(engine, collection)
    own.forget()
    own.forget()

    def fails(names):
        raise KitError("no room")

    # Documents that cannot be indexed take no place.
    for _ in range(2):
        with pytest.raises(KitError, match="no room"):
            OwnDocuments(engine, collection, fails)


def test_a_space_on_the_hub_takes_them_only_where_its_owner_says_so(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert switched_on()
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert not switched_on()
    monkeypatch.setenv(SWITCH, "1")
    assert switched_on()
    monkeypatch.delenv("SPACE_ID")
    monkeypatch.setenv(SWITCH, "0")
    assert not switched_on()


@pytest.mark.parametrize("name", ["", "nfcorpus", "../etc/passwd", "https://example.org/a/b", "a/b/c"])
def test_what_is_no_name_on_the_hub_is_one_plain_line(name):
    with pytest.raises(KitError, match="names no dataset of the Hub; give OWNER/NAME"):
        read_hub(name)


FROM_THE_HUB = """
from builders.errors import KitError
from space.serving.own_documents import read_hub
for name, private, padding in (("open", False, 0), ("own", True, 0), ("large", False, 6 << 20)):
    repo = f"kit-owner/{name}"
    api.create_repo(repo, repo_type="dataset", private=private)
    corpus = '{"_id": "g", "title": "Geese", "text": "The goose flies"}\\n' + " " * padding
    files = {"corpus.jsonl": corpus, "queries.jsonl": '{"_id": "q", "text": "flying birds"}\\n'}
    files["qrels/test.tsv"] = "query-id\\tcorpus-id\\tscore\\nq\\tg\\t1\\n"
    for path, content in files.items():
        api.upload_file(path_or_fileobj=content.encode(), path_in_repo=path, repo_id=repo, repo_type="dataset")
    try:
        found = read_hub(repo)
        result[repo] = [len(found.documents), found.queries["q"].text, found.qrels["q"]]
    except KitError as error:
        result[repo] = str(error)
"""


def test_a_dataset_of_the_hub_is_read_where_everybody_may(hub, tmp_path):
    """What only the owner's token sees is not shown to visitors."""
    found = run_client(hub, FROM_THE_HUB, environment={"PYTHONPATH": str(ROOT)})
    assert found["kit-owner/open"] == [1, "flying birds", {"g": 1}]
    assert (
        found["kit-owner/own"]
        == "kit-owner/own: no public dataset of the Hub that can be read here; is the name right?"
    )
    assert found["kit-owner/large"].startswith("kit-owner/large: 6 MB of data, and at most 5 are read")

"""Spoiled collections of every kind: one line that names file and row, and exit code 2 from a command."""

import gzip
import json
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from builders.cli import run
from builders.collections.load import load_collection
from builders.commands import grade
from builders.errors import KitError
from tests.support.collection_folders import KINDS, PASSAGES, jsonl, tsv


def refusal(name: str | Path, language: str | None = None) -> str:
    with pytest.raises(KitError) as caught:
        load_collection(str(name), language)
    line = str(caught.value)
    assert "\n" not in line, line
    return line


def zst(data: bytes) -> bytes:
    return pyarrow.compress(data, codec="zstd", asbytes=True)


HEAD = "query-id\tcorpus-id\tscore\n"
LONG = jsonl([{"_id": f"d{n}", "title": "", "text": f"text {n} {n * 7919}"} for n in range(2000)]).encode()
DOCUMENT = {"id": "d1", "contents": "x"}

# Kind and file → new contents (a callable makes one of the old, None removes the file), and parts of the message.
SPOILED = {
    "beir/corpus.jsonl": [
        (lambda old: old + old[: old.index(b"\n") + 1], ["corpus.jsonl, row 5: id 'd0' stands twice", "row 1"]),
        (jsonl([{"title": "no id", "text": "x"}]), ["corpus.jsonl, row 1", '"_id"', "may be called _id or id or "]),
        (jsonl([{"_id": None, "text": "x"}]), ["corpus.jsonl, row 1", '"_id"']),
        (jsonl([{"_id": " ", "text": "x"}]), ["corpus.jsonl, row 1", '"_id"']),
        (
            jsonl([{"_id": "d0", "data": "x"}]),
            ["corpus.jsonl, row 1", '"text"', "has _id, data, and it may be called text or "],
        ),
        (jsonl([{"_id": "d0", "text": "", "title": ""}]), ["1 of 1 documents are empty", "corpus.jsonl, row 1"]),
        (jsonl([{"_id": "d0", "text": "x", "title": 7}]), ["row 1", '"title" is not text']),
        ('{"_id": "d0", "text": "\\ud83d"}\n', ["corpus.jsonl, row 1", "surrogate"]),
        (
            b'{"_id": "d0", "text": "x"}\n{"_id": "d1", "text": "\xe9t\xe9"}\n',
            ["corpus.jsonl, after row", "not UTF-8"],
        ),
        ("d0\tx\n".encode("utf-16"), ["corpus.jsonl, after row 0", "not UTF-8"]),
        ("d0,x\n", ["corpus.jsonl, row 1", "not valid JSON"]),
        ("d0\tx\n".encode("utf-16-le"), ["corpus.jsonl, row 1: zero bytes", "UTF-16"]),
    ],
    "beir/queries.jsonl": [
        (jsonl([{"_id": "q0", "text": "\t"}]), ["queries.jsonl, row 1: query 'q0' has an empty text"]),
        ("", ["queries.jsonl: no queries"]),
    ],
    "beir/qrels/train.tsv": [
        (HEAD.replace("\t", ",") + "q0,d0,1\n", ["train.tsv, row 1", "not separated by tabs"]),
        (HEAD + "q0,d0,1\n", ["train.tsv, row 2: 1 column where 3"]),
        ("q0\td0\t1\n", ["train.tsv, row 1: column 'query-id' is missing"]),
        (HEAD + "q0\td0\thigh\n", ["train.tsv, row 2: score 'high' is not an integer"]),
        (HEAD + "q0\tgone\t1\n", ["1 of 2 judgments", "train.tsv, row 2: 'q0', 'gone'"]),
        (HEAD + "gone\td0\t1\n", ["1 of 2 judgments", "'gone', 'd0'"]),
        (HEAD + "q1\td0\t1\n", ["test.tsv, row 2", "'q1' is judged in train.tsv too"]),
    ],
    "beir/collection.yaml": [
        ("language: english", ["collection.yaml: language: 'english'", "ISO 639-1"]),
        ("lang: en", ["field 'lang' is not known", "language"]),
        ("[1]", ["collection.yaml: a mapping is expected"]),
        ("a: [", ["collection.yaml: not valid YAML"]),
        ("kind: robust", ["kind: 'robust' is not one of beir, clicks"]),
        ("split: dev", ["split: 'dev' is not one of train, validation, test, divide"]),
        ("relevance_level: 0", ["a whole number above 0"]),
        ("pooled: 1", ["true or false"]),
        ("name: ''", ["name: '' is not a line of text"]),
        ("columns: [query]", ["a mapping of names"]),
        ("kind: clicks", ["no click log", "clicks.csv"]),
        ("kind: open-qa", ["no questions with answers"]),
    ],
    "clicks/collection.yaml": [
        ("kind: trec", ["no file with topics in its name"]),
        ("kind: miracl", ["topics or qrels are missing"]),
        ("columns: {queries: q}", ["'queries' is not known; it may hold query"]),
        ("columns: {query: q}", ["no column 'q', but query, document_id, count"]),
    ],
    "trec/topics.robust.txt": [
        (lambda old: old[: old.rindex(b"</top>")], ["topics.robust.txt, row 9: this topic has no </top>"]),
        (lambda old: old.replace(b"<num>", b"<n>"), ["topics.robust.txt, row 1: a topic without <top> or <num>"]),
        (lambda old: old.replace(b"<title>", b"<t>"), ["row 1: query '301' has an empty text, and so have 1 more"]),
        (lambda old: old.replace(b"302", b"301"), ["topics.robust.txt, row 9: id '301' stands twice"]),
        ("301,crime\n302,polio\n", ["row 1: 1 column where 2", "separated by commas"]),
        ("qid\tquery\n301\tcrime\n", ["row 1: a header", "where none belongs"]),
        ("301\tcrime\tmore\n", ["row 1: 3 columns where 2 are expected (query id, text)"]),
        ("\tcrime\n", ["row 1: the query has no id"]),
    ],
    "trec/qrels.robust.txt": [
        ("301,0,d1,2\n", ["qrels.robust.txt, row 1: 1 column where 4"]),
        ("301 0 d1 2\n301 d3 1 x y\n", ["qrels.robust.txt, row 2: 5 columns where 4"]),
        ("query 0 document relevance\n301 0 d1 2\n", ["row 1: score 'relevance' is not an integer"]),
        ("301 0 d1 1.5\n", ["row 1: score '1.5' is not an integer"]),
        ("301 0 d1 1\n301 0 d1 2\n", ["row 2: '301' and 'd1' have two different scores"]),
        ("", ["qrels.robust.txt, row 1"]),
    ],
    "trec/corpus.jsonl": [
        (jsonl([DOCUMENT, DOCUMENT]), ["row 2: id 'd1' stands twice, first in corpus.jsonl, row 1"]),
    ],
    "trec/collection.yaml": [
        ("corpus: ../nowhere.tsv", ["collection.yaml: corpus: '../nowhere.tsv' is no file"]),
    ],
    "ms_marco/collection.tsv": [
        ("id\tpassages\np0\tx\n", ["collection.tsv, row 1: a header"]),
        (tsv(PASSAGES) + "p9 text\n", ["collection.tsv, row 7: 1 column where 2"]),
        (tsv(PASSAGES) + "p9\ttext\ttitle\n", ["row 7: 3 columns", "name the columns"]),
        ("", ["collection.tsv: no documents"]),
    ],
    "ms_marco/queries.train.tsv": [
        (tsv([("10", "one"), ("10", "two")]), ["queries.train.tsv, row 2: id '10' stands twice"]),
    ],
    "ms_marco/queries.dev.small.tsv": [
        (tsv([("20", "x"), ("10", "other")]), ["id '10' stands twice"]),
    ],
    "ms_marco/qrels.dev.small.tsv": [
        (tsv([("10", 0, "p2", 1)]), ["query '10' is judged in"]),
    ],
    "miracl/docs-1.jsonl": [
        (
            jsonl([{"docid": "0#1", "text": "x"}]),
            ["docs-1.jsonl, row 1: id '0#1' stands twice, first in docs-0.jsonl"],
        ),
        (None, ["20 of 42 judgments name"]),
    ],
    "miracl/qrels/qrels.miracl-v1.0-zh-dev.tsv": [
        ("d1#0\tQ0\t1#1\tyes\n", ["zh-dev.tsv, row 1: score 'yes'"]),
    ],
    "dpr/nq-test.qa.csv": [
        ("who\t['Paris'\n", ["nq-test.qa.csv, row 1", "is not a list of answers"]),
        ("who\t[open('x')]\n", ["nq-test.qa.csv, row 1", "is not a list of answers"]),
        ("who\t['a']\nwhat\t[1]\n", ["nq-test.qa.csv, row 2", "no list of texts"]),
        ("who\t['a']\nwhat\t[]\n", ["nq-test.qa.csv, row 2: no answer"]),
        ("who\t['a']\nwhat\t['']\n", ["nq-test.qa.csv, row 2: no answer, or only empty ones"]),
        ("who\t['a']\nwhat\t['a']\tx\n", ["nq-test.qa.csv, row 2: 3 columns where 2"]),
        ("\t['a']\n", ["nq-test.qa.csv, row 1: query 'test-0' has an empty text"]),
    ],
    "dpr/nq-train.json": [
        (
            json.dumps([{"question": "x", "answers": ["a"], "positive_ctxs": [{"text": "y"}]}]),
            ["row 1", "without passage_id"],
        ),
        (
            json.dumps([{"question": "x", "answers": ["a"], "positive_ctxs": [{"passage_id": "99"}]}]),
            ["judgments name", "'99'"],
        ),
        (
            json.dumps([{"question": 3, "answers": ["a"]}]),
            ["nq-train.json, row 1", '"question" is missing or not text; add it'],
        ),
        ("[{", ["nq-train.json, row 1: not valid JSON"]),
    ],
    "dpr/psgs_w100.tsv": [
        ("1\ttext\ttitle here\n", ["psgs_w100.tsv, row 1: 3 columns", "name the columns"]),
        ("id\ttext\ttitle\n1\tx\n", ["psgs_w100.tsv, row 2: 2 columns where 3"]),
    ],
    "clicks/clicks.csv": [
        ("query;document_id\nx;sku1\n", ["clicks.csv, row 1: one column, separated by semicolons"]),
        ("red shoes,sku1,4\n", ["clicks.csv: no clicks in it"]),
        ("shoes,sku1,4\nhat,sku2,1\n", ["no column 'query'", "does its first line name them"]),
        ("query,document_id,count\nshoes,sku1,many\n", ["clicks.csv, row 2: count 'many'"]),
        ("query,document_id,count\nshoes,sku1,-1\n", ["clicks.csv, row 2: count '-1'"]),
        ("query,document_id,count\nshoes,sku1\n", ["clicks.csv, row 2: 2 columns where 3"]),
        ("query,document_id\n ,sku1\n", ["clicks.csv, row 2: the query is empty"]),
        ("query,document_id\nshoes,\n", ["clicks.csv, row 2", '"document_id" is missing, empty']),
        ("query,document_id\nshoes,sku99\n", ["1 of 1 judgments", "'sku99'"]),
        ("query,document_id\n", ["clicks.csv: no clicks"]),
        ('query,document_id\n"shoes,sku1\n', ["clicks.csv, row 2: not valid CSV"]),
    ],
    "clicks/corpus.jsonl": [
        (None, ["clicks.csv, row 2: column 'document_text' is missing", "corpus.jsonl beside"]),
    ],
}


@pytest.mark.parametrize(
    ("file", "content", "parts"),
    [
        pytest.param(file, content, parts, id=f"{file}-{parts[-1][:30]}")
        for file, cases in SPOILED.items()
        for content, parts in cases
    ],
)
def test_what_is_wrong_is_named(tmp_path, file, content, parts):
    kind, file = file.split("/", 1)
    folder = KINDS[kind](tmp_path / "spoiled")
    path = folder / file
    if callable(content):
        content = content(path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    line = refusal(folder)
    for part in parts:
        assert part in line, line


@pytest.mark.parametrize(
    ("suffix", "pack", "named"), [(".gz", gzip.compress, "gzip"), (".zst", zst, "zst")], ids=["gzip", "zst"]
)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_compressed_data_that_was_cut_off(tmp_path, suffix, pack, named, kept):
    folder = KINDS["beir"](tmp_path / "cut")
    (folder / "corpus.jsonl").unlink()
    data = pack(LONG)
    path = folder / f"corpus.jsonl{suffix}"
    path.write_bytes(data[: int(len(data) * kept)] or b"<html>not found</html>")
    line = refusal(folder)
    assert str(path) in line and "after row" in line and f"{named} data cut off or damaged" in line


def test_damaged_parquet(tmp_path):
    path = tmp_path / "clicks.parquet"
    parquet.write_table(pyarrow.table({"query": ["a"] * 50, "document_id": ["b"] * 50, "text": ["c"] * 50}), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "clicks.parquet, after row 0: Parquet data cut off or damaged" in refusal(path)


@pytest.mark.parametrize(
    ("name", "language", "part"),
    [
        ("wikipedia", None, "no collection 'wikipedia': give pydocs"),
        ("a/b/c", None, "no collection 'a/b/c'"),
        ("pydocs", "zh", "pydocs is in English"),
        ("pydocs", "chinese", "--language: 'chinese' is not a language"),
        ("miracl:xx", None, "no such language; give one of ar, bn"),
        ("ir_datasets:no/such", None, "no such dataset"),
        ("nobody/nothing", None, "no such folder here, and not in the Hub's cache"),
        ("nobody/nothing@v1.0", None, "nobody/nothing@v1.0"),
    ],
)
def test_names_that_mean_nothing(monkeypatch, name, language, part):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert part in refusal(name, language)


def test_a_folder_and_a_file_of_no_known_form(tmp_path):
    (tmp_path / "notes.md").write_text("# notes")
    line = refusal(tmp_path)
    for form in (
        "corpus.jsonl, queries.jsonl, qrels/",
        "topics*.tsv",
        "docs-*.jsonl.gz",
        "psgs_w100.tsv",
        "clicks.csv",
    ):
        assert form in line
    assert "neither a click log" in refusal(tmp_path / "notes.md")
    (tmp_path / "data.jsonl").write_text(jsonl([{"a": 1}]))
    assert "neither a click log" in refusal(tmp_path / "data.jsonl")


@pytest.mark.parametrize("extra", ["ir_datasets", "pyserini"])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, extra):
    """`None` in sys.modules is how Python marks what cannot be imported."""
    monkeypatch.setitem(sys.modules, extra, None)
    monkeypatch.setitem(sys.modules, f"{extra}.eval", None)
    monkeypatch.setitem(sys.modules, f"{extra}.eval.evaluate_dpr_retrieval", None)
    name = {"ir_datasets": "ir_datasets:cranfield", "pyserini": KINDS["dpr"](tmp_path / "qa")}[extra]
    assert f"query-expansion-kit[{extra.replace('_', '-')}]" in refusal(name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_refuses_in_one_line(tmp_path, capsys, kind):
    folder = KINDS[kind](tmp_path / "spoiled")
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in (".jsonl", ".tsv"):
            path.write_bytes(path.read_bytes() + b"\xff\xfe\n")
    with pytest.raises(SystemExit) as ended:
        run(lambda: grade.main(["--collection", str(folder), "--out", str(tmp_path / "out.json")]))
    printed = capsys.readouterr().err
    assert ended.value.code == 2 and printed.startswith("error: ") and printed.count("\n") == 1
    assert "not UTF-8" in printed and not (tmp_path / "out.json").exists()

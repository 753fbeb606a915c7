"""Benchmarks of reading find what is read wrong, and search the known items that they make."""

import json

import pytest

from benchmarks import languages, parse_sweep
from tests.support.collection_folders import write
from tests.support.commands import ROOT
from tests.support.java import needs_java


@needs_java
@pytest.mark.java
def test_a_sweep_says_what_is_right_what_is_refused_and_what_is_wrong(tmp_path, monkeypatch):
    from builders.retrievers.java import start_java

    files = {"topics.a.txt": "TsvInt", "topics.b.txt": "Trec", "topics.c.txt": "Web", "topics.d.txt": "DprNq"}
    readers = {
        name: {"path": name, "reader_class": f"{parse_sweep.READERS}{of}TopicReader"} for name, of in files.items()
    }
    write(
        tmp_path,
        {
            "topics.json": json.dumps({name.split(".")[1]: of for name, of in readers.items()}),
            "qrels.json": json.dumps({"a": "qrels.a.txt"}),
            "topics/topics.a.txt": "1\tsun panels\n2\ttrade\n",
            "topics/topics.b.txt": "<top>\n<num> Number: 301\n<title> sun\n<desc> Description:\nany\n</top>\n",
            "topics/topics.c.txt": "1:sun panels\n",
            "topics/topics.d.txt": "who was it\t['Röntgen']\n",
            "topics/topics.e.tsv": "1\tsun\n",
            "qrels/qrels.a.txt": "1 0 d0 1\n2 0 d1 -1\n",
            "qrels/docids.txt": "d0\n",
        },
    )
    start_java()
    found = parse_sweep.sweep(tmp_path)
    assert {kind: found[kind]["counts"] for kind in found} == {
        "topics": {"right": 3, "refused": 1, "right by count": 1},
        "qrels": {"right": 1, "refused": 1},
        "collections": {"right": 1},
    }
    assert "separated by colons" in found["topics"]["not_right"]["topics.c.txt"]["said"]
    monkeypatch.setattr(
        parse_sweep, "read_topics", lambda paths: parse_sweep.read_questions([tmp_path / "topics/topics.d.txt"]).topics
    )
    (tmp_path / "topics/topics.e.tsv").unlink()
    found = parse_sweep.sweep(tmp_path)["topics"]
    assert found["counts"]["wrong"] == 3 and found["not_right"]["topics.a.txt"]["different"] == 3


def test_nothing_public_is_read_wrong():
    found = json.loads((ROOT / "benchmarks/results/parse_sweep.json").read_text())
    for kind in ("topics", "qrels", "collections"):
        assert set(found[kind]["counts"]) <= {parse_sweep.RIGHT, parse_sweep.COUNTED, parse_sweep.REFUSED}
        assert all(
            "row" in one["said"] or "judgments" in one["said"] or "bytes" in one["said"]
            for one in found[kind]["not_right"].values()
        )


PAGE = (
    '<page xmlns="http://projectmallard.org/1.0/"><info><desc>{summary}</desc></info><title>{summary}</title>'
    f"<p>{'電池は放電させてはいけない。' * 9}</p></page>"
)


def test_known_items_are_searched(tmp_path):
    signs = {"☀": ("太陽", ["太陽", "天気", "晴れた空", "明るい"]), "☾": ("月", ["月", "夜"])}
    annotations = {sign: {"tts": [name], "default": words} for sign, (name, words) in signs.items()}
    help = {
        f"{place}/gnome-help/{page}.page": PAGE.format(summary=f"{place} {page}")
        for place in ("ja", "C")
        for page in "ab"
    }
    help["ja/gnome-help/b.page"] = help["C/gnome-help/b.page"]
    write(tmp_path, {"ja/annotations.json": json.dumps({"annotations": {"annotations": annotations}}), **help})
    assert list(languages.signs(tmp_path, "ja")) == [("☀", "太陽", "天気 晴れた空 明るい")]
    ((page, query, text),) = languages.pages(tmp_path, "ja")
    assert (page, query) == ("a", "ja a") and text.startswith("電池は") and "ja" not in text
    items = [("a", "太陽", "太陽は明るい"), ("b", "月", "月の夜"), ("c", "太陽", "太陽の空")]
    (tmp_path / "items").mkdir()
    languages.written(tmp_path / "items", items)
    assert (tmp_path / "items/qrels/test.tsv").read_text().count("\n") == 4
    assert (tmp_path / "items/queries.jsonl").read_text().count("\n") == 2

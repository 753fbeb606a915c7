"""Collections of every kind: what is read from the files that their publishers ship."""

import gzip
import json
import re
import tarfile
import tracemalloc
import unicodedata
from itertools import islice
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from builders.collections.collection import split_of
from builders.collections.files import documents, topics
from builders.collections.files.click_log import NAMES
from builders.collections.load import load_collection
from builders.commands import grade
from builders.errors import KitError
from space.carried import carry_collection
from tests.support.collection_folders import (
    CLICKS,
    KINDS,
    PASSAGES,
    beir,
    clicks,
    dpr,
    jsonl,
    miracl,
    ms_marco,
    trec,
    tsv,
    write,
)
from tests.support.commands import ROOT


def load(folder: Path, language: str | None = None):
    return load_collection(str(folder), language)


def texts(collection) -> dict[str, str]:
    return {document.id: document.text for document in collection.documents}


def splits(collection) -> dict[str, str]:
    return {query.id: query.split for query in collection.queries.values()}


def compress(folder: Path, suffix: str) -> None:
    """Every file of a folder that can be, compressed."""
    for path in [path for path in folder.rglob("*") if path.suffix in (".tsv", ".txt", ".jsonl", ".csv", ".json")]:
        data = path.read_bytes()
        if suffix == ".gz":
            path.with_name(path.name + suffix).write_bytes(gzip.compress(data))
        else:
            with pyarrow.CompressedOutputStream(str(path.with_name(path.name + suffix)), "zstd") as file:
                file.write(data)
        path.unlink()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_every_kind_reads_the_same_compressed(tmp_path, kind, suffix):
    folder = KINDS[kind](tmp_path / "one")
    plain = load(folder)
    before = plain.fingerprint
    compress(folder, suffix)
    assert load(folder).fingerprint == before
    assert list(plain.queries) and all(plain.qrels.values())


@pytest.mark.parametrize("kind", KINDS)
def test_documents_are_read_anew_and_never_held(tmp_path, kind):
    documents = load(KINDS[kind](tmp_path / "one")).documents
    assert list(documents) == list(documents) != []
    assert not hasattr(documents, "__len__")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_searched_and_graded(tmp_path, kind, capsys):
    """Down to the table that the command prints."""
    out = tmp_path / "results.json"
    if kind == "miracl":
        pytest.importorskip("jieba", reason="searching Chinese with bm25s needs jieba")
    grade.main(["--collection", str(KINDS[kind](tmp_path / "one")), "--split", "all", "--out", str(out)])
    plain = json.loads(out.read_text())["systems"]["plain"]
    assert (
        plain["queries"] > 0 and plain["recall_at_100"] > 0 and f"{plain['ndcg_at_10']:.4f}" in capsys.readouterr().out
    )


def test_ms_marco_v1(tmp_path):
    found = load(ms_marco(tmp_path / "msmarco"))
    assert splits(found) == {"30": "test", "20": "validation", "10": "train", "11": "train"}
    assert texts(found) == dict(PASSAGES)
    assert found.queries["10"].text == 'what is "word0"'
    assert found.qrels["30"] == {"p3": 3, "p4": 1, "p5": 0}
    assert "non-commercial" in found.licence and "MS MARCO" in found.source
    assert found.statistics["queries_without_judgment"] == 1
    # Judgments of train have one grade: they would vanish at level 2.
    assert found.relevance_level == 1


@pytest.mark.parametrize("qrels", ["2019qrels-pass.txt", "2020qrels-pass.txt", "2021.qrels.pass.final.txt"])
def test_deep_learning_topics_beside_a_shared_corpus(tmp_path, qrels):
    """Each year has a folder of its own; binary measures count from grade 2, nDCG takes grades as they are."""
    ms_marco(tmp_path / "msmarco")
    topics = tsv([("30", "when is word3")])
    yaml = "name: dl\ncorpus: ../msmarco/collection.tsv\n"
    folder = write(
        tmp_path / "years",
        {"queries.tsv": topics, qrels: "30 Q0 p3 3\n30 Q0 p4 1\n", "collection.yaml": yaml},
    )
    found = load(folder)
    assert found.name == "dl" and found.relevance_level == 2 and "grade 2" in found.judgments
    assert found.relevant("30") == {"p3": 3} and found.qrels["30"] == {"p3": 3, "p4": 1}
    assert len(texts(found)) == len(PASSAGES)
    (folder / "collection.yaml").write_text(yaml + "relevance_level: 1\n")
    again = load(folder)
    assert again.relevance_level == 1 and again.fingerprint != found.fingerprint


def test_ms_marco_v2_passages_in_a_folder(tmp_path):
    rows = [
        {
            "pid": f"msmarco_passage_0{n}_{at}",
            "passage": f"text {n} {at}",
            "spans": "(0,8)",
            "docid": f"msmarco_doc_{n}",
        }
        for n in range(2)
        for at in (0, 172)
    ]
    folder = write(
        tmp_path / "v2",
        {
            "msmarco_v2_passage/msmarco_passage_00.gz": gzip.compress(jsonl(rows[:2]).encode()),
            "msmarco_v2_passage/msmarco_passage_01.gz": gzip.compress(jsonl(rows[2:]).encode()),
            "2021_queries.tsv": tsv([("2082", "at about what age do adults lose bone mass")]),
            "2021.qrels.pass.final.txt": "2082 0 msmarco_passage_01_172 2\n",
        },
    )
    found = load(folder)
    assert (
        list(texts(found)) == [row["pid"] for row in rows] and texts(found)["msmarco_passage_01_172"] == "text 1 172"
    )
    assert found.split("test")[0].id == "2082" and found.relevance_level == 2


def test_ms_marco_v2_passages_in_a_tar(tmp_path, monkeypatch):
    """The archive as it is distributed, beside topics and qrels."""
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    rows = [{"pid": f"msmarco_passage_00_{n}", "passage": f"text {n}", "docid": "msmarco_doc_00_0"} for n in range(3)]
    part = gzip.compress(jsonl(rows).encode())
    write(tmp_path / "packed", {"msmarco_v2_passage/msmarco_passage_00.gz": part})
    folder = write(
        tmp_path / "v2", {"2021_queries.tsv": "1\tx\n", "2021.qrels.pass.final.txt": f"1 0 {rows[0]['pid']} 3\n"}
    )
    with tarfile.open(folder / "msmarco_v2_passage.tar", "w") as tar:
        tar.add(tmp_path / "packed/msmarco_v2_passage", "msmarco_v2_passage")
    assert list(texts(load(folder))) == [row["pid"] for row in rows]


def test_topics_and_qrels_by_names_of_all_kinds(tmp_path):
    folder = trec(tmp_path / "robust")
    (folder / "topics.robust.txt").rename(folder / "topics.trec8.301-450")
    (folder / "qrels.robust.txt").rename(folder / "qrels.trec8.adhoc")
    write(folder, {"run.topics.trec": "301 Q0 d1 1 2.0 x\n", "README.qrels.md": "# about", "topics.xml": "<a/>"})
    assert set(load(folder).queries) == {"301", "302"}


def test_segments_are_indexed_with_url_and_headings(tmp_path):
    folder = trec(tmp_path / "one")
    row = {"docid": "d1", "url": "http://a", "title": "T", "headings": "H", "segment": "S"}
    (folder / "corpus.jsonl").write_text(
        jsonl([row, {"docid": "d2", "segment": "x"}, {"docid": "d3", "segment": "y"}])
    )
    assert next(load(folder).indexed_texts()) == ("d1", "T http://a\nH\nS")


def test_trec_topics_and_negative_grades(tmp_path):
    found = load(trec(tmp_path / "robust"))
    assert {query.id: query.text for query in found.queries.values()} == {
        "301": "international organized crime",
        "302": "poliomyelitis and post-polio",
    }
    assert found.qrels == {"301": {"d1": 2, "d3": 0}, "302": {"d2": 1}}
    assert set(splits(found).values()) == {"test"}


def test_a_test_collection_is_divided_only_where_it_says_so(tmp_path):
    folder = trec(tmp_path / "robust")
    (folder / "collection.yaml").write_text("split: divide\n")
    found = load(folder)
    assert splits(found) == {"301": split_of("301"), "302": split_of("302")}
    assert "70/10/20" in found.judgments


def test_a_pooled_subset_keeps_judgments_of_what_is_outside(tmp_path):
    folder = trec(tmp_path / "robust")
    rows = [
        {"id": "d1", "contents": "crime", "pools": ["BM25"]},
        {"id": "d3", "contents": "tennis", "pools": ["BM25"]},
    ]
    (folder / "corpus.jsonl").write_text(jsonl(rows))
    found = load(folder)
    assert "pooled subset" in found.source and found.statistics["judgments_outside_the_pool"] == 1
    assert found.qrels["302"] == {"d2": 1}
    (folder / "corpus.jsonl").write_text(jsonl({"id": row["id"], "contents": row["contents"]} for row in rows))
    with pytest.raises(KitError, match="1 of 3 judgments name"):
        load(folder)
    (folder / "collection.yaml").write_text("pooled: true\n")
    assert load(folder).qrels == found.qrels


def test_topics_without_a_corpus_evaluate_runs_and_nothing_else(tmp_path):
    folder = trec(tmp_path / "robust")
    (folder / "corpus.jsonl").unlink()
    found = load(folder)
    assert not found.has_documents and len(found.split("test")) == 2 and len(found.fingerprint) == 16
    for use in (lambda: list(found.documents), lambda: next(found.indexed_texts())):
        with pytest.raises(KitError, match=r"its documents are not there; put corpus\.jsonl"):
            use()


def test_miracl(tmp_path):
    found = load(miracl(tmp_path / "miracl-v1.0-zh"))
    assert found.language == "zh" and found.qrels["d1#0"] == {"1#1": 1, "2#1": 0}
    assert len(texts(found)) == 40
    assert [query.id for query in found.split("test")] == ["d1#0"]
    train = {id for id, split in splits(found).items() if split == "train"}
    validation = {id for id, split in splits(found).items() if split == "validation"}
    assert len(train) + len(validation) == 40 and 0 < len(validation) < 10
    assert validation == {id for id in train | validation if split_of(id) == "validation"}
    assert found.statistics["queries_without_judgment"] == 1


def test_miracl_without_passages_and_in_another_language(tmp_path):
    folder = miracl(tmp_path / "topics-only", passages=False)
    for path in folder.rglob("*zh*.tsv"):
        path.rename(path.with_name(path.name.replace("-zh-", "-sw-")))
    found = load(folder)
    assert found.language == "sw" and not found.has_documents
    with pytest.raises(KitError, match=r"docs-\*\.jsonl\.gz"):
        list(found.documents)


def test_open_domain_questions(tmp_path):
    found = load(dpr(tmp_path / "nq"))
    assert found.qrels == {"test-0": {"2": 1, "3": 1}, "train-0": {"1": 1}}
    assert found.answers == {"test-0": ("Paris",), "test-1": ("Nobody's here", "Aarön"), "train-0": ("a prophet",)}
    assert found.queries["test-1"].text == 'who wrote "it\'s"' and found.queries["test-1"].split == "test"
    assert texts(found)["1"] == 'Aaron ("Ahärôn") is a prophet.'
    assert found.statistics["questions_without_passage"] == 1


def test_questions_of_several_files_are_told_apart(tmp_path):
    rows = [{"_id": "0", "question": "who is word1", "answers": ["word1"]}]
    folder = write(
        tmp_path / "qa",
        {
            "nq.dev.jsonl": jsonl(rows),
            "nq.test.jsonl": jsonl(rows),
            "entity.json": json.dumps([{"question": "where is word2?", "answers": ["Word2"]}]),
            "passages.jsonl": jsonl({"id": id, "contents": text} for id, text in PASSAGES),
        },
    )
    found = load(folder)
    assert set(found.queries) == {"nq.dev-0", "nq.test-0", "entity-question-0"}
    assert splits(found)["nq.dev-0"] == "validation" and splits(found)["nq.test-0"] == "test"
    assert found.qrels == {"nq.dev-0": {"p1": 1}, "nq.test-0": {"p1": 1}, "entity-question-0": {"p2": 1}}
    (folder / "nq.dev.jsonl").unlink()
    assert set(load(folder).queries) == {"0", "question-0"}


def test_answers_that_stand_everywhere_judge_nothing(tmp_path):
    folder = write(
        tmp_path / "qa",
        {
            "nq.test.jsonl": jsonl(
                [{"question": "how many", "answers": ["two"]}, {"question": "who", "answers": ["Zoë"]}]
            ),
            "passages.jsonl": jsonl(
                {"id": str(n), "text": f"two of {n} zoe\u0308" if n == 7 else f"two of {n}"} for n in range(1001)
            ),
        },
    )
    found = load(folder)
    assert found.qrels == {"test-1": {"7": 1}} and found.statistics["questions_too_common"] == 1
    assert set(found.queries) == set(found.answers) == {"test-0", "test-1"}


@pytest.mark.parametrize(
    "stray",
    ['{\n  "citation": "x",\n  "features": {}\n}', '["a", "b"]', "3", "[\n 1,\n 2\n]", '{"version": 1}', "[]"],
    ids=["settings", "texts", "number", "numbers", "object", "empty"],
)
def test_other_json_beside_questions_is_passed_over(tmp_path, stray):
    folder = dpr(tmp_path / "nq")
    (folder / "dataset_info.json").write_text(stray)
    assert load(folder).qrels == {"test-0": {"2": 1, "3": 1}, "train-0": {"1": 1}}


def test_what_took_long_to_find_is_kept(tmp_path, monkeypatch):
    from builders.collections.files import accepted_answers as answers

    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(answers, "WORTH_KEEPING_SECONDS", 0.0)
    folder = dpr(tmp_path / "nq")
    first = load(folder)
    (kept,) = (tmp_path / "cache/answers").iterdir()
    monkeypatch.setattr(answers.AnswerIndex, "matches", lambda *_: pytest.fail("searched again"))
    assert load(folder).fingerprint == first.fingerprint
    monkeypatch.undo()
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    kept.write_bytes(kept.read_bytes()[:-9])
    assert load(folder).fingerprint == first.fingerprint
    passages = (folder / "psgs_w100.tsv").read_text()
    (folder / "psgs_w100.tsv").write_text(passages.replace("PARIS", "Pariser"))
    assert load(folder).qrels["test-0"] == {"2": 1}


def test_answers_are_matched_as_pyserini_matches_them(tmp_path, shared_data):
    """Against `has_answers` itself, on real passages and answers."""
    pytest.importorskip("pyserini", reason="needs the extra pyserini")
    from pyserini.eval.evaluate_dpr_retrieval import SimpleTokenizer, has_answers

    from builders.collections.files.accepted_answers import AnswerIndex, load_tokenizer

    found = load(shared_data / "nq-gold")
    passages = [document.text for document in islice(found.documents, 30)]
    answers = {id: found.answers[id] for id in islice(found.answers, 60)}
    tokenizer, tokens = SimpleTokenizer(), load_tokenizer()
    for text in passages:
        assert tokens(text) == tokenizer.tokenize(unicodedata.normalize("NFD", text)).words(uncased=True)
    index = AnswerIndex(answers, tokens)
    matched = [index.matches(text) for text in passages]
    assert matched == [{id for id, own in answers.items() if has_answers(text, own, tokenizer)} for text in passages]
    assert sum(map(len, matched)) > 20


def test_click_judgments(tmp_path):
    found = load(clicks(tmp_path / "shop"))
    shoes = next(query for query in found.queries.values() if query.text == "red shoes")
    hat = next(query for query in found.queries.values() if query.text == "blue hat")
    assert found.qrels == {shoes.id: {"sku1": 3, "sku2": 2, "sku3": 1, "sku4": 0}, hat.id: {"sku5": 3}}
    assert shoes.split == split_of(shoes.id) and "click judgments" in found.judgments
    assert found.statistics["clicks"] == 11 and found.statistics["documents"] == 7


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_click_logs_in_every_form_and_with_other_names(tmp_path, form):
    """Documents from the log itself: each id's first text, once."""
    rows = [
        {"search_term": query, "sku": id, "document_text": f"text of {id}" if n else "the first text", "n": count}
        for n, (query, id, count) in enumerate([*CLICKS, ("blue hat", "sku1", 1)])
    ]
    path = tmp_path / "log" / f"clicks.{form}"
    path.parent.mkdir()
    if form == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif form == "jsonl":
        path.write_text(jsonl(rows))
    else:
        separator = "," if form == "csv" else "\t"
        path.write_text(
            "".join(separator.join(map(str, row)) + "\n" for row in (rows[0], *(r.values() for r in rows)))
        )
    columns = "columns: {query: search_term, document_id: sku, count: n}\n"
    (path.parent / "collection.yaml").write_text(f"{columns}name: shop\nlicence: internal\nlanguage: de\n")
    found = load(path.parent)
    assert found.name == "shop" and found.licence == "internal" and found.language == "de"
    assert list(texts(found)) == ["sku1", "sku2", "sku3", "sku4", "sku5"] and texts(found)["sku1"] == "the first text"
    by_text = {found.queries[id].text: grades for id, grades in found.qrels.items()}
    assert by_text == {"red shoes": {"sku1": 3, "sku2": 2, "sku3": 1, "sku4": 0}, "blue hat": {"sku5": 3, "sku1": 3}}


@pytest.mark.parametrize("rated", [False, True], ids=["clicks", "ratings"])
@pytest.mark.parametrize("alone", [False, True], ids=["folder", "file"])
def test_what_a_space_carries_of_a_log_tells_nothing_of_who_searched(tmp_path, rated, alone):
    """Queries, documents and numbers make the same collection; users and times stay at home."""
    shoes = [("Red  Shoes", f"d{n % 2}", f"shoe {n % 2}", 1 + n % 2, f"user{n}", f"2026-01-0{n}") for n in range(1, 7)]
    hats = [("hat", f"h{n}", f"hat {n}", 1, "user10", "2026-02-02") for n in range(20)]
    names = ("query", "document_id", "text", "rating" if rated else "count", "user", "timestamp")
    rows = [names, *shoes, *hats]
    folder = write(tmp_path / "shop", {"clicks.csv": "".join(",".join(map(str, row)) + "\n" for row in rows)})
    (folder / "accounts.csv").write_text("user,name\nuser1,Ada\n")  # Not read, and nobody's business either.
    here = str(folder / "clicks.csv" if alone else folder)
    files: dict[str, bytes | Path] = {}
    there = tmp_path / "space" / carry_collection(here, files)
    for name, content in files.items():
        (tmp_path / "space" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "space" / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    told = b"".join(path.read_bytes() for path in (tmp_path / "space").rglob("*") if path.is_file())
    assert b"red shoes" in told and b"user" not in told and b"2026" not in told
    assert load_collection(str(there)).fingerprint == load_collection(here).fingerprint


def test_a_log_in_an_archive_is_carried_by_no_space(tmp_path):
    with tarfile.open(tmp_path / "shop.tar.gz", "w:gz") as archive:
        archive.add(clicks(tmp_path / "shop"), "shop")
    files: dict[str, bytes | Path] = {}
    with pytest.raises(KitError, match="unpack it, and give the folder"):
        carry_collection(str(tmp_path / "shop.tar.gz"), files)
    assert not files


@pytest.mark.parametrize("name", ["clicks.csv", "ratings.csv", "judgments-2024.csv"])
def test_ratings_are_grades_and_no_clicks(tmp_path, name):
    """A table as editors of search teams export it; 0 is not relevant, however often the row stands there."""
    folder = clicks(tmp_path / "shop")
    (folder / "clicks.csv").unlink()
    head = "query,docid,rating\n"
    (folder / name).write_text(f"{head}red shoes,sku1,3\nRed shoes,sku2,1.0\nred shoes,sku5,0\nblue hat,sku1,0\n")
    found = load(folder)
    shoes, hat = (
        next(query.id for query in found.queries.values() if query.text == text) for text in ("red shoes", "blue hat")
    )
    assert found.qrels == {shoes: {"sku1": 3, "sku2": 1, "sku5": 0}, hat: {"sku1": 0}}
    assert "ratings of the table" in found.judgments and "clicks" not in found.statistics
    (folder / name).write_text(f"{head}shoes,sku1,3\nshoes,sku1,2\n")
    with pytest.raises(KitError, match=r"row 3: 'shoes' and 'sku1' have two different ratings"):
        load(folder)
    (folder / name).write_text(f"{head}shoes,sku1,good\n")
    with pytest.raises(KitError, match=r"row 2: score 'good' is not an integer"):
        load(folder)


def test_headers_as_spreadsheets_write_them(tmp_path):
    folder = clicks(tmp_path / "shop")
    (folder / "clicks.csv").write_text("Query,Document ID,Rating\nred shoes,sku1,3\nred shoes,sku5,0\n")
    (folder / "columns.json").unlink(missing_ok=True)
    assert list(load(folder).qrels.values()) == [{"sku1": 3, "sku5": 0}]


def test_a_log_with_counts_and_ratings_is_a_log(tmp_path):
    log = tmp_path / "clicks.csv"
    log.write_text("query,docid,text,rating,clicks\nx,a,one,0,9\nx,b,two,3,0\n")
    assert list(load(log).qrels.values()) == [{"a": 3, "b": 0}]


def test_a_click_log_alone_without_ids(tmp_path):
    log = tmp_path / "clicks.tsv"
    log.write_text("query\ttext\nfoo\tone text\nfoo\tone text\nfoo\tanother\n")
    found = load(log)
    assert sorted(texts(found).values()) == ["another", "one text"] and found.statistics["clicks"] == 3
    (grades,) = found.qrels.values()
    assert {texts(found)[id]: grade for id, grade in grades.items()} == {"one text": 3, "another": 2}


def test_the_samples_of_the_page_load_and_every_accepted_name_stands_there(tmp_path):
    page = (ROOT / "docs/collections.md").read_text()
    samples = dict(re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)```", page, re.DOTALL | re.MULTILINE))
    for kind in (("queries.jsonl", "qrels/test.tsv"), ("clicks.tsv",), ("ratings.csv",)):
        folder = write(tmp_path / kind[0], {name: samples[name] for name in ("corpus.jsonl", *kind)})
        found = load(folder)
        (asked,) = (query for query in found.queries.values() if query.text == "warm shoes")
        assert found.gold(asked.id) == {"boots"} and texts(found).keys() == {"boots", "sandals", "laces"}
    names = {name for column in ("query", "document_id", "count", "rating") for name in NAMES[column]}
    names |= {*documents.ID_FIELDS, *documents.TEXT_FIELDS, *topics.ID_FIELDS, *topics.TEXT_FIELDS}
    assert not {name for name in names if f"`{name}`" not in page}


def test_pages_that_were_deleted_since_stop_no_log(tmp_path):
    """Nearly all of them do: then the corpus is another's."""
    folder = clicks(tmp_path / "shop")
    rows = [
        ("red shoes", "sku1", 2),
        *((f"find {n}", f"gone{n}" if n % 4 else f"sku{n % 8}", 1) for n in range(1, 40)),
    ]
    (folder / "clicks.csv").write_text("query,document_id,count\n" + "".join(f"{q},{d},{n}\n" for q, d, n in rows))
    (folder / "sessions.csv").write_text("session,user\n1,2\n")
    found = load(folder)
    assert found.statistics["judgments_dangling"] == 34 and len(found.queries) == 6
    assert any("34 of 40 judgments" in remark and "85.0%, and are left out: " in remark for remark in found.remarks)
    assert any("'find 1', 'gone1'" in remark for remark in found.remarks), "a query by its text"
    assert "shop: not read beside the log: sessions.csv" in found.remarks
    others = [("red shoes", "sku1"), *((f"find {n}", f"gone{n}") for n in range(1, 40))]
    (folder / "clicks.csv").write_text("query,document_id\n" + "".join(f"{q},{d}\n" for q, d in others))
    with pytest.raises(KitError, match="39 of 40 .* more than 90% are too many: do log and corpus belong together"):
        load(folder)


def test_a_log_says_which_columns_it_lacks_and_what_they_may_be_called(tmp_path):
    folder = clicks(tmp_path / "shop")
    (folder / "clicks.csv").write_text("query,page,clicks\nred shoes,sku1,2\n")
    with pytest.raises(KitError, match=r"no column 'document_id' or 'doc_id' .* but query, page, clicks; .*columns: "):
        load(folder)
    (folder / "collection.yaml").write_text("columns: {document_id: page}\n")
    assert len(load(folder).qrels) == 1


def test_a_growing_log_moves_no_query(tmp_path):
    log = tmp_path / "clicks.csv"
    log.write_text("query,document_id,text\n" + "".join(f"q {n},d{n},t{n}\n" for n in range(50)))
    first = splits(load(log))
    log.write_text("query,document_id,text\n" + "".join(f"Q  {n},d{n},t{n}\n" for n in range(99, -1, -1)))
    second = splits(load(log))
    assert len(second) == 100 and first.items() <= second.items() and len(set(first.values())) == 3


def test_what_a_folder_states_of_itself(tmp_path):
    folder = beir(tmp_path / "dev")
    stated = ["name: mine", "language: fi", "source: our wiki", "licence: CC0-1.0", "judgments: By two editors."]
    (folder / "collection.yaml").write_text(
        "\n".join([*stated, "split: test", "index_title: false", "relevance_level: 1"])
    )
    found = load(folder)
    assert (found.name, found.language, found.source, found.licence) == ("mine", "fi", "our wiki", "CC0-1.0")
    assert found.judgments == "By two editors." and not found.index_title
    assert set(splits(found).values()) == {"test"}
    assert load(folder, "et").language == "et"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("复旦大学在哪个城市？", "zh"),
        ("京都はどこにありますか", "ja"),
        ("서울은 어디에", "ko"),
        ("где", "ru"),
        ("where", "en"),
        ("42", "en"),
    ],
)
def test_the_language_is_guessed_from_the_script_of_the_queries(tmp_path, text, language):
    folder = beir(tmp_path / "one")
    (folder / "queries.jsonl").write_text(jsonl({"_id": f"q{n}", "text": text} for n in range(2)))
    assert load(folder).language == language
    assert load(folder, "fr").language == "fr"


def test_a_lone_qrels_file_beside_the_corpus_and_answers(tmp_path):
    folder = beir(tmp_path / "one")
    for path in (folder / "qrels").iterdir():
        path.unlink()
    (folder / "qrels").rmdir()
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\n")
    (folder / "queries.jsonl").write_text(
        jsonl([{"_id": f"q{n}", "text": "x", "answers": ["a", ""]} for n in range(2)])
    )
    found = load(folder)
    assert splits(found) == {"q0": "test", "q1": "test"}
    assert found.answers == {"q0": ("a",), "q1": ("a",)}
    (folder / "collection.yaml").write_text("split: divide\n")
    found = load(folder)
    assert splits(found) == {"q0": split_of("q0"), "q1": split_of("q1")} and "70/10/20" in found.judgments


def test_two_folders_share_a_corpus(tmp_path):
    one, two = beir(tmp_path / "one"), beir(tmp_path / "two")
    (two / "corpus.jsonl").unlink()
    (two / "collection.yaml").write_text("corpus: ../one/corpus.jsonl\n")
    assert texts(load(two)) == texts(load(one))


def test_a_few_faults_are_counted_and_told(tmp_path):
    folder = beir(tmp_path / "one")
    rows = [{"_id": f"d{n}", "text": f"text {n}"} for n in range(300)]
    rows[7]["text"], rows[8]["text"] = " ", "broken \ufffd character"
    (folder / "corpus.jsonl").write_text(jsonl(rows))
    (folder / "queries.jsonl").write_text(
        jsonl({"_id": f"q{n}", "text": f"query {n}" if n else ""} for n in range(150))
    )
    judged = [(f"q{n}", f"d{n}", 1) for n in range(1, 150)] + [("q1", "gone", 1)]
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n" + tsv([("q0", "d0", 1), *judged]))
    (folder / "qrels/test.tsv").unlink()
    found = load(folder)
    counts = found.statistics
    assert counts["documents_empty"] == counts["documents_with_replacement_characters"] == counts["queries_empty"] == 1
    assert counts["judgments_dangling"] == counts["judgments_of_empty_queries"] == 1
    assert any("train.tsv, row 152: 'q1', 'gone'" in remark for remark in found.remarks)
    assert "gone" not in found.qrels["q1"] and "q0" not in found.queries


def test_a_large_corpus_is_not_held_in_memory(tmp_path):
    """24 MB of documents: whoever kept their texts would show here."""
    folder = beir(tmp_path / "one")
    text = "word " * 1200
    (folder / "corpus.jsonl").write_text(jsonl({"_id": f"d{n}", "text": text} for n in range(4000)))
    tracemalloc.start()
    found = load(folder)
    assert sum(1 for _ in found.documents) == found.statistics["documents"] == 4000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6, peak

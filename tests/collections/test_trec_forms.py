"""Topics, judgments, runs and documents as they are found in the field: read as trec_eval and Anserini read them."""

import json
from types import SimpleNamespace

import pytest

from builders.collections.load import load_collection
from builders.commands.grade import GradeArguments, grade, markdown_table
from builders.errors import KitError
from builders.grading.expander_evaluation import evaluate
from builders.measures.trec_run import read_run
from builders.retrievers.load import load_retriever
from tests.support.collection_folders import beir, jsonl, trec, write


CORPUS = jsonl(
    {"id": f"d{n}", "contents": text} for n, text in enumerate(["sun panels", "trade sanctions", "cooking"])
)
HEAD = "query-id\tcorpus-id\tscore\n"


def folder(path, topics: str, qrels: str = "1 0 d0 1\n2 0 d1 1\n", name: str = "topics.txt"):
    return write(path, {"corpus.jsonl": CORPUS, name: topics, "qrels.txt": qrels})


def queries(path) -> dict[str, str]:
    return {query.id: query.text for query in load_collection(str(path)).queries.values()}


XML = """<?xml version="1.0" encoding="UTF-8"?>
<topics task="COVIDSearch" batch="5">
  <topic number="1">
    <query>sun &amp; panels</query>
    <question>what are sun panels</question>
  </topic>
  <topic number="2" type="faceted"><query> trade
 sanctions </query><narrative>any</narrative></topic>
</topics>
"""


@pytest.mark.parametrize(
    ("topics", "first"),
    [
        (XML, "sun & panels"),
        ('<topics><topic id="1">sun panels</topic><topic id="2">trade sanctions</topic></topics>', "sun panels"),
        (
            "<topics>\n<topic><number>1</number><title>sun panels</title></topic>\n"
            "<topic><number>2</number><title>trade sanctions</title></topic></topics>",
            "sun panels",
        ),
        (
            "<top>\n<head> Tipster Topic Description\n<num> Number:  001\n<dom> Domain:  Science\n"
            "<title> Topic:  sun panels\n<desc> Description:\nno <topic> of its own\n</top>\n\n"
            "<top lang='en'>\n<num> Number: 002\n<title> Topic: trade sanctions\n</top>\n",
            "sun panels",
        ),
        ("<top>\n<num>1</num>\n<query>sun panels\n</top>\n<top><num>2\n<query>trade sanctions</top>", "sun panels"),
        (
            "<top>\n<num> Number: MB001\n<title>sun panels\n</top>\n<top><num>MB002\n<query>trade sanctions</top>",
            "sun panels",
        ),
        (
            "<queries>\n<query>\n<qid>0001</qid>\n<content>sun &amp; panels</content>\n</query>\n"
            "<query><qid>0002</qid><content>trade sanctions</content></query></queries>",
            "sun & panels",
        ),
        (
            "<top lang='hi'>\n<num>1</num><title>sun panels</title><desc>no end</desc>\n\n"
            "<top lang='hi'>\n<num>2</num><title>trade sanctions</title></top>\n",
            "sun panels",
        ),
        (
            "<topics><!-- <topic number='9'><query>old</query></topic>\n -->\n<topic number='1'>"
            "<query><![CDATA[sun & <b> panels]]></query></topic>\n<topic number='2'><query>trade sanctions</query>"
            "</topic></topics>",
            "sun & <b> panels",
        ),
        (
            "<top>\n<num>1</num>\n<EN-title> sun panels </EN-title>\n<EN-desc> any </EN-desc>\n</top>\n"
            "<top>\n<EN-num>2</EN-num>\n<EN-title> trade sanctions </EN-title>\n</top>\n",
            "sun panels",
        ),
    ],
    ids=["trec-covid", "clinical-trials", "touche", "trec-1", "query", "microblog", "ntcir", "fire", "xml", "clef"],
)
@pytest.mark.parametrize("name", ["topics.txt", "topics.xml"])
def test_topics_between_tags(tmp_path, topics, first, name):
    found = load_collection(str(folder(tmp_path / "one", topics, name=name)))
    assert [query.text for query in found.queries.values()] == [first, "trade sanctions"]
    assert [int(id.removeprefix("MB")) for id in found.qrels] == [1, 2] and found.qrels.keys() == found.queries.keys()
    results, _ = grade(GradeArguments(str(tmp_path / "one")))
    assert results["systems"]["plain"]["ndcg_at_10"] == 1


def test_questions_by_what_they_hold_and_not_by_their_name(tmp_path):
    rows = [
        {"question_id": "1", "question": "what is sun?", "query": "sun panels"},
        {"question_id": "2", "query": "trade"},
    ]
    epidemic = json.dumps(rows, indent=1)
    assert queries(folder(tmp_path / "one", epidemic, name="topics.json")) == {"1": "sun panels", "2": "trade"}
    lines = jsonl([{"id": "1", "title": "sun panels"}, {"id": "2", "title": "trade"}])
    assert queries(folder(tmp_path / "two", lines)) == {"1": "sun panels", "2": "trade"}
    documents = "<DOC>\n<DOCNO> 1 </DOCNO>\n\n sun\npanels\n</DOC>\n<DOC>\n<DOCNO> 2 </DOCNO>\ntrade\n</DOC>\n"
    assert queries(folder(tmp_path / "cacm", documents)) == {"1": "sun panels", "2": "trade"}
    asked = "who was it\t['Wilhelm Röntgen']\nwhen was it\t[\"May 18\", '2018']\n"
    with pytest.raises(KitError, match=r"topics.txt, row 1: a question and its answers.*give topics.txt alone"):
        queries(folder(tmp_path / "three", asked))
    found = load_collection(str(tmp_path / "three/topics.txt"))
    assert [*found.answers.values()] == [("Wilhelm Röntgen",), ("May 18", "2018")]
    (tmp_path / "curated.txt").write_text(jsonl([{"question": "how tall?", "answer": ["6,194"]}]))
    (found,) = load_collection(str(tmp_path / "curated.txt")).queries.values()
    assert found.text == "how tall?"


def test_a_number_with_zeros_in_front_is_the_same_topic_in_runs_and_expansions(tmp_path):
    one = folder(tmp_path / "one", "051\tsun\n52\ttrade\n", "51 0 d0 1\n052 0 d1 1\n")
    run, written = tmp_path / "run.trec", tmp_path / "written.jsonl"
    run.write_text("51 Q0 d0 1 9 t\n0052 Q0 d1 1 9 t\n")
    written.write_text(
        jsonl([{"query_id": "51", "expansion": "panels"}, {"query_id": "52", "expansion": "sanctions"}])
    )
    assert list(load_collection(str(one)).qrels) == ["051", "52"]
    assert grade(GradeArguments(str(one), run=[str(run)]))[0]["systems"]["run"]["ndcg_at_10"] == 1
    assert grade(GradeArguments(str(one), expansions=str(written)))[0]["systems"]["written"]["missing"] == 0
    arabic = folder(tmp_path / "arabic", "AR26\tsun\nAR27\ttrade\n", "26 0 d0 1\n27 0 d1 1\n")
    assert list(load_collection(str(arabic)).qrels) == ["AR26", "AR27"]
    # Where both are topics each is its own.
    both = folder(tmp_path / "both", "01\tsun\n1\ttrade\n", "01 0 d0 1\n1 0 d1 1\n")
    assert load_collection(str(both)).qrels == {"01": {"d0": 1}, "1": {"d1": 1}}


def test_other_xml_files_are_passed_over(tmp_path):
    one = folder(tmp_path / "one", "1\tsun\n2\ttrade\n")
    write(one, {"topics.schema.xml": "<schema/>", "qrels.xml": "<a/>"})
    assert list(queries(one)) == ["1", "2"]


def test_what_separates_judgments_is_named(tmp_path):
    with pytest.raises(
        KitError, match=r"qrels.txt, row 1: 1 column where 4.*relevance\), separated by commas, it seems"
    ):
        load_collection(str(folder(tmp_path / "one", "1\tsun\n", "1,0,d0,1\n")))


def test_documents_in_another_encoding_are_named(tmp_path):
    latin = DOCS.replace("First", "caf\xe9").encode("latin-1")
    latin = write(tmp_path, {"corpus.trec": latin, "topics.tsv": "1\tsun\n", "qrels.txt": "1 0 FT-1 1\n"})
    with pytest.raises(KitError, match=r"corpus.trec, after row \d+: not UTF-8"):
        load_collection(str(latin))


def test_topics_parted_by_colons_are_named(tmp_path):
    with pytest.raises(KitError, match=r"topics.txt, row 1: 1 column where 2.*separated by colons"):
        load_collection(str(folder(tmp_path / "one", "1:sun panels\n")))
    with pytest.raises(KitError) as caught:
        load_collection(str(folder(tmp_path / "two", "the answer: a text\n")))
    assert "separated by colons" not in str(caught.value)


DOCS = """<DOC>
<DOCNO> FT-1 </DOCNO>
<DOCID>7</DOCID>
<HEADLINE>
Sun &amp; <F P="1">panels</F>
</HEADLINE>
<DATE> 1991 </DATE>
<LEADPARA>First.</LEADPARA>
<TEXT>
<P>power, 3 < 4</P>
</TEXT>
</DOC>
<doc><docno>FT-2</docno>trade <b>sanctions</b></doc><DOC id="3">
<DOCNO>FT-3</DOCNO><TEXT>z</TEXT></DOC>
"""


@pytest.mark.parametrize("name", ["corpus.trec", "collection.sgml", "docs/ft911_1", "corpus.txt"])
def test_documents_in_trec_form(tmp_path, name):
    one = write(tmp_path / "one", {name: DOCS, "topics.tsv": "1\tsun\n", "qrels.txt": "1 0 FT-1 1\n"})
    write(one, {"corpus.index": b"\xff\xfe\0binary"})
    documents = [(found.id, found.title, found.text) for found in load_collection(str(one)).documents]
    assert documents[0] == ("FT-1", "Sun & panels", "First. power, 3 < 4")
    assert [found[0] for found in documents] == ["FT-1", "FT-2", "FT-3"] and documents[1][2] == "trade sanctions"
    (one / name).write_text(DOCS.rpartition("</DOC>")[0])
    with pytest.raises(KitError, match=r"row 13: this document has no </DOC>"):
        load_collection(str(one))
    (one / name).write_text("<DOC>\n<TEXT>x</TEXT></DOC>")
    with pytest.raises(KitError, match=r"row 1: a document without <DOCNO>"):
        load_collection(str(one))


def test_comments_in_judgments_and_whole_numbers_with_a_point(tmp_path):
    one = trec(tmp_path / "one")
    (one / "qrels.robust.txt").write_text("# by two people\n301 0 d1 2.0\n# second\n302 0 d2 1\n")
    assert load_collection(str(one)).qrels == {"301": {"d1": 2}, "302": {"d2": 1}}
    two = beir(tmp_path / "two")
    (two / "qrels/test.tsv").write_text(HEAD + "q1\td1\t2.0\n")
    assert load_collection(str(two)).qrels["q1"] == {"d1": 2}


def test_a_run_is_read_as_trec_eval_reads_it(tmp_path):
    """Checked against trec_eval 9.0.8's own reader: it takes six words of a line and passes over the rest."""
    run = tmp_path / "run.trec"
    run.write_text("# made by hand\n1 Q0 d1 1 2.5 bm25 tuned run\n1 Q0 d2 2 3.5 bm25\n")
    assert read_run(run) == {"1": ["d2", "d1"]}


def test_a_run_over_topics_of_which_few_are_judged(tmp_path, capsys):
    one = folder(tmp_path / "one", "1\tsun\n2\ttrade\n")
    run = tmp_path / "run.trec"
    run.write_text("".join(f"{n} Q0 d{d} 1 {9 - d} t\n" for n in range(1, 21) for d in range(3)))
    results, _ = grade(GradeArguments(str(one), run=[str(run)]))
    # Topic 1 finds d0 first, topic 2 its d1 second: (1 + 1 / log2(3)) / 2.
    assert results["systems"]["run"]["ndcg_at_10"] == pytest.approx(0.8155, abs=1e-4)
    assert "18 of its 20 topics are not in collection" in capsys.readouterr().err
    run.write_text("7 Q0 d0 1 9 t\n")
    with pytest.raises(KitError, match="1 of its 1 topics are not in collection 'one', the first is '7'"):
        grade(GradeArguments(str(one), run=[str(run)]))


def test_judged_queries_without_a_relevant_document(tmp_path):
    """A run is averaged over all judged topics, as pytrec_eval does; other tables say how many are left out."""
    import pytrec_eval

    one = folder(tmp_path / "one", "1\tsun\n2\ttrade\n3\tcooking\n", "1 0 d0 1\n2 0 d1 1\n3 0 d2 0\n")
    results, _ = grade(GradeArguments(str(one)))
    assert results["systems"]["plain"]["queries"] == 2 and results["collection"]["without_relevant"] == {"test": 1}
    assert markdown_table(results).startswith("2 test queries of one (1 more have no relevant document), ")
    collection = load_collection(str(one))
    said = SimpleNamespace(name="x", formulation="q*5+e", expand_queries=lambda queries, _: ["panels"] * len(queries))
    table = evaluate(said, collection, load_retriever("bm25s", collection))
    assert str(table).startswith("2 test queries of one (1 more have no relevant document), ")
    run = tmp_path / "run.trec"
    run.write_text("1 Q0 d0 1 9 t\n2 Q0 d1 1 9 t\n3 Q0 d2 1 9 t\n")
    results, _ = grade(GradeArguments(str(one), run=[str(run)]))
    qrels = {"1": {"d0": 1}, "2": {"d1": 1}, "3": {"d2": 0}}
    scores = {topic: {f"d{int(topic) - 1}": 9.0} for topic in qrels}
    evaluated = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(scores)
    right = sum(found["ndcg_cut_10"] for found in evaluated.values()) / len(evaluated)
    assert right == pytest.approx(2 / 3) == results["systems"]["run"]["ndcg_at_10"]
    assert "(1 of them have no relevant document and count 0)" in markdown_table(results)


def test_topics_and_judgments_alone_evaluate_a_run(tmp_path):
    one = beir(tmp_path / "one")
    (one / "corpus.jsonl").unlink()
    run = tmp_path / "run.trec"
    run.write_text("q1 Q0 d1 1 9 t\n")
    assert grade(GradeArguments(str(one), run=[str(run)]))[0]["systems"]["run"]["ndcg_at_10"] == 1
    with pytest.raises(KitError, match=r"corpus\.jsonl \(or corpus\.jsonl\.gz, \.zst\) is missing"):
        grade(GradeArguments(str(one)))


@pytest.mark.parametrize(
    ("field", "value"), [("text", "null"), ("title", "NaN"), ("text", "NaN")], ids=["null text", "NaN title", "NaN"]
)
def test_null_and_nan_are_no_text(tmp_path, field, value):
    one = beir(tmp_path / "one")
    rows = (one / "corpus.jsonl").read_text().splitlines()
    rows[1] = f'{{"_id": "d1", "title": "t", "text": "x", "{field}": {value}}}'
    (one / "corpus.jsonl").write_text("\n".join(rows))
    document = list(load_collection(str(one)).documents)[1]
    assert getattr(document, field) == "" and document.id == "d1"


@pytest.mark.parametrize(("right", "dropped"), [(10, True), (9, False)])
def test_one_dangling_judgment_among_few(tmp_path, right, dropped):
    one = beir(tmp_path / "one")
    names = range(right)
    (one / "corpus.jsonl").write_text(jsonl({"_id": f"d{n}", "text": "x"} for n in names))
    (one / "queries.jsonl").write_text(jsonl({"_id": f"q{n}", "text": "x"} for n in names))
    (one / "qrels/train.tsv").unlink()
    (one / "qrels/test.tsv").write_text(HEAD + "".join(f"q{n}\td{n}\t1\n" for n in names) + "q3\tgone\t1\n")
    if dropped:
        found = load_collection(str(one))
        assert len(found.qrels) == 10 and any("'q3', 'gone'" in remark for remark in found.remarks)
    else:
        with pytest.raises(KitError, match="1 of 10 judgments"):
            load_collection(str(one))

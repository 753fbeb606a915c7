"""A query's own document, and others that a collection excludes, are left out of every search."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from builders.collections.collection import Collection, Document, Query, collection_provenance
from builders.collections.load import load_collection
from builders.commands.grade import GradeArguments, grade
from builders.errors import KitError
from builders.expanders.term_regression import TermRegressionExpander, TermRegressionOptions
from builders.grading.grader import Grader
from builders.hard_negatives.ranked import mine
from builders.prompts.context.feedback_terms import FeedbackTerms, NeighbourTerms
from builders.prompts.context.judged_terms import JudgedTerms
from builders.prompts.context.prf_passages import PrfPassages
from builders.prompts.exemplars import draw_exemplars
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formulation import load_formulation
from builders.retrievers.fusion import HybridRetriever
from builders.retrievers.left_out import left_out_of, search_without
from builders.retrievers.pyserini_index import PyseriniRetriever
from builders.retrievers.retriever import Hit
from space.corpus import Corpus, Searched
from tests.support.java import needs_java
from train.evaluation.systems import baseline_system


# A debate: each query is an argument of the corpus, and the answer to it another one.
ARGUMENTS = {
    "con-1": "zoos harm animals because cages are small",
    "pro-1": "zoos protect animals because kinds are rare",
    "con-2": "taxes harm small shops",
    "pro-2": "taxes pay for roads and small schools",
    "other": "lions sleep",
}
QUERIES = {name: ARGUMENTS[name] for name in ("con-1", "con-2")}


def debate(folder: Path, names: dict[str, str] | None = None, **stated: object) -> Path:
    """The collection, its ids replaced where other names are given."""
    names = names or {}
    (folder / "qrels").mkdir(parents=True)
    for kind, texts in (("corpus", ARGUMENTS), ("queries", QUERIES)):
        rows = [{"_id": names.get(name, name), "text": text} for name, text in texts.items()]
        (folder / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = "".join(f"{names.get(f'con-{n}', f'con-{n}')}\t{names.get(f'pro-{n}', f'pro-{n}')}\t1\n" for n in (1, 2))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    if stated:
        (folder / "collection.yaml").write_text("".join(f"{key}: {json.dumps(it)}\n" for key, it in stated.items()))
    return folder


def ndcg(collection: Collection) -> list[float]:
    grader = Grader(collection, Bm25sRetriever(collection), load_formulation("q*5+e"))
    return [grade.ndcg_at_10 for grade in grader.plain(list(collection.queries))]


def test_a_query_is_not_found_by_itself(tmp_path: Path) -> None:
    """By hand: the query's own text comes first; without it the answer does, and nDCG is 1 in place of 1/log2(3)."""
    kept = load_collection(str(debate(tmp_path / "kept", ignore_identical_ids=False)))
    assert ndcg(kept)[0] == pytest.approx(1 / math.log2(3))
    found = load_collection(str(debate(tmp_path / "debate")))
    assert found.ignore_identical_ids and ndcg(found)[0] == pytest.approx(1)
    assert any("own ids" in remark for remark in found.remarks)
    queries = list(found.queries.values())
    system = baseline_system("bm25s", found, Bm25sRetriever(found), queries)
    assert [grade.ndcg_at_10 for grade in system.grades] == ndcg(found)
    assert all(query.id not in ranking for query, ranking in zip(queries, system.rankings, strict=True))
    pools = mine(found, Bm25sRetriever(found), queries, skip_top=0, depth=3)
    assert [one.document_id for one in pools.ranked["con-1"]][:1] == ["pro-1"]
    assert [one.rank for one in pools.ranked["con-1"]] == list(range(1, len(pools.ranked["con-1"]) + 1))
    assert "zoos harm" not in PrfPassages(found).texts(queries)[0]


def test_nor_in_a_space(tmp_path: Path) -> None:
    collection = load_collection(str(debate(tmp_path / "debate")))
    corpus = Corpus(lambda: collection, {"first": Searched("bm25s", "q*5+e")})
    ranking = corpus.search(QUERIES["con-1"])
    assert ranking.hits[0].document_id == "pro-1" and ranking.ndcg_at_10 == pytest.approx(1)


def test_it_is_recorded_only_where_it_holds(tmp_path: Path) -> None:
    """Collections without such queries keep their provenance and their fingerprint."""
    on = load_collection(str(debate(tmp_path / "on" / "debate")))
    off = load_collection(str(debate(tmp_path / "off" / "debate", ignore_identical_ids=False)))
    assert collection_provenance(on)["ignore_identical_ids"] is True
    assert "ignore_identical_ids" not in collection_provenance(off)
    assert on.fingerprint != off.fingerprint


def test_numbers_meet_by_chance(tmp_path: Path) -> None:
    """In Cranfield query 1 and document 1 have nothing to do with one another; a number may name both, too."""
    chance = {"con-1": "9", "pro-1": "1", "con-2": "8", "pro-2": "2", "other": "3"}
    folder = debate(tmp_path / "numbers", chance)
    for old, new in (('"9"', '"3"'), ('"8"', '"2"')):
        text = (folder / "queries.jsonl").read_text()
        (folder / "queries.jsonl").write_text(text.replace(old, new))
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n3\t1\t1\n2\t1\t1\n")
    assert not load_collection(str(folder)).ignore_identical_ids
    same = debate(tmp_path / "same", {name: str(number) for number, name in enumerate(ARGUMENTS)})
    assert load_collection(str(same)).ignore_identical_ids


def test_an_answer_with_the_querys_id_stays(tmp_path: Path) -> None:
    """Known items: the page that a query was made from is what it looks for."""
    folder = debate(tmp_path / "items")
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\ncon-1\tcon-1\t1\ncon-2\tcon-2\t1\n")
    assert ndcg(load_collection(str(folder))) == [1, 1]


def test_excluded_documents(tmp_path: Path) -> None:
    folder = debate(tmp_path / "bright", {"con-1": "q1", "con-2": "q2"}, ignore_identical_ids=False)
    (folder / "excluded.tsv").write_text("query-id\tcorpus-id\nq1\tq1\nq1\tother\n")
    collection = load_collection(str(folder))
    assert collection.left_out("q1") == {"q1", "other"} and not collection.left_out("q2")
    assert ndcg(collection)[0] == pytest.approx(1)
    assert collection_provenance(collection)["excluded"] == 2


def test_excluded_documents_in_the_queries_themselves(tmp_path: Path) -> None:
    """As BRIGHT writes them, with N/A where there are none."""
    folder = debate(tmp_path / "bright", {"con-1": "q1", "con-2": "q2"})
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    for row, excluded in zip(rows, (["other"], ["N/A"]), strict=True):
        row["excluded_ids"] = excluded
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert dict(load_collection(str(folder)).excluded) == {"q1": ("other",)}
    (folder / "excluded.tsv").write_text("q1\tq1\n")
    assert load_collection(str(folder)).left_out("q1") == {"q1", "other"}


def test_a_run_is_measured_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = debate(tmp_path / "debate")
    run = tmp_path / "run.txt"
    run.write_text("con-1 Q0 con-1 1 9 x\ncon-1 Q0 pro-1 2 8 x\ncon-2 Q0 pro-2 1 9 x\n")
    results, _ = grade(GradeArguments(collection=str(folder), run=[str(run)]))
    assert results["systems"]["run"]["ndcg_at_10"] == pytest.approx((1 / math.log2(3) + 1) / 2)
    assert "as trec_eval does" in capsys.readouterr().err


class Fixed:
    """Ranks as it is told, for each text."""

    def __init__(self, rankings: dict[str, list[str]]) -> None:
        self.name, self._rankings = "fixed", rankings

    def search(self, queries: list[str], depth: int) -> list[list[Hit]]:
        return [[Hit(name, -rank) for rank, name in enumerate(self._rankings[text][:depth])] for text in queries]


# Fused with the query's own page, y is before x: 1/61 + 1/63 against 1/62 + 1/63. Without it each is first once and
# second once, 1/61 + 1/62, and the id decides.
FIRST, SECOND = ["own", "x", "y"], ["y", "own", "x"]


@pytest.mark.parametrize(
    ("formation", "retriever"),
    [
        ("q*1+e", HybridRetriever([Fixed({"q e": FIRST}), Fixed({"q e": SECOND})])),
        ("hybrid(q*1+e,q*2+e)", HybridRetriever([Fixed({"q e": FIRST}), Fixed({"q q e": SECOND})])),
        ("rrf(q,q*1+e)", Fixed({"q": FIRST, "q e": SECOND})),
    ],
)
def test_ranks_are_fused_without_it(formation: str, retriever: HybridRetriever | Fixed) -> None:
    documents = [Document(name, "", name) for name in ("own", "x", "y")]
    told = (documents, {"own": Query("own", "q", "test")}, {"own": {"x": 1}}, "test", "none", "none")
    for own, ids in ((False, ["own", "y", "x"]), (True, ["x", "y"])):
        collection = Collection("sample", "en", *told, ignore_identical_ids=own)
        grader = Grader(collection, retriever, load_formulation(formation))
        ((grade, hits),) = grader.searched([("own", "e")])
        assert [hit.document_id for hit in hits] == ids and grade.gold_rank == 1 + ids.index("x")
    assert [hit.score for hit in hits] == pytest.approx([1 / 61 + 1 / 62] * 2)


@needs_java
def test_rm3_takes_no_feedback_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zebras stand in the query's own page alone, and in a page that has no other word with the query in common."""
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path))
    texts = {"con": "zoos harm animals zebras", "pro": "zoos protect animals", "far": "zebras gallop"}
    texts |= {f"page{number}": f"stone{number} river" for number in range(40)}
    documents = [Document(name, "", text) for name, text in texts.items()]
    queries = {name: Query(name, "zoos harm animals", "test") for name in ("con", "new")}
    told = (documents, queries, {name: {"pro": 1} for name in queries}, "test", "none", "none")
    collection = Collection("zoo", "en", *told, ignore_identical_ids=True)
    rm3 = PyseriniRetriever(collection, rm3=True)
    asked = [query.text for query in queries.values()]
    own, new = search_without(rm3, asked, 10, left_out_of(collection, list(queries)))
    assert [hit.document_id for hit in own] == ["pro"]
    assert {hit.document_id for hit in new} == {"con", "pro", "far"} and new == rm3.search(asked, 10)[1]
    assert rm3._fed_back(asked[1], 10, {"nowhere"}) == new, "the same steps as the library's"
    assert search_without(rm3, asked, 10, [set(), set()]) == rm3.search(asked, 10)


def savannah(own: bool = True, **judged: dict[str, int]) -> Collection:
    """A query whose own page was judged for one of two train queries like it."""
    texts = {"lions": "lions live on the savannah", "meadow": "lions lie in grass", "bank": "lions at the river bank"}
    for word in ("savannah", "grass", "river"):
        texts |= {f"{word}{number}": f"{word} {number}" for number in range(6)}
    texts |= {f"stone{number}": f"stone {number}" for number in range(20)}
    queries = {"t1": "loud lions", "t2": "quiet lions", "lions": "lions"}
    return Collection(
        "savannah",
        "en",
        [Document(name, "", text) for name, text in texts.items()],
        {name: Query(name, text, "test" if name == "lions" else "train") for name, text in queries.items()},
        {"t1": {"lions": 1}, "t2": {"meadow": 1}, "lions": {"meadow": 1}, **judged},
        *("test", "none", "none"),
        ignore_identical_ids=own,
    )


def test_nor_are_words_of_it_shown() -> None:
    """Of the two similar queries one was judged for the asking query's own page, which then says nothing."""
    found, kept = savannah(), savannah(own=False)
    asked = [found.queries["lions"], Query("new", "lions", "test")]
    assert NeighbourTerms(kept).texts(asked) == ["savannah\ngrass"] * 2
    assert NeighbourTerms(found).texts(asked) == ["grass", "savannah\ngrass"]
    feedback = FeedbackTerms(found)
    feedback.least_weight = 0.0
    assert [set(line.split()) for line in feedback.texts(asked)] == [{"grass"}, {"savannah", "grass"}]
    options = TermRegressionOptions(words=9)
    assert [set(line.split()) for line in TermRegressionExpander(found, options).best_words(asked)] == [
        {"grass"},
        {"savannah", "grass"},
    ]
    (own, new), other = (TermRegressionExpander(one, options)._scores(asked) for one in (found, kept))
    words = TermRegressionExpander(found, options)._terms.vocabulary.number
    assert own[words["grass"]] == new[words["grass"]] and (new == other).all()


def test_the_other_judged_pages_stand_for_it() -> None:
    """By hand: without the page of the highest grade the next one is the gold, and weighs 1 / (1 + k1 (…)), fully."""
    collection = savannah(t1={"lions": 2, "bank": 1})
    terms = JudgedTerms(collection)
    number = terms.vocabulary.number
    lengths = [len(terms._analyzer(text)) for _, text in collection.indexed_texts()]
    weight = 1 / (1 + 0.9 * (1 - 0.4 + 0.4 * 3 / (sum(lengths) / len(lengths))))
    assert terms.targets[0][number["river"]] == pytest.approx(weight / 2), "graded half as high as the page itself"
    (changed,) = terms.changed(collection.queries["lions"]).values()
    assert changed[number["river"]] == pytest.approx(weight) and changed[number["savannah"]] == 0
    assert not terms.changed(collection.queries["t1"]), "no train query was judged for a page of that id"


def test_nor_is_it_an_exemplar() -> None:
    """The page that was judged for t1 is a test query's own text, and so must stand in no prompt."""
    apart = {"bank": 1}
    assert {one.query_id for one in draw_exemplars(savannah(own=False, lions=apart), 1, 0)} == {"t1", "t2"}
    with pytest.raises(KitError, match="has 1 train queries"):
        draw_exemplars(savannah(lions=apart), 1, 0)

"""A query's own document, and others that a collection excludes, are left out of every search."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.collections.collection import Collection, collection_provenance
from builders.collections.load import load_collection
from builders.commands.grade import GradeArguments, grade
from builders.grading.grader import Grader
from builders.hard_negatives.ranked import mine
from builders.prompts.context.prf_passages import PrfPassages
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formulation import load_formulation
from space.engine import Engine
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
    engine = Engine.__new__(Engine)
    parts = {"_collection": collection, "_retriever": Bm25sRetriever(collection), "_loading": threading.RLock()}
    vars(engine).update(parts, settings=SimpleNamespace(formation="q*5+e"))
    ranking = engine.search(QUERIES["con-1"])
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

"""The measures against hand-worked and published values."""

import json
import os
import subprocess
import sys
from math import log2
from pathlib import Path

import pytest

from builders.collections.load import load_collection
from builders.measures.retrieval_measures.ranking import gold_rank, mean, measure
from builders.measures.significance import significance
from builders.measures.trec_run import read_run
from builders.retrievers.load import load_retriever


ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared benchmark data is not beside the checkout")


def test_hand_worked():
    qrels = {"q": {"a": 2, "b": 1, "c": 1, "n": 0}}
    found = measure(qrels, {"q": ["n", "a", "x", "b"]})["q"]
    dcg = 2 / log2(3) + 1 / log2(5)
    ideal = 2 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert found["ndcg_at_10"] == pytest.approx(dcg / ideal)
    assert found["mrr_at_10"] == pytest.approx(1 / 2)
    assert found["recall_at_100"] == pytest.approx(2 / 3)


def test_the_relevance_level_is_for_the_binary_measures():
    qrels, runs = {"q": {"a": 2, "b": 1, "c": 1, "n": 0}}, {"q": ["n", "b", "a"]}
    lenient, strict = measure(qrels, runs)["q"], measure(qrels, runs, relevance_level=2)["q"]
    assert lenient["ndcg_at_10"] == strict["ndcg_at_10"] > 0
    assert (lenient["mrr_at_10"], strict["mrr_at_10"]) == pytest.approx((1 / 2, 1 / 3))
    assert (lenient["recall_at_100"], strict["recall_at_100"]) == pytest.approx((2 / 3, 1))


def test_cutoffs():
    filler = [f"x{n}" for n in range(200)]
    at_eleven = measure({"q": {"a": 1}}, {"q": [*filler[:10], "a"]})["q"]
    assert at_eleven == {"ndcg_at_10": 0, "mrr_at_10": 0, "recall_at_100": 1}
    at_ten = measure({"q": {"a": 1}}, {"q": [*filler[:9], "a"]})["q"]
    assert at_ten["mrr_at_10"] == pytest.approx(0.1) and at_ten["ndcg_at_10"] == pytest.approx(1 / log2(11))
    assert measure({"q": {"a": 1}}, {"q": [*filler[:100], "a"]})["q"]["recall_at_100"] == 0
    assert measure({"q": {"a": 1}}, {"q": [*filler[:99], "a"]})["q"]["recall_at_100"] == 1


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
def test_the_order_given_is_the_order_measured(order):
    assert measure({"q": {"a": 1}}, {"q": order})["q"]["mrr_at_10"] == 1 / (order.index("a") + 1)


def test_queries_without_hits_count_as_zero():
    found = measure(
        {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 0}}, {"q1": ["a"], "q2": [], "q3": ["a"], "qx": ["a"]}
    )
    assert list(found) == ["q1", "q2", "q3"]
    assert set(found["q2"].values()) == set(found["q3"].values()) == {0.0}
    assert mean(found)["ndcg_at_10"] == pytest.approx(1 / 3)


def test_bad_input():
    with pytest.raises(ValueError, match="twice"):
        measure({"q": {"a": 1}}, {"q": ["a", "b", "a"]})
    with pytest.raises(ValueError, match="no queries"):
        mean({})


def test_gold_rank():
    assert gold_rank(["x", "b", "a"], {"a", "b"}, 100) == 2
    assert gold_rank(["x", "y", "a"], {"a"}, 2) == 3
    assert gold_rank([], {"a"}, 100) == 101
    assert gold_rank(["a"], set(), 5) == 6


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        ([0.1] * 5, 2 / 2**5),  # only all signs kept, or all flipped, are as far from 0
        ([0.3, 0.2, 0.1, 0.4, 0.5, 0.6], 2 / 2**6),
        ([0.2, -0.2], 1),
        ([0.0, 0.0, 0.0], 1),
        ([0.4], 1),
        ([], 1),
    ],
)
def test_significance_of_few_queries_is_exact(differences, p_value):
    assert significance(differences, seed=0).p_value == pytest.approx(p_value)


def test_significance_tells_a_gain_from_noise():
    gain, noise = [0.1, 0.2, 0.0, 0.15, -0.02] * 20, [0.1, -0.1, 0.2, -0.2, 0.01] * 20
    found = significance(gain, seed=0)
    assert found.p_value < 0.001 and 0 < found.low < sum(gain) / len(gain) < found.high
    assert significance(gain, seed=0) == found != significance(gain, seed=1)
    found = significance(noise, seed=0)
    assert found.p_value > 0.5 and found.low < 0 < found.high


def test_evaluate_loads_the_module_offline(tmp_path):
    code = f"""
import evaluate, json
module = evaluate.load({str(ROOT / "builders" / "measures" / "retrieval_measures")!r})
judged = [[{{"document_id": "a", "relevance": 2}}], [{{"document_id": "z", "relevance": 1}}]]
values = module.compute(predictions=[["b", "a"], []], references=judged)
print(json.dumps([values, module.description, module.citation]))
"""
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    values, description, citation = json.loads(done.stdout)
    assert values == pytest.approx({"ndcg_at_10": 1 / log2(3) / 2, "mrr_at_10": 0.25, "recall_at_100": 0.5})
    assert "nDCG@10" in description and "Kek" in citation


@needs_shared
@pytest.mark.parametrize(("year", "published"), [("dl19", 0.5058), ("dl20", 0.4796)])
def test_published_bm25_run(year, published):
    folder = SHARED / "trec-dl" / year
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.txt").read_text().splitlines():
        query, _, document, relevance = line.split()
        qrels.setdefault(query, {})[document] = int(relevance)
    runs = read_run(folder / "run.bm25-full-index.top100.trec.gz")
    assert runs.keys() == qrels.keys()
    assert round(mean(measure(qrels, runs))["ndcg_at_10"], 4) == published


@needs_shared
def test_scifact_bm25():
    collection = load_collection(str(SHARED / "scifact"))
    queries = collection.split("test")
    rankings = load_retriever("bm25s", collection).search([query.text for query in queries], 100)
    runs = {query.id: [hit.document_id for hit in hits] for query, hits in zip(queries, rankings, strict=True)}
    found = mean(measure({query.id: collection.qrels[query.id] for query in queries}, runs))
    assert len(queries) == 300
    assert found["ndcg_at_10"] == pytest.approx(0.676, abs=0.01)

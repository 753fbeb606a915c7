"""The measures against hand-worked and published values."""

import random
from itertools import product
from math import log2, sqrt
from pathlib import Path

import pytest

from builders.collections.load import load_collection
from builders.grading.candidates import summary
from builders.measures.answer_accuracy import answer_rank, top_k_accuracy
from builders.measures.diversity import mean_pairwise_cosine
from builders.measures.leakage import copies, share_of_gain
from builders.measures.new_terms import new_terms
from builders.measures.ratio import Ratio, ratio
from builders.measures.retrieval_measures.ranking import gold_rank, mean, measure
from builders.measures.significance import holm, significance
from builders.measures.trec_run import read_run
from builders.retrievers.load import load_retriever
from tests.support.rendered_folders import raw_row


ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize("level", [1, 2])
def test_measures_are_trec_evals_of_the_whole_ranking(level):
    """To the last bit, though trec_eval is handed the first ten documents and the judged ones alone, and once."""
    import pytrec_eval

    draw = random.Random(level)
    documents = [f"d{number}" for number in range(300)]
    qrels = {f"q{n}": {doc: draw.randrange(4) for doc in draw.sample(documents, 1 + n % 40)} for n in range(200)}
    runs = {query: draw.sample(documents, draw.choice([0, 1, 5, 10, 11, 99, 100, 101, 300])) for query in qrels}

    def whole(cut, measures):
        scored = {query: {doc: -float(place) for place, doc in enumerate(run[:cut])} for query, run in runs.items()}
        return pytrec_eval.RelevanceEvaluator(qrels, measures, relevance_level=level).evaluate(scored)

    full, first = whole(100, {"ndcg_cut.10", "recall.100"}), whole(10, {"recip_rank"})
    assert measure(qrels, runs, level) == {
        query: {
            "ndcg_at_10": full[query]["ndcg_cut_10"],
            "mrr_at_10": first[query]["recip_rank"],
            "recall_at_100": full[query]["recall_100"],
        }
        for query in qrels
    }


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


def test_a_p_value_at_the_floor_is_drawn_again_from_more():
    """20 gains and no loss: by chance once in a million, which 9,999 draws cannot tell from once in 5,000."""
    gains = [0.1 + number / 100 for number in range(20)]
    assert significance(gains, seed=0).p_value == significance([*gains, *[0.0] * 300], seed=0).p_value == 2 / 100_000


def test_significance_tells_a_gain_from_noise():
    gain, noise = [0.1, 0.2, 0.0, 0.15, -0.02] * 20, [0.1, -0.1, 0.2, -0.2, 0.01] * 20
    found = significance(gain, seed=0)
    assert found.p_value < 0.001 and 0 < found.low < sum(gain) / len(gain) < found.high
    assert significance(gain, seed=0) == found != significance(gain, seed=1)
    found = significance(noise, seed=0)
    assert found.p_value > 0.5 and found.low < 0 < found.high


def test_evaluate_loads_the_module_offline(monkeypatch):
    """The Hub is out of reach of all tests; `evaluate` asks a server of its own besides."""
    import evaluate

    monkeypatch.setattr("evaluate.config.HF_EVALUATE_OFFLINE", True)
    module = evaluate.load(str(ROOT / "builders" / "measures" / "retrieval_measures"))
    judged = [[{"document_id": "a", "relevance": 2}], [{"document_id": "z", "relevance": 1}]]
    values = module.compute(predictions=[["b", "a"], []], references=judged)
    assert values == pytest.approx({"ndcg_at_10": 1 / log2(3) / 2, "mrr_at_10": 0.25, "recall_at_100": 0.5})
    assert "nDCG@10" in module.description and "Kek" in module.citation


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


# ------------------------------------------------------------------------------------- beside the rankings themselves


def test_holms_correction_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.5, 0.6]) == [1.0, 1.0] and holm([0.02]) == [0.02] and holm([]) == []


def test_a_ratio_of_means_and_its_interval():
    """Retention of a student that has nine tenths of every query's teacher has no spread at all."""
    teacher = [0.5, 1.0, 0.25, 0.75, 0.0, 1.0]
    alike = ratio([0.9 * value for value in teacher], teacher, 0)
    assert alike.value == pytest.approx(0.9) and alike.interval == pytest.approx((0.9, 0.9))
    # The bootstrap of five queries can be counted out: all 5⁵ ways to draw them.
    student, teacher = [1.0, 0.1, 0.52, 0.74, 0.5], [0.5, 1.0, 0.25, 0.73, 0.1]
    ratios = sorted(
        sum(student[n] for n in drawn) / sum(teacher[n] for n in drawn) for drawn in product(range(5), repeat=5)
    )
    found = ratio(student, teacher, 0)
    assert found.value == pytest.approx(sum(student) / sum(teacher)) and found.interval is not None
    ends = ratios[round(0.025 * len(ratios))], ratios[round(0.975 * len(ratios))]
    assert found.interval == pytest.approx(ends, rel=0.05)
    assert found == ratio(student, teacher, 0)


def test_a_share_of_no_gain_says_nothing_and_of_a_doubtful_one_has_no_bounds():
    """Gain captured: the teacher gains nothing, loses, or gains by one of ten queries, which many resamples miss."""
    assert ratio([0.1, 0.1], [0.0, 0.0], 0) == ratio([0.1, 0.1], [-0.2, 0.1], 0) == Ratio(None, None)
    doubtful = ratio([0.5] + [0.0] * 9, [1.0] + [0.0] * 9, 0)
    assert doubtful.value == 0.5 and doubtful.interval is None
    with pytest.raises(ValueError, match="both values of each"):
        ratio([0.1], [], 0)


def test_an_echo_has_no_new_terms():
    query = ["sort", "array"]
    assert new_terms(query, ["sort", "array", "sort"]) == (0.0, 0) == new_terms(query, [])
    assert new_terms(query, ["sort", "rank", "rank", "order"]) == (0.75, 2)


def test_the_likeness_of_candidates_by_hand():
    """(2, 1) and (1, 0) have the cosine 2 / √5; the third shares no term with them, and a blank one with nobody."""
    first, second, third = ["a", "a", "b"], ["a"], ["c"]
    assert mean_pairwise_cosine([first, second]) == pytest.approx(2 / sqrt(5))
    assert mean_pairwise_cosine([first, second, third]) == pytest.approx(2 / sqrt(5) / 3)
    assert mean_pairwise_cosine([first] * 5) == pytest.approx(1.0)
    assert mean_pairwise_cosine([[], [], first]) == pytest.approx(1 / 3)
    assert mean_pairwise_cosine([first]) is None and mean_pairwise_cosine([]) is None


def test_a_build_says_how_alike_its_candidates_are():
    """Prompt by prompt: what two prompts give may differ without the model having much to say."""
    rows = [
        raw_row(number) | {"candidate": text, "prompt_id": prompt}
        for number, prompt, text in [
            *((1, "zero", text) for text in ("a b", "A b")),
            *((1, "few", text) for text in ("x", "y")),
            (2, "zero", "alone"),
        ]
    ]
    assert summary(rows)["mean_pairwise_cosine"] == 0.5
    assert summary(rows[-1:])["mean_pairwise_cosine"] is None


def test_a_copy_is_five_terms_in_a_row_that_the_prompt_lacks():
    document = "one two three four five six seven".split()
    assert copies("zero two three four five six".split(), [["other"], document], [])
    assert not copies("two three four five seven six".split(), [document], []), "not in a row"
    assert not copies("two three four five".split(), [document], []), "four are too few"
    assert not copies("two three four five six".split(), [document], ["q".split(), document]), "the prompt had it"
    assert copies("two three four five six".split(), [document], ["two three".split(), "four five six".split()])
    assert share_of_gain([0.3, -0.5, 0.1, 0.0], [True, True, False, True]) == pytest.approx(0.75)
    assert share_of_gain([0.0, -0.1], [True, True]) is None


def test_top_k_accuracy_by_hand():
    holding = {"d2", "d9"}
    ranks = [answer_rank(ranking, holding) for ranking in (["d2"], ["d1", "d3", "d9", "d2"], ["d1"], [])]
    assert ranks == [1, 3, None, None]
    ranks[3] = 21
    assert top_k_accuracy(ranks) == {
        "top_1_accuracy": 0.25,
        "top_5_accuracy": 0.5,
        "top_20_accuracy": 0.5,
        "top_100_accuracy": 0.75,
    }
    with pytest.raises(ValueError, match="at least one"):
        top_k_accuracy([])

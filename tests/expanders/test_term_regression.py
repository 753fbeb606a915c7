"""The teacher that is fitted to a collection: what it says, and what it must not know."""

import pytest

from builders.collections.collection import Collection, Query
from builders.errors import KitError
from builders.expanders.expander import Request, Sampling, greedy
from builders.expanders.term_regression import TermRegressionExpander, TermRegressionOptions
from builders.prompts.context.judged_terms import JudgedTerms
from builders.prompts.context.vocabulary import read_vocabulary
from builders.retrievers.analysis.load import analyzer_for
from tests.support.animals import ANIMALS, animals_collection


@pytest.fixture(scope="module")
def animals():
    return animals_collection()


def answers(expander, ids, sampling, samples=1):
    requests = [Request(query_id, (), samples) for query_id in ids]
    return {key: [one.text for one in expansions] for key, expansions in expander.expand(requests, sampling)}


def test_it_says_what_the_documents_call_it(animals):
    expander = TermRegressionExpander(animals, TermRegressionOptions(words=1))
    said = answers(expander, [f"q{mark}7" for mark in ANIMALS], greedy(8))
    assert said == {f"q{mark}7": [animal] for mark, animal in ANIMALS.items()}
    assert expander.identity.model_id == "term-regression" and "36 train queries" in expander.identity.weights


def test_it_never_repeats_the_query_and_keeps_to_its_length(animals):
    expander = TermRegressionExpander(animals, TermRegressionOptions(words=2))
    analyzer = analyzer_for("en")
    for key, (text,) in answers(expander, list(animals.queries), greedy(8)).items():
        assert len(text.split()) <= 2
        assert not set(analyzer(text)) & set(analyzer(animals.queries[key].text))


def test_it_says_nothing_rather_than_what_it_is_not_sure_of(animals):
    ids = [f"q{mark}7" for mark in ANIMALS]
    loose = TermRegressionExpander(animals, TermRegressionOptions(words=3))
    scores = loose._scores([animals.queries[key] for key in ids])
    between = float((scores.max(1) + sorted(scores[0])[-2]).min() / 2)
    strict = TermRegressionExpander(animals, TermRegressionOptions(words=3, least_score=between))
    assert all(len(text.split()) > 1 for (text,) in answers(loose, ids, greedy(8)).values())
    assert answers(strict, ids, greedy(8)) == {f"q{mark}7": [animal] for mark, animal in ANIMALS.items()}
    silent = TermRegressionExpander(animals, TermRegressionOptions(least_score=99.0))
    assert answers(silent, ids, greedy(8)) == {key: [""] for key in ids}


def test_fewer_words_than_it_must_have_are_none(animals):
    ids = list(animals.queries)

    def said(least):
        expander = TermRegressionExpander(animals, TermRegressionOptions(words=3, least_words=least))
        return answers(expander, ids, greedy(8))

    assert {len(text.split()) for (text,) in said(1).values()} == {0, 2}
    assert said(2) == said(1)
    assert said(3) == {key: [""] for key in ids}


def test_words_that_no_train_query_has_are_doubt(animals):
    """The same mark among strange words: what is said of it is expected to help less."""
    queries = {
        **animals.queries,
        "plainly": Query("plainly", "which have stripes", "test"),
        "strange": Query("strange", "quaint zygotic stripes vex onyx plinths", "test"),
    }
    wider = Collection("wider", "en", animals.documents, queries, animals.qrels, "", "", "")
    expander = TermRegressionExpander(wider, TermRegressionOptions())
    known, doubtful = expander._scores([queries["plainly"], queries["strange"]])
    zebras = expander._terms.vocabulary.number["zebra"]
    assert known[zebras] > doubtful[zebras]


def test_a_train_query_is_answered_without_its_own_judgment(animals):
    """Only `qhorn` links horns to unicorns: others may learn it from there, `qhorn` itself must not."""
    expander = TermRegressionExpander(animals, TermRegressionOptions(words=3))
    said = answers(expander, ["qhorn", "qother"], greedy(8))
    assert "unicorns" in said["qother"][0].split()
    assert "unicorns" not in said["qhorn"][0].split()


def test_samples_are_drawn_from_a_seed(animals):
    expander = TermRegressionExpander(animals, TermRegressionOptions(words=1))
    ids = [f"q{mark}7" for mark in ANIMALS]
    warm = Sampling(1.0, 1.0, 0, 8, seed=3)
    drawn = answers(expander, ids, warm, samples=8)
    assert drawn == answers(expander, ids, warm, samples=8)
    assert drawn != answers(expander, ids, Sampling(1.0, 1.0, 0, 8, seed=4), samples=8)
    assert any(len(set(texts)) > 1 for texts in drawn.values())
    assert all(len(set(texts)) == 1 for texts in answers(expander, ids, greedy(8), samples=4).values())
    assert set(dict(expander.expand([Request(i, (), 1) for i in ids], warm, done=ids[1:]))) == {ids[0]}


def test_lower_judgments_count_for_less(animals):
    """Target of two documents: the gold one's weight as it is, the lower one's times its relevance over the gold's."""
    qrels = {**animals.qrels, "qhorn": {"u0": 2, "dneck0": 1}}
    graded = Collection("graded", "en", animals.documents, animals.queries, qrels, "", "", "")
    terms = JudgedTerms(graded)
    row, targets, vocabulary = terms.row["qhorn"], terms.targets, terms.vocabulary
    gold, lower = vocabulary.number["unicorn"], vocabulary.number["giraff"]
    assert targets[row, gold] == pytest.approx(vocabulary.weights["u0"][gold])
    assert targets[row, lower] == pytest.approx(vocabulary.weights["dneck0"][lower] / 2)


def test_the_vocabulary_weighs_as_bm25_does(animals):
    """tf 2 in a document of n terms: 2 / (2 + 0.9 (0.6 + 0.4 · n / mean length))."""
    analyzer = analyzer_for("en")
    vocabulary = read_vocabulary(animals, analyzer, ["dneck0"])
    lengths = [len(analyzer(text)) for _, text in animals.indexed_texts()]
    own = len(analyzer("giraffes live near the savanna and giraffes graze, a tower"))
    expected = 2 / (2 + 0.9 * (0.6 + 0.4 * own / (sum(lengths) / len(lengths))))
    number = vocabulary.number["giraff"]
    assert vocabulary.weights["dneck0"][number] == pytest.approx(expected)
    assert vocabulary.written[number] == "giraffes"
    assert "graze" not in vocabulary.number, "a term of most documents tells none from another"


def test_what_cannot_be_learned_from_is_said(animals):
    for options in (TermRegressionOptions(words=0), TermRegressionOptions(least_score=-1.0)):
        with pytest.raises(KitError, match="--words must be at least 1, --least_score not below 0"):
            TermRegressionExpander(animals, options)
    for least in (0, 3):
        with pytest.raises(KitError, match=f"--least_words {least}: give 1 to 2, which is --words"):
            TermRegressionExpander(animals, TermRegressionOptions(words=2, least_words=least))
    test_only = {key: query for key, query in animals.queries.items() if query.split == "test"}
    bare = Collection("bare", "en", animals.documents, test_only, animals.qrels, "", "", "")
    with pytest.raises(KitError, match="train queries with judgments; bare has 0"):
        TermRegressionExpander(bare, TermRegressionOptions())

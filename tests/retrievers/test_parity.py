"""BM25 on real collections: the published figures, and the same from both engines."""

import pytest

from builders.collections.load import load_collection
from builders.grading.grader import Grader
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from tests.support.java import needs_java


def judged(collection, split=None):
    """All judged queries, or those of one split."""
    return [
        query.id
        for query in collection.queries.values()
        if collection.relevant(query.id) and split in (None, query.split)
    ]


def ndcg(collection, retriever, split=None):
    grades = Grader(collection, load_retriever(retriever, collection), load_formulation("q*5+e")).plain(
        judged(collection, split)
    )
    return sum(grade.ndcg_at_10 for grade in grades) / len(grades)


def test_scifact_by_bm25s(shared_data):
    collection = load_collection(str(shared_data / "scifact"))
    assert len(judged(collection, "test")) == 300
    # Anserini's published figure over one field (title and text).
    assert ndcg(collection, "bm25s", "test") == pytest.approx(0.679, abs=0.003)


def test_chinese_by_bm25s(shared_data):
    collection = load_collection(str(shared_data / "cmrc2018-zh/trial"), "zh")
    assert ndcg(collection, "bm25s") > 0.95


@needs_java
@pytest.mark.java
@pytest.mark.slow
def test_scifact_by_both(shared_data):
    collection = load_collection(str(shared_data / "scifact"))
    by_lucene = ndcg(collection, "pyserini", "test")
    assert by_lucene == pytest.approx(0.679, abs=0.001)
    assert ndcg(collection, "bm25s", "test") == pytest.approx(by_lucene, abs=0.003)


@needs_java
@pytest.mark.java
@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), [("cranfield", 0.352), ("medline", 0.671)])
def test_classic_collections_by_both(shared_data, name, published):
    collection = load_collection(str(shared_data / "classic" / name))
    by_python = ndcg(collection, "bm25s")
    assert ndcg(collection, "pyserini") == pytest.approx(by_python, abs=0.01)
    assert by_python == pytest.approx(published, abs=0.02)


@needs_java
@pytest.mark.java
@pytest.mark.slow
def test_chinese_by_both(shared_data):
    collection = load_collection(str(shared_data / "cmrc2018-zh/dev"), "zh")
    by_lucene, by_python = ndcg(collection, "pyserini"), ndcg(collection, "bm25s")
    assert min(by_lucene, by_python) > 0.95
    assert by_python == pytest.approx(by_lucene, abs=0.02)


@needs_java
@pytest.mark.java
@pytest.mark.slow
def test_rm3(shared_data):
    collection = load_collection(str(shared_data / "classic/medline"))
    plain, feedback = load_retriever("pyserini", collection), load_retriever("pyserini+rm3", collection)
    assert feedback.name.startswith("pyserini+rm3(k1=0.9,b=0.4,fb_terms=10,fb_docs=10,original_query_weight=0.5,")
    # Medline's queries are long and its documents speak of one thing each: feedback is known to help there.
    assert ndcg(collection, "pyserini+rm3") > ndcg(collection, "pyserini") + 0.01
    texts = [collection.queries[query_id].text for query_id in judged(collection)]
    assert feedback.search(texts, 10) != plain.search(texts, 10)
    # The feedback's own index stands beside the other; each keeps answering.
    assert load_retriever("pyserini", collection).search(texts[:3], 10) == plain.search(texts[:3], 10)

"""Ranking by sums of term scores: plain and compiled code, and bm25s itself, agree to the last bit, ties and all."""

import importlib.util
import random
from functools import lru_cache

import pytest

from builders.collections.collection import Collection, Document
from builders.collections.pydocs.pydocs import load_pydocs
from builders.retrievers.analysis.load import analyzer_for, reads_word_by_word
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.postings import term_scores
from builders.retrievers.retriever import Hit, document_ids


NUMBA = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="needs numba: pip install 'query-expansion-kit[fast]'"
)
DEPTHS = (1, 7, 100, 10_000)


@lru_cache(maxsize=1)
def retriever() -> Bm25sRetriever:
    """Over real text, each document twice and every fifth without most of its words, so that very many scores tie."""
    kept = [document.text.split() for document in load_pydocs().documents][:600:2]
    texts = [" ".join(words[: None if number % 5 else 12]) for number, words in enumerate(kept)]
    documents = [Document(f"{copy}{number}", "", text) for number, text in enumerate(texts) for copy in "ab"]
    return Bm25sRetriever(Collection("twice", "en", documents, {}, {}, "test", "none", "none", index_title=False))


@lru_cache(maxsize=1)
def queries() -> list[str]:
    """Candidates of a few queries, which begin alike; the same text again, single words, unknown ones, none at all."""
    draw = random.Random(0)
    texts = [document.text.split() for document in load_pydocs().documents]
    found = ["", "array", "array", "array array", "of the", "xqzv", "xqzv array"]
    for _ in range(12):
        query = " ".join([" ".join(draw.choice(texts)[:6])] * 5)
        found += [query, *(f"{query} {' '.join(draw.choice(texts)[: draw.randrange(120)])}" for _ in range(12))]
    return found


def searched(monkeypatch, worth_loading, depth):
    monkeypatch.setattr(term_scores, "WORTH_LOADING", worth_loading)
    return [list(hits) for hits in retriever().search(queries(), depth)]


@NUMBA
@pytest.mark.parametrize("depth", DEPTHS)
def test_compiled_code_ranks_as_plain_code_does(monkeypatch, depth):
    assert term_scores.compiled_rank() is not None
    # Several threads, and chunks that part the candidates of a query.
    monkeypatch.setattr(term_scores, "CHUNK", 17)
    plain = searched(monkeypatch, float("inf"), depth)
    assert searched(monkeypatch, 0, depth) == plain
    scores = [hit.score for hits in plain for hit in hits]
    assert max(map(len, plain)) >= min(depth, 500) and (len(set(scores)) < 0.6 * len(scores) or depth == 1)


def test_sums_are_those_of_bm25s(monkeypatch):
    """Bit for bit, and equal scores in the order of the document ids."""
    rankings = searched(monkeypatch, float("inf"), 100)
    index, ids = retriever()._index, sorted(f"{copy}{number}" for number in range(300) for copy in "ab")
    for query, hits in zip(queries(), rankings, strict=True):
        scores = index.get_scores_from_ids(index.get_tokens_ids(retriever().terms(query)))
        best = sorted(range(len(ids)), key=lambda number: (-scores[number], ids[number]))[:100]
        assert hits == [(ids[number], float(scores[number])) for number in best if scores[number] > 0]


def test_a_small_job_loads_no_compiled_code(monkeypatch):
    monkeypatch.setattr(term_scores, "compiled_rank", lambda: pytest.fail("loaded for ten queries"))
    monkeypatch.setattr(retriever()._scores, "_added", 0)
    assert all(retriever().search(queries()[7:17], 100))


@NUMBA
def test_a_larger_job_loads_it_on_the_way(monkeypatch):
    loaded = []
    real = term_scores.compiled_rank
    monkeypatch.setattr(term_scores, "compiled_rank", lambda: loaded.append(1) or real())
    monkeypatch.setattr(term_scores, "CHUNK", 8)
    monkeypatch.setattr(term_scores, "WORTH_LOADING", 200_000)
    monkeypatch.setattr(retriever()._scores, "_added", 0)
    found = [list(hits) for hits in retriever().search(queries(), 20)]
    assert 0 < len(loaded) < len(queries()) // 8
    assert found == searched(monkeypatch, float("inf"), 20)


@pytest.mark.parametrize("language", ["en", "fr", "tr", "hi", "ru", "ar"])
def test_a_text_has_the_terms_of_its_words(language):
    """What lets each word be analyzed once: no term of these languages depends on what stands beyond a space."""
    assert reads_word_by_word(language) and not reads_word_by_word("zh")
    analyze, draw = analyzer_for(language), random.Random(1)
    letters = "aZéİI'’s_·.:,;-3 7\u00a0\u2003\u3000\n\t\x1c\u0301\u093eकйع中o"
    for _ in range(500):
        text = "".join(draw.choice(letters) for _ in range(40))
        assert analyze(text) == [term for word in text.split() for term in analyze(word)]


def test_hits_are_read_like_a_list():
    (hits,) = retriever().search(["array of zeros"], 5)
    listed = list(hits)
    assert hits == listed and listed == hits and hits != listed[:4] and len(hits) == 5
    assert hits[0] == listed[0] and hits[-2:] == listed[-2:] and isinstance(hits[0], Hit)
    assert document_ids(hits) == document_ids(listed) == [hit.document_id for hit in listed]
    assert all(type(hit.score) is float for hit in hits)

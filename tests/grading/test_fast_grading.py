"""Compiled code gives each candidate the grades that plain code and bm25s' own sums give: languages, echoes, all."""

import importlib.util
import random
import sys

import pytest

from builders.collections.collection import Collection, Document, Query
from builders.grading.grader import Grader
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formulation import load_formulation
from builders.retrievers.postings import term_scores


NUMBA = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="needs numba: pip install 'query-expansion-kit[fast]'"
)
WORDS = {
    "en": "sorted arrays sort array the of values value fitting fitted model models missing data",
    "fr": "chevaux cheval l'école écoles données donnée le la modèles modèle aujourd'hui trié triés",
    "hi": "किताब किताबें लड़का लड़के पढ़ना पढ़ता घर घरों पानी और में का",
    "ja": "データ 配列 並べ替え 学校 学生 モデル 値 欠損 の は",
}


def graded(language: str, formation: str) -> tuple[Grader, list[tuple[str, str | list[str]]]]:
    """A grader over texts where scores tie often, and candidates of all kinds, query by query."""
    draw, words = random.Random(3), WORDS[language].split()
    text = lambda most: " ".join(draw.choices(words, k=draw.randint(1, most)))  # noqa: E731
    documents = [Document(f"d{number:03}", "", text(5)) for number in range(400)]
    queries = {f"d{number:03}": Query(f"d{number:03}", text(4), "test") for number in range(0, 24, 3)}
    names = [document.id for document in documents]
    qrels = {name: {doc: draw.randint(0, 2) for doc in draw.sample(names, 30)} | {"d399": 1} for name in queries}
    collection = Collection(
        "small",
        language,
        documents,
        queries,
        qrels,
        "test",
        "none",
        "none",
        ignore_identical_ids=True,
        excluded={name: draw.sample(names, 5) for name in list(queries)[::2]},
    )
    pairs: list[tuple[str, str | list[str]]] = []
    for name, query in queries.items():
        echo = query.text.upper()
        pairs += [(name, one) for one in ("", " ", echo, "xqzv", [], ["", echo], [text(9), echo, text(9)])]
        pairs += [(name, text(40)) for _ in range(12)]
    return Grader(collection, Bm25sRetriever(collection), load_formulation(formation)), pairs


def by_hand(grader: Grader, pairs) -> list[tuple[list[str], float]]:
    """Ranking and nDCG@10 by bm25s' own sums, sorted as a whole, and trec_eval."""
    import pytrec_eval

    asked = [(grader.collection.queries[name].text, [one] if isinstance(one, str) else one) for name, one in pairs]
    index, found = grader.retriever._index, []
    for (name, _), (query, expansions) in zip(pairs, asked, strict=True):
        ids = index.get_tokens_ids(grader.retriever.terms(grader.formation.text(query, expansions)))
        scores = index.get_scores_from_ids(ids) if ids else [0.0] * 400
        order = sorted((n for n in range(400) if scores[n] > 0), key=lambda n: (-scores[n], n))
        left = grader.collection.left_out(name)
        ranking = [f"d{n:03}" for n in order if f"d{n:03}" not in left][:100]
        run = {document: -float(place) for place, document in enumerate(ranking)}
        qrels = {name: grader.collection.qrels[name]}
        measured = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate({name: run})
        found.append((ranking, measured.get(name, {}).get("ndcg_cut_10", 0.0)))
    return found


@NUMBA
@pytest.mark.parametrize("formation", ["q*5+e", "q*1+e"])
@pytest.mark.parametrize("language", WORDS)
def test_compiled_code_grades_as_plain_code_and_bm25s_do(language, formation, monkeypatch):
    grader, pairs = graded(language, formation)
    monkeypatch.setattr(term_scores, "WORTH_LOADING", float("inf"))
    plain = [(grade, list(ranking)) for grade, ranking in grader.searched(pairs)]
    monkeypatch.setattr(term_scores, "WORTH_LOADING", 0)
    monkeypatch.setattr(term_scores, "CHUNK", 11)
    assert [(grade, list(ranking)) for grade, ranking in grader.searched(pairs)] == plain
    reference = by_hand(grader, pairs)
    assert [[hit.document_id for hit in ranking] for _, ranking in plain] == [ranking for ranking, _ in reference]
    assert [grade.ndcg_at_10 for grade, _ in plain] == pytest.approx([ndcg for _, ndcg in reference], abs=1e-6)
    assert 0 < sum(ndcg for _, ndcg in reference) < len(pairs)


@NUMBA
@pytest.mark.parametrize("formation", ["q*adaptive+e", "rrf(q,q*5+e)"])
def test_other_formations_are_graded_the_same(formation, monkeypatch):
    grader, pairs = graded("en", formation)
    monkeypatch.setattr(term_scores, "WORTH_LOADING", float("inf"))
    plain = grader.expanded(pairs)
    monkeypatch.setattr(term_scores, "WORTH_LOADING", 0)
    assert grader.expanded(pairs) == plain


def test_without_numba_all_is_graded_by_plain_code(monkeypatch):
    grader, pairs = graded("en", "q*5+e")
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(term_scores, "WORTH_LOADING", 0)
    term_scores.compiled_rank.cache_clear()
    try:
        assert term_scores.compiled_rank() is None
        assert [grade.ndcg_at_10 for grade in grader.expanded(pairs)] == pytest.approx(
            [ndcg for _, ndcg in by_hand(grader, pairs)], abs=1e-6
        )
    finally:
        term_scores.compiled_rank.cache_clear()

"""RM3 feedback without Java: the second search weighs terms as the formula says."""

from collections import Counter
from math import log

import pytest

from builders.collections.collection import Collection, Document, Query
from builders.errors import KitError
from builders.retrievers.analysis.load import analyzer_for
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.left_out import search_without
from builders.retrievers.load import load_retriever, require_retriever


TEXTS = {
    "a": "cats purr and cats sleep on warm mats",
    "b": "cats hunt mice at night, mice flee",
    "c": "mice eat grain and cheese at night",
    "d": "dogs bark at night",
    "e": "grain grows in warm fields",
    "f": "cheese ripens in cellars, cheese from cows",
    "g": "cows graze in fields",
}
QUERY = "cats at night"


def collection() -> Collection:
    documents = [Document(key, "", text) for key, text in TEXTS.items()]
    return Collection(
        "farm", "en", documents, {"q": Query("q", QUERY, "test")}, {"q": {"c": 1}}, "here", "CC0", "none"
    )


def by_hand(documents: int, terms: int, share: float, without: str = "") -> dict[str, float]:
    """Document → its score in the second search."""
    analyze = analyzer_for("en")
    counts = {key: Counter(analyze(text)) for key, text in TEXTS.items()}
    frequency = Counter(term for found in counts.values() for term in found)
    mean_length = sum(found.total() for found in counts.values()) / len(counts)
    idf = {term: log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for term, n in frequency.items()}

    def bm25(key: str, weights: dict[str, float]) -> float:
        found = counts[key]
        length = 0.9 * (1 - 0.4 + 0.4 * found.total() / mean_length)
        return sum(w * idf[t] * found[t] / (found[t] + length) for t, w in weights.items() if found[t])

    own = Counter(analyze(QUERY))
    first = {key: bm25(key, dict(own)) for key in counts if key not in without}
    best = sorted((key for key in first if first[key] > 0), key=lambda key: (-first[key], key))[:documents]
    fed: Counter[str] = Counter()
    for key in best:
        for term, count in counts[key].items():
            fed[term] += first[key] * count / counts[key].total() * idf[term]
    kept = dict(sorted(fed.items(), key=lambda one: (-one[1], one[0]))[:terms])
    weights = {term: share * count / own.total() for term, count in own.items()}
    for term, weight in kept.items():
        weights[term] = weights.get(term, 0) + (1 - share) * weight / sum(kept.values())
    return {key: bm25(key, weights) for key in counts if key not in without and bm25(key, weights) > 0}


@pytest.mark.parametrize(("documents", "terms", "share"), [(1, 3, 0.5), (2, 4, 0.3), (3, 20, 0.8), (10, 10, 0.5)])
@pytest.mark.parametrize("without", ["", "b"])
def test_terms_weigh_what_the_formula_says(documents, terms, share, without):
    retriever = load_retriever(f"bm25s+rm3:{documents}:{terms}:{share}", collection())
    (found,) = search_without(retriever, [QUERY], 10, [{without}] if without else [])
    expected = by_hand(documents, terms, share, without)
    assert {hit.document_id: pytest.approx(hit.score, rel=1e-5) for hit in found} == expected
    assert [hit.document_id for hit in found] == sorted(expected, key=lambda key: (-expected[key], key))


def test_documents_are_found_that_share_no_term_with_the_query():
    plain, fed = Bm25sRetriever(collection()), load_retriever("bm25s+rm3:1:10:0.5", collection())
    found = [{hit.document_id for hit in one.search(["cats sleep"], 9)[0]} for one in (plain, fed)]
    assert found == [{"a", "b"}, {"a", "b", "e"}]


def test_a_query_that_keeps_all_is_searched_as_it_is():
    plain, fed = Bm25sRetriever(collection()), load_retriever("bm25s+rm3:3:10:1", collection())
    queries = [QUERY, "grain", "nothing of this", ""]
    ids = [[[hit.document_id for hit in found] for found in one.search(queries, 5)] for one in (plain, fed)]
    assert ids[0] == ids[1] and ids[0][2:] == [[], []]


def test_its_name_says_what_it_takes():
    assert load_retriever("bm25s+rm3", collection()).name.startswith(
        "bm25s+rm3(fb_docs=10,fb_terms=10,query=0.5,k1=0.9,"
    )
    require_retriever("bm25s+rm3")
    require_retriever("hybrid(bm25s+rm3:3:20:0.7,dense:model)")


@pytest.mark.parametrize("numbers", ["0:10:0.5", "3:0:0.5", "3:10:0", "3:10:1.5", "3:10", "a:b:c", "3:10:0.5:1"])
def test_numbers_that_make_no_sense_are_refused(numbers):
    with pytest.raises(KitError, match="give bm25s.rm3:DOCUMENTS:TERMS:QUERY"):
        load_retriever(f"bm25s+rm3:{numbers}", collection())

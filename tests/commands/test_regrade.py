"""The same candidates under another search: new grades, and all else as it was."""

import json

import pytest

from builders.artifacts.dataset_folder import read_build, read_rows
from builders.artifacts.files import file_hash
from builders.commands.expansions import main as make_expansions
from builders.commands.preferences import main as make_preferences
from builders.commands.regrade import main as regrade
from builders.errors import KitError
from tests.support.inference_server import InferenceServer
from tests.support.word_collection import word_collection


GRADES = ("retriever", "formation", "ndcg_at_10", "reciprocal_rank", "gold_rank")
GRADES += tuple(f"plain_{name}" for name in GRADES[2:])


@pytest.fixture(scope="module")
def expansions(tmp_path_factory):
    """Of a server, at two temperatures: there is something to lose."""
    folder = tmp_path_factory.mktemp("regrade")
    collection = word_collection(folder / "words", 40)
    with InferenceServer() as server:
        make_expansions(
            [
                *("--expander", "inference", "--base_url", server.url, "--model", "acme/teacher"),
                *(
                    "--collection",
                    str(collection),
                    "--num_train",
                    "6",
                    "--samples",
                    "2",
                    "--temperature",
                    "0.7",
                    "1.0",
                ),
                *("--prompts", "web-passage-zero-shot", "--max_new_tokens", "16", "--formation", "q*9+e"),
                *("--output_dir", str(folder / "expansions")),
            ]
        )
    return folder / "expansions"


def again(expansions, folder, *more, retriever="bm25s", formation="q*1+e"):
    start = ["--expansions", str(expansions), "--retriever", retriever, "--formation", formation]
    regrade([*start, "--output_dir", str(folder), *more])
    return read_rows(folder, "raw", "train")


def test_only_the_grades_are_new(expansions, tmp_path, capsys):
    before, after = read_rows(expansions, "raw", "train"), again(expansions, tmp_path / "out")
    assert len(after) == len(before) == 24

    def known(rows):
        return [{name: value for name, value in row.items() if name not in GRADES} for row in rows]

    assert known(after) == known(before), "who wrote it, how, and under which id"
    assert {row["formation"] for row in after} == {"q*1+e"}
    assert [row["ndcg_at_10"] for row in after] != [row["ndcg_at_10"] for row in before]
    build, old = read_build(tmp_path / "out"), read_build(expansions)
    for name in (
        "kind",
        "expander",
        "sampling",
        "collection",
        "prompts",
        "student_prompt",
        "tokens",
        "cost",
        "queries",
    ):
        assert build[name] == old[name], name
    assert build["formation"] == "q*1+e" and build["regraded"] == {
        "build_sha256": file_hash(expansions / "build.json"),
        "code_version": old["code_version"],
        "command": old["command"],
        "retriever": old["retriever"],
        "formation": "q*9+e",
    }
    assert "graded before by" in (tmp_path / "out/README.md").read_text()
    capsys.readouterr()
    again(expansions, tmp_path / "out")
    assert "up to date" in capsys.readouterr().err
    assert again(tmp_path / "out", tmp_path / "back", formation="q*9+e") == before


def test_grades_are_those_of_a_build_with_that_search(expansions, tmp_path):
    """The same answers, recorded, and graded so from the beginning."""
    rows = [
        {name: row[name] for name in ("query_id", "candidate", "model_id", "prompt_id", "completion_tokens")}
        for row in read_rows(expansions, "raw", "train")
    ]
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    collection = read_build(expansions)["settings"]["collection"]
    make_expansions(
        [
            *("--collection", collection, "--prompts", "web-passage-zero-shot", "--samples", "4", "--num_train", "-1"),
            *("--expander", "recorded", "--recorded", str(tmp_path / "recorded.jsonl"), "--formation", "q*1+e"),
            *("--output_dir", str(tmp_path / "first")),
        ]
    )
    first = {row["candidate_id"]: row for row in read_rows(tmp_path / "first", "raw", "train")}
    for row in again(expansions, tmp_path / "out"):
        assert {name: row[name] for name in GRADES} == {name: first[row["candidate_id"]][name] for name in GRADES}
    best = {row["candidate_id"] for row in read_rows(tmp_path / "out", "distillation", "train")}
    assert best == {row["candidate_id"] for row in read_rows(tmp_path / "first", "distillation", "train")}


def test_what_was_regraded_is_paired(expansions, tmp_path):
    again(expansions, tmp_path / "out", "--select", "all")
    assert len(read_rows(tmp_path / "out", "distillation", "train")) == 24
    start = ["--min_margin", "0", "--output_dir", str(tmp_path / "pairs"), "--expansions"]
    make_preferences([*start, str(tmp_path / "out")])
    score = {row["candidate_id"]: row["ndcg_at_10"] for row in read_rows(tmp_path / "out", "raw", "train")}
    for row in read_rows(tmp_path / "pairs", "preference", "train"):
        assert row["chosen_score"] == score[row["chosen_id"]] > row["rejected_score"] == score[row["rejected_id"]]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--retriever", "google"], "no retriever 'google'"),
        (["--formation", "mean"], "mean"),
        (["--select", "worst"], "unknown --select 'worst'"),
        (["--student_prompt", "web-passage-self-reference"], "shows the judged document"),
        (["--collection", "no/such"], "no/such"),
    ],
)
def test_what_cannot_be_is_refused(expansions, tmp_path, more, message):
    with pytest.raises(KitError, match=message):
        again(expansions, tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_the_candidates_are_not_written_over(expansions):
    with pytest.raises(KitError, match="expansions is read from it"):
        again(expansions, expansions)


@pytest.mark.slow
def test_a_dense_retriever_grades_what_bm25_graded(expansions, tmp_path):
    from tests.support.inference_server import WORDS
    from tests.support.word_encoder import word_encoder

    encoder = word_encoder(tmp_path / "encoder", WORDS)
    after = again(expansions, tmp_path / "out", retriever=f"dense:{encoder}", formation="mean")
    assert {row["formation"] for row in after} == {"mean"} and all("dense" in row["retriever"] for row in after)
    before = read_rows(expansions, "raw", "train")
    assert [row["gold_rank"] for row in after] != [row["gold_rank"] for row in before]
    assert [row["temperature"] for row in after] == [row["temperature"] for row in before]

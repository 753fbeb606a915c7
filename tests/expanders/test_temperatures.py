"""Several temperatures in one build: each is asked for by itself, and nothing else is different."""

import json
from collections import Counter

import pytest

from builders.artifacts.dataset_folder import read_build, read_rows
from builders.cli import parse
from builders.commands.expansions import ExpansionsArguments
from builders.commands.expansions import main as make_expansions
from builders.errors import KitError
from builders.expanders.expander import Sampling
from builders.expanders.generations import sweep
from tests.support.inference_server import Fault, InferenceServer, name_of
from tests.support.word_collection import word_collection


QUERIES, SAMPLES = 3, 2
BASE = Sampling(0.0, 0.9, 50, 16, seed=7)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return word_collection(tmp_path_factory.mktemp("collection") / "words", QUERIES + 2)


@pytest.fixture
def server():
    with InferenceServer() as running:
        yield running


def build(server, collection, folder, *temperatures, prompt="web-passage-zero-shot"):
    make_expansions(
        [
            *("--expander", "inference", "--base_url", server.url, "--model", "acme/teacher", "--concurrency", "1"),
            *("--collection", str(collection), "--num_train", str(QUERIES), "--samples", str(SAMPLES)),
            *("--prompts", prompt, "--max_new_tokens", "16", "--select", "all", "--output_dir", str(folder)),
            *("--temperature", *map(str, temperatures)),
        ]
    )
    return read_rows(folder, "raw", "train")


def test_every_temperature_has_a_seed_of_its_own():
    samplings = sweep(BASE, [0.8, 0.9, 1, 1.1])
    assert [one.temperature for one in samplings] == [0.8, 0.9, 1.0, 1.1]
    assert len({one.seed for one in samplings}) == 4 and all(0 <= one.seed < 2**31 for one in samplings)
    assert samplings[0].seed == 7, "one temperature alone is sampled with the build's seed"
    assert sweep(BASE, [0.8, 0.9, 1, 1.1, 2])[:4] == samplings, "one more changes no other"
    other = sweep(Sampling(0.0, 0.9, 50, 16, seed=8), [0.8, 0.9, 1, 1.1])
    assert not {one.seed for one in samplings} & {one.seed for one in other}
    assert {(one.top_p, one.top_k, one.max_new_tokens) for one in samplings} == {(0.9, 50, 16)}


@pytest.mark.parametrize("temperatures", [[], [0.9, 0.9], [1, 1.0], [-0.1], ["hot"], [float("nan")], [True]], ids=str)
def test_temperatures_that_make_no_sense_are_refused(temperatures):
    with pytest.raises(KitError, match="--temperature"):
        sweep(BASE, temperatures)


@pytest.mark.parametrize(("written", "read"), [("0.7", [0.7]), ("1", [1]), ("[0.8, 1.1]", [0.8, 1.1])])
def test_a_recipe_says_one_temperature_or_several(tmp_path, written, read):
    (tmp_path / "recipe.yaml").write_text(f"output_dir: out\ntemperature: {written}\n")
    (arguments,) = parse(ExpansionsArguments, ["--config", str(tmp_path / "recipe.yaml")], "", "")
    assert arguments.temperature == read
    (arguments,) = parse(ExpansionsArguments, ["--output_dir", "out", "--temperature", "0.8", "0.9"], "", "")
    assert arguments.temperature == [0.8, 0.9]


def test_candidates_are_numbered_on_and_know_their_temperature(server, collection, tmp_path):
    rows = build(server, collection, tmp_path / "out", 0.7, 1.0)
    assert len(rows) == len(server.seen) == QUERIES * SAMPLES * 2
    for query_id in {row["query_id"] for row in rows}:
        own = [row for row in rows if row["query_id"] == query_id]
        assert [row["candidate_id"] for row in own] == [f"{query_id}#web-passage-zero-shot#{n}" for n in range(4)]
        assert [row["sample"] for row in own] == [0, 1, 2, 3]
    # The server says in its answer which request it answers.
    asked = {name_of(seen.body): seen.body["temperature"] for seen in server.seen}
    assert {row["candidate"].split()[0]: row["temperature"] for row in rows} == asked
    assert Counter(asked.values()) == {0.7: QUERIES * SAMPLES, 1.0: QUERIES * SAMPLES}
    assert len({row["candidate"] for row in rows}) == len(rows), "no draw comes twice"
    sampling = read_build(tmp_path / "out")["sampling"]
    assert sampling["temperature"] == [0.7, 1.0] and sampling["top_p"] == 1.0
    assert {row["temperature"]: row["seed"] for row in rows} == dict(zip((0.7, 1.0), sampling["seed"], strict=True))
    card = (tmp_path / "out/README.md").read_text()
    assert (
        f"| sampling | temperature 0.7, 1.0, top-p 1.0, top-k 0, at most 16 tokens, seed 0, {sampling['seed'][1]} |"
        in card
    )


def test_one_temperature_is_the_beginning_of_several(server, collection, tmp_path):
    """Answers at one temperature stay as they are, on disk too: only the others are asked for."""
    alone = build(server, collection, tmp_path / "out", 0.7)
    assert len(server.seen) == QUERIES * SAMPLES and {row["seed"] for row in alone} == {0}
    before = read_build(tmp_path / "out")
    assert before["settings"]["temperature"] == before["sampling"]["temperature"] == 0.7
    assert before["sampling"]["seed"] == 0
    rows = build(server, collection, tmp_path / "out", 0.7, 1.0)
    assert len(server.seen) == QUERIES * SAMPLES * 2
    assert [row for row in rows if row["temperature"] == 0.7] == alone
    assert read_build(tmp_path / "out")["settings"]["temperature"] == [0.7, 1.0]
    build(server, collection, tmp_path / "out", 0.7, 1.0)
    assert len(server.seen) == QUERIES * SAMPLES * 2, "up to date"


def test_a_sweep_that_was_stopped_goes_on_where_it_was(server, collection, tmp_path):
    """Stopped in the second temperature: no answer of either is asked for again."""
    whole = build(server, collection, tmp_path / "whole", 0.7, 1.0)
    server.seen.clear()
    well = QUERIES * SAMPLES + 2
    server.on_answer = lambda number: server.faults.append(Fault(status=401)) if number == well else None
    with pytest.raises(KitError, match="answers so far are kept"):
        build(server, collection, tmp_path / "out", 0.7, 1.0)
    assert len(server.answered) == well
    server.on_answer = lambda number: None
    assert build(server, collection, tmp_path / "out", 0.7, 1.0) == whole
    assert len(server.answered) == len(set(server.answered)) == len(whole)


def test_answers_that_know_no_temperature_are_not_swept(collection, tmp_path):
    recorded = tmp_path / "teacher.jsonl"
    recorded.write_text(json.dumps({"query_id": "q1", "expansion": "how it is said", "model": "m/big"}) + "\n")
    start = ["--collection", str(collection), "--num_train", "-1", "--output_dir", str(tmp_path / "out")]
    start += ["--prompts", "web-passage-zero-shot", "--temperature", "0.7", "1.0"]
    for expander in (["recorded", "--recorded", str(recorded)], ["none"]):
        with pytest.raises(KitError, match="these answers do not depend on it: give one temperature"):
            make_expansions([*start, "--expander", *expander])
    assert not (tmp_path / "out").exists()


def test_a_prompt_that_shows_the_answer_is_no_students(server, collection, tmp_path):
    with pytest.raises(KitError, match="'web-passage-self-reference' shows the judged document"):
        build(server, collection, tmp_path / "out", 0.7, prompt="web-passage-self-reference")
    assert not server.seen and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_local_model_draws_anew_at_every_temperature(collection, tmp_path):
    from tests.support.tiny_student import base_model

    base = base_model(tmp_path / "base")
    make_expansions(
        [
            *("--collection", str(collection), "--num_train", "2", "--samples", "3", "--model", str(base)),
            *("--prompts", "keywords-zero-shot", "--max_new_tokens", "8", "--output_dir", str(tmp_path / "out")),
            *("--temperature", "0.9", "0.9001", "--select", "all"),
        ]
    )
    rows = read_rows(tmp_path / "out", "raw", "train")
    for query_id in {row["query_id"] for row in rows}:
        texts = [row["candidate"] for row in rows if row["query_id"] == query_id]
        assert len(texts) == 6 and texts[:3] != texts[3:], "with equal seeds these would be equal"

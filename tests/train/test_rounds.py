"""On-policy rounds: each begins with the student that the one before it left, and validation says when to stop."""

import json
import shutil

import pytest

from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.expander import Request, greedy
from builders.expanders.local import LocalExpander
from builders.grading.grader import Grader
from builders.prompts.load import load_prompt
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from tests.support.commands import RECIPES, ROOT, command
from tests.support.small_training import PROMPT, make_world
from tests.support.tiny_student import student
from train.pipeline.on_policy import OnPolicyRounds
from train.pipeline.rounds_arguments import RoundsArguments
from train.reports.rounds_tables import rounds_table


def arguments(demo, folder, model, *more):
    return [
        *("train/rounds.py", "--output_dir", folder, "--adapter", demo.sft, "--model", model),
        *("--dpo_recipe", RECIPES / "dpo-qlora.yaml", "--prompt", "api-docs-zero-shot", "--block", "32"),
        *("--num_train", "8", "--samples", "3", "--num_validation", "4", "--max_new_tokens", "10"),
        *("--min_margin", "0.001", "--accelerate_config", ROOT / "train/accelerate/cpu.yaml", *more),
    ]


@pytest.mark.slow
def test_two_rounds_go_on_from_one_another(demo, tmp_path, embedded_model):
    call = arguments(demo, tmp_path / "rounds", embedded_model, "--rounds", "2", "--patience", "2")
    done = command(*call, timeout=900)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "rounds/rounds.json").read_text())
    assert [entry["round"] for entry in results["rounds"]] == [0, 1, 2]
    assert results["best"] in {entry["adapter"] for entry in results["rounds"]}
    parents = [json.loads((tmp_path / f"rounds/models/round-{n}/training.json").read_text())["parent"] for n in (1, 2)]
    assert parents[0].startswith("sft@sha256:") and parents[1].startswith("round-1@sha256:")
    asked = [
        {row["query_id"] for row in rows} for rows in (read(tmp_path / f"rounds/round-{n}/expansions") for n in (1, 2))
    ]
    assert asked[0] != asked[1], "each round draws its own queries"
    writers = {row["adapter"] for row in read(tmp_path / "rounds/round-2/expansions")}
    assert all(writer.startswith("round-1@sha256:") for writer in writers)
    assert (tmp_path / "rounds/rounds.md").read_text() == rounds_table(results)
    again = command(*call, timeout=900)
    assert again.returncode == 0 and again.stderr.count("up to date") == 6, again.stderr


def read(folder):
    from builders.artifacts.dataset_folder import read_rows

    return list(read_rows(folder, "raw", "train"))


def test_what_is_known_is_written_after_every_round(tmp_path, monkeypatch):
    """The third round fails: the figures of those before it are there, by the student and the grader themselves."""
    world = make_world(tmp_path / "world")
    adapter = student(tmp_path, world.base)
    rounds, calls = tmp_path / "rounds", []

    def stage(call, folder, accelerate_config=None):
        """Stands in for the commands."""
        calls.append(call)
        if len(calls) == 7:
            raise KitError("the power failed")
        if folder.name.startswith("round-"):
            shutil.copytree(adapter, folder)
        else:
            folder.mkdir(parents=True)
            (folder / "build.json").write_text(
                json.dumps({"kind": folder.name, "schema_version": 1, "rows": {"preference": {"train": len(calls)}}})
            )

    monkeypatch.setattr("train.pipeline.driver.run_stage", stage)
    settings = {"model": str(world.base), "collection": str(world.collection), "prompt": PROMPT, "formation": "q*1+e"}
    args = RoundsArguments(
        output_dir=str(rounds),
        adapter=str(adapter),
        dpo_recipe=str(RECIPES / "dpo-qlora.yaml"),
        accelerate_config=str(ROOT / "train/accelerate/cpu.yaml"),
        **settings,
        max_new_tokens=6,
        patience=3,
    )
    with pytest.raises(KitError, match="the power failed"):
        OnPolicyRounds(args).run()
    results = json.loads((rounds / "rounds.json").read_text())
    assert [(entry["round"], entry["pairs"]) for entry in results["rounds"]] == [(0, 0), (1, 2), (2, 5)]
    assert (rounds / "rounds.md").read_text() == rounds_table(results)
    fruit = load_collection(str(world.collection))
    asked = fruit.split("validation")
    requests = [Request(query.id, tuple(load_prompt(PROMPT).messages(query.text)), 1) for query in asked]
    expander = LocalExpander(str(world.base), adapter=str(adapter), dtype="float32", block=64)
    answers = {key: found[0].text for key, found in expander.expand(requests, greedy(6))}
    grader = Grader(fruit, load_retriever("bm25s", fruit), load_formulation("q*1+e"))
    grades = grader.expanded(list(answers.items()))
    for entry in results["rounds"]:
        assert entry["ndcg_at_10"] == pytest.approx(sum(grade.ndcg_at_10 for grade in grades) / len(asked))
    # Equal figures: the beginning is the best, and the record of the rounds says so.
    assert results["best"] == str(adapter) and results["best_adapter"].startswith("sft@sha256:")


def test_a_missing_student_is_named_before_anything_runs(tmp_path):
    done = command(
        *("train/rounds.py", "--output_dir", tmp_path / "rounds", "--adapter", tmp_path / "none"),
        *("--dpo_recipe", RECIPES / "dpo-qlora.yaml"),
    )
    assert done.returncode == 2 and done.stderr.startswith("error:") and "no such adapter" in done.stderr
    assert not (tmp_path / "rounds").exists()


def test_the_table_names_the_best_round():
    entry = {"queries": 4, "plain_ndcg_at_10": 0.5, "helped": 0.25, "hurt": 0.0}
    rounds = [
        {"round": 0, "adapter": "sft", "pairs": 0, "ndcg_at_10": 0.5, **entry},
        {"round": 1, "adapter": "round-1", "pairs": 7, "ndcg_at_10": 0.5625, **entry},
    ]
    results = {"rounds": rounds, "best": "round-1", "collection": "c", "retriever": "r", "formation": "q*5+e"}
    lines = rounds_table(results).splitlines()
    assert lines[-1] == "| 1 | 7 | 0.5625 | 25 % | 0 % | best |"
    assert sum("best |" in line for line in lines) == 1
    assert lines[0].startswith("4 validation queries of c, r, ")
    lines = rounds_table({**results, "without_relevant": {"validation": 2}}).splitlines()
    assert lines[0].startswith("4 validation queries of c (2 more have no relevant document), r, ")

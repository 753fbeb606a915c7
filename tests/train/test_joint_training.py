"""The alternation: what each stage is told, what is measured between them, when it ends, and what it took."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from builders.artifacts.dataset_folder import BUILD, TIMING
from builders.errors import KitError
from tests.support.commands import ROOT, command, command_here, refused
from tests.support.small_training import FRUITS, HARM, HELP, PROMPT, RECIPES, make_world
from tests.support.tiny_student import student
from tests.support.word_encoder import word_encoder
from train.pipeline.driver import best_round, is_over
from train.pipeline.joint_training import JointTraining
from train.pipeline.rounds_arguments import AlternationArguments
from train.pipeline.stages import Spent, recorded, run_stage
from train.reports.rounds_tables import alternation_table


STAGES = ["expansions", "triplets", "retriever", "references", "preferences", "dpo"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A base model, two encoders that know the collection's words, and six queries to validate on."""
    pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")
    made = make_world(tmp_path_factory.mktemp("world"))
    words = [*FRUITS, HELP, HARM, "which", "page", "something", "else", "or"]
    for number, name in enumerate(("encoder", "trained")):
        word_encoder(made.folder / name, words, seed=number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUERY_EXPANSION_KIT_CACHE", str(made.folder / "cache"))
        yield made


def arguments(world, folder, **settings) -> AlternationArguments:
    recipes = {}
    for name in STAGES:
        path = folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
        recipes[f"{name}_recipe"] = str(path)
    given = {
        "output_dir": str(folder / "out"),
        "model": str(world.base),
        "encoder": str(world.folder / "encoder"),
        "collection": str(world.collection),
        "prompt": PROMPT,
        "max_new_tokens": 4,
        "block": 8,
        "accelerate_config": str(ROOT / "train/accelerate/cpu.yaml"),
    }
    return AlternationArguments(**{**given, **recipes, **settings})


def train_jointly(args: AlternationArguments) -> dict:
    return JointTraining(args).run()


class Stages:
    """Stands in for the commands: each leaves a small result, and is passed over when it is there."""

    def __init__(self, world, adapter, fails_at=None):
        self.world, self.adapter, self.fails_at = world, adapter, fails_at
        self.calls, self.seen = [], []

    def __call__(self, command, folder, accelerate_config=None):
        out = next(parent for parent in folder.parents if parent.name == "out")
        words = command[command.index("--config") :]
        told = dict(zip(words[::2], words[1::2], strict=True))
        self.calls.append((str(folder.relative_to(out)), {**told, "launched": accelerate_config is not None}))
        record = out / "alternation.json"
        self.seen.append(json.loads(record.read_text()) if record.exists() else None)
        if len(self.calls) == self.fails_at:
            raise KitError("the power failed")
        if folder.exists():
            return None
        if folder.name == "retriever":
            shutil.copytree(self.world.folder / "trained", folder)
            config = folder / "config_sentence_transformers.json"
            config.write_text(config.read_text() + "\n" * len(self.calls))
        elif folder.name == "expander":
            shutil.copytree(self.adapter, folder)
        else:
            folder.mkdir(parents=True)
            rows = {"retriever": {"train": 5}, "preference": {"train": 3}}
            (folder / BUILD).write_text(json.dumps({"kind": folder.name, "schema_version": 1, "rows": rows}))
        timing = {"finished": "2026-01-01T00:00:00Z", "seconds": 7.5, "peak_memory_mib": 70, "hardware": "a test"}
        (folder / TIMING).write_text(json.dumps(timing))
        return Spent(float(len(self.calls)), 100.0)


@pytest.fixture(scope="module")
def adapter(world):
    """An adapter that writes other words than its base model."""
    return student(world.folder / "student", world.base)


def test_each_stage_is_told_what_the_one_before_it_made(world, tmp_path, monkeypatch):
    """Two rounds; the second goes on with the adapter and the retriever of the first, and asks for no references."""
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_model.safetensors").write_bytes(b"weights")
    stages = Stages(world, tmp_path / "adapter")
    monkeypatch.setattr("train.pipeline.driver.run_stage", stages)
    # Another test looks at the figures.
    figures = {"queries": 6, "ndcg_at_10": 0.5, "plain_ndcg_at_10": 0.25, "helped": 0.5, "hurt": 0.0}
    monkeypatch.setattr("train.pipeline.driver.Rounds.figures", lambda *_: dict(figures))
    args = arguments(world, tmp_path, rounds=2, patience=2)
    results = train_jointly(args)
    one, two = "round-1", "round-2"
    assert [folder for folder, _ in stages.calls] == [
        *(f"{one}/expansions", f"{one}/triplets", f"{one}/models/retriever", "references"),
        *(f"{one}/preferences", f"{one}/models/expander"),
        *(f"{two}/expansions", f"{two}/triplets", f"{two}/models/retriever"),
        *(f"{two}/preferences", f"{two}/models/expander"),
    ]
    told, out = dict(stages.calls), tmp_path / "out"
    for folder, given in told.items():
        assert given["--output_dir"] == str(out / folder)
        assert given["launched"] == (folder.split("/")[-1] in ("expansions", "retriever", "references", "expander"))
    assert "--adapter" not in told[f"{one}/expansions"] and "--adapter" not in told[f"{one}/models/expander"]
    for folder in (f"{two}/expansions", f"{two}/models/expander"):
        assert told[folder]["--adapter"] == str(out / one / "models/expander")
    assert told[f"{one}/expansions"]["--seed"] == told[f"{two}/expansions"]["--seed"], "the same queries"
    assert told[f"{one}/models/retriever"]["--model"] == args.encoder
    assert told[f"{two}/models/retriever"]["--model"] == str(out / one / "models/retriever")
    for folder in (one, two):
        own = told[f"{folder}/preferences"]
        assert own["--encoder"] == str(out / folder / "models/retriever"), "the reward is the trained retriever's"
        assert own["--references"] == str(out / "references")
        assert own["--expansions"] == told[f"{folder}/triplets"]["--expansions"] == str(out / folder / "expansions")
        assert told[f"{folder}/models/retriever"]["--triplets"] == str(out / folder / "triplets")
        assert told[f"{folder}/models/expander"]["--preferences"] == str(out / folder / "preferences")
    # What is known stands in the record at any time: round 0 before the first stage, and a figure of the new retriever
    # with the old expander before its rewards are asked for.
    assert [len(seen["rounds"]) for seen in stages.seen] == [1] * 6 + [2] * 5
    underway = [seen["underway"] is not None for seen in stages.seen]
    assert underway == [*[False] * 3, *[True] * 3, *[False] * 3, *[True] * 2]
    assert [entry["round"] for entry in results["rounds"]] == [0, 1, 2]
    written = json.loads((out / "alternation.json").read_text())
    assert written == {**json.loads(json.dumps(results)), "underway": None}
    assert (out / "alternation.md").read_text() == alternation_table(written)
    assert [one["stage"] for one in results["stages"] if "validation" not in one["stage"]] == [
        *STAGES,
        *STAGES[:3],
        *STAGES[4:],
    ]
    first = results["rounds"][1]
    assert (first["triplets"], first["pairs"]) == (5, 3)
    assert first["alone"].keys() == {"retriever", "expander"}


def test_it_may_begin_with_an_adapter_and_let_the_retriever_learn_from_other_expansions(
    world, adapter, tmp_path, monkeypatch
):
    stages = Stages(world, adapter)
    monkeypatch.setattr("train.pipeline.driver.run_stage", stages)
    figures = {"queries": 6, "ndcg_at_10": 0.5, "plain_ndcg_at_10": 0.25, "helped": 0.5, "hurt": 0.0}
    monkeypatch.setattr("train.pipeline.driver.Rounds.figures", lambda *_: dict(figures))
    recipe = tmp_path / "one-each.yaml"
    recipe.write_text("{}")
    results = train_jointly(
        arguments(world, tmp_path, rounds=1, adapter=str(adapter), retriever_expansions_recipe=str(recipe))
    )
    told, out = dict(stages.calls), tmp_path / "out/round-1"
    assert results["rounds"][0]["expander"] == str(adapter)
    for folder in ("expansions", "retriever-expansions", "models/expander"):
        assert told[f"round-1/{folder}"]["--adapter"] == str(adapter)
    assert told["round-1/retriever-expansions"]["--config"] == str(recipe)
    assert told["round-1/retriever-expansions"]["launched"]
    assert told["round-1/triplets"]["--expansions"] == str(out / "retriever-expansions")
    for folder in ("references", "round-1/preferences"):
        assert told[folder]["--expansions"] == str(out / "expansions")


def test_the_trained_retriever_may_grade_what_it_rewards(world, adapter, tmp_path, monkeypatch):
    stages = Stages(world, adapter)
    monkeypatch.setattr("train.pipeline.driver.run_stage", stages)
    figures = {"queries": 6, "ndcg_at_10": 0.5, "plain_ndcg_at_10": 0.25, "helped": 0.5, "hurt": 0.0}
    monkeypatch.setattr("train.pipeline.driver.Rounds.figures", lambda *_: dict(figures))
    recipe, more = tmp_path / "regrade.yaml", tmp_path / "one-each.yaml"
    for path in (recipe, more):
        path.write_text("{}")
    with pytest.raises(KitError, match="give --retriever_expansions_recipe, with more queries"):
        train_jointly(arguments(world, tmp_path, rounds=1, regrade_recipe=str(recipe)))
    assert not stages.calls
    train_jointly(
        arguments(world, tmp_path, rounds=1, regrade_recipe=str(recipe), retriever_expansions_recipe=str(more))
    )
    told, out = dict(stages.calls), tmp_path / "out/round-1"
    assert told["round-1/graded"] == {
        "--config": str(recipe),
        "--output_dir": str(out / "graded"),
        "--expansions": str(out / "expansions"),
        "--retriever": f"dense:{out / 'models/retriever'}",
        "launched": False,
    }
    assert told["round-1/preferences"]["--expansions"] == str(out / "graded")
    assert told["round-1/triplets"]["--leave_out"] == str(out / "expansions"), "it must not have learned them"
    assert told["round-1/triplets"]["--expansions"] == str(out / "retriever-expansions")
    assert told["references"]["--expansions"] == str(out / "expansions")


@pytest.mark.slow
def test_the_figures_are_those_of_the_pair(world, adapter, tmp_path, monkeypatch):
    """By the expander and the grader themselves: the base with the base encoder, then the adapter with the other."""
    from builders.collections.load import load_collection
    from builders.expanders.expander import Request, greedy
    from builders.expanders.local import LocalExpander
    from builders.grading.grader import Grader
    from builders.prompts.load import load_prompt
    from builders.retrievers.formulation import load_formulation
    from builders.retrievers.load import load_retriever

    monkeypatch.setattr("train.pipeline.driver.run_stage", Stages(world, adapter))
    args = arguments(world, tmp_path, rounds=1)
    entry = train_jointly(args)["rounds"][1]
    fruit = load_collection(str(world.collection))
    queries = fruit.split("validation")
    seen = []
    requests = [Request(query.id, tuple(load_prompt(PROMPT).messages(query.text)), 1) for query in queries]
    for figures, writer, retriever in (
        (entry, adapter, entry["retriever"]),
        (entry["alone"]["retriever"], None, entry["retriever"]),
        (entry["alone"]["expander"], adapter, args.encoder),
    ):
        expander = LocalExpander(str(world.base), writer and str(writer), "float32", block=8)
        answers = dict(expander.expand(requests, greedy(4)))
        grader = Grader(fruit, load_retriever(f"dense:{retriever}", fruit), load_formulation("mean"))
        grades = grader.expanded([(query.id, answers[query.id][0].text) for query in queries])
        plain = grader.plain([query.id for query in queries])
        seen.append((figures["ndcg_at_10"], figures["plain_ndcg_at_10"]))
        assert figures["queries"] == len(queries) == 6
        assert figures["ndcg_at_10"] == pytest.approx(sum(grade.ndcg_at_10 for grade in grades) / 6)
        assert figures["plain_ndcg_at_10"] == pytest.approx(sum(grade.ndcg_at_10 for grade in plain) / 6)
        pairs = list(zip(grades, plain, strict=True))
        assert figures["hurt"] == sum(a.ndcg_at_10 < b.ndcg_at_10 - 1e-9 for a, b in pairs) / 6
    assert len(set(seen)) == 3, "nothing to tell the pairs apart by"


@pytest.mark.slow
def test_an_interrupted_alternation_goes_on_and_remembers_what_stages_took(world, adapter, tmp_path, monkeypatch):
    args = arguments(world, tmp_path, rounds=1)
    broken = Stages(world, adapter, fails_at=4)
    monkeypatch.setattr("train.pipeline.driver.run_stage", broken)
    with pytest.raises(KitError, match="the power failed"):
        train_jointly(args)
    left = json.loads((tmp_path / "out/alternation.json").read_text())
    assert [entry["round"] for entry in left["rounds"]] == [0] and left["underway"]["alone"]["retriever"][
        "queries"
    ] == 6
    assert "the retriever alone" in (tmp_path / "out/alternation.md").read_text()
    monkeypatch.setattr("train.pipeline.driver.run_stage", Stages(world, adapter))
    results = train_jointly(args)
    took = {one["stage"]: (one["seconds"], one["peak_mib"]) for one in results["stages"]}
    assert [took[name] for name in STAGES] == [(n, 100.0) for n in (1, 2, 3, 4, 5, 6)]
    # Where the record is lost, what the stages say of themselves stands in for it.
    (tmp_path / "out/alternation.json").unlink()
    took = {one["stage"]: (one["seconds"], one["peak_mib"]) for one in train_jointly(args)["stages"]}
    assert [took[name] for name in STAGES] == [(7.5, 70)] * 6


def test_rounds_end_when_the_pair_has_not_become_better():
    def history(*scores):
        return [{"round": number, "ndcg_at_10": score} for number, score in enumerate(scores)]

    assert best_round(history(0.5, 0.75, 0.75))["round"] == 1, "the earliest of equals"
    assert not is_over(history(0.5), 1) and not is_over(history(0.5, 0.6), 1)
    assert is_over(history(0.5, 0.4), 1) and is_over(history(0.5, 0.5), 1)
    assert not is_over(history(0.5, 0.4), 2) and not is_over(history(0.5, 0.4, 0.6), 2)
    assert is_over(history(0.5, 0.6, 0.4, 0.3), 2)


def test_the_table_names_the_best_pair_and_what_stages_took():
    figures = {"queries": 6, "plain_ndcg_at_10": 0.5, "helped": 0.25, "hurt": 0.0}
    rounds = [
        {"round": 0, "ndcg_at_10": 0.5, **figures},
        {
            "round": 1,
            "triplets": 40,
            "pairs": 30,
            "alone": {name: {**figures, "ndcg_at_10": 0.5625} for name in ("retriever", "expander")},
            "ndcg_at_10": 0.625,
            **figures,
        },
    ]
    stages = [{"round": 1, "stage": "dpo", "folder": "x", "seconds": 61.4, "peak_mib": None}]
    results = {"rounds": rounds, "stages": stages, "best": {"round": 1}, "formation": "mean", "underway": None}
    lines = alternation_table({**results, "collection": {"name": "tiny"}}).splitlines()
    assert lines[4:8] == [
        "| start | start | 0.5000 | 0.5000 | 25 % | 0 % |  |",
        "| start | round 1 | 0.5000 | 0.5625 | 25 % | 0 % | the retriever alone |",
        "| round 1 | start | 0.5000 | 0.5625 | 25 % | 0 % | the expander alone |",
        "| round 1 | round 1 | 0.5000 | 0.6250 | 25 % | 0 % | **best pair** |",
    ]
    assert "round 1: 40 triplets, 30 pairs." in lines and "| 1 | dpo | 61 |  |" in lines


def test_the_table_says_who_was_told_nothing_and_who_was_left_out():
    """Shares of silence stand beside the pairs that have them: rounds of an older version had not."""
    figures = {"queries": 6, "plain_ndcg_at_10": 0.5, "ndcg_at_10": 0.5, "helped": 0.25, "hurt": 0.0}
    alone = {"retriever": {**figures, "silent": 0.5, "echoes": 1 / 3}}
    rounds = [{"round": 0, **figures}, {"round": 1, "alone": alone, **figures, "silent": 1 / 6, "echoes": 0.0}]
    results = {"rounds": rounds, "stages": [], "best": {"round": 0}, "formation": "mean"}
    told = {"name": "tiny", "without_relevant": {"validation": 2, "test": 9}}
    lines = alternation_table({**results, "collection": told}).splitlines()
    assert lines[0].startswith("6 validation queries of tiny (2 more have no relevant document), ")
    assert lines[2].endswith("| helped | hurt | no new word | echoes |  |") and lines[3].count("---") == 9
    assert lines[4:7] == [
        "| start | start | 0.5000 | 0.5000 | 25 % | 0 % |  |  | **best pair** |",
        "| start | round 1 | 0.5000 | 0.5000 | 25 % | 0 % | 50.0 % | 33.3 % | the retriever alone |",
        "| round 1 | round 1 | 0.5000 | 0.5000 | 25 % | 0 % | 16.7 % | 0.0 % |  |",
    ]


def test_a_stage_is_watched(tmp_path):
    code = (
        "import pathlib, sys, time; held = bytearray(120_000_000); time.sleep(0.6); folder = pathlib.Path(sys.argv[1])"
    )
    code += "; folder.mkdir(exist_ok=True); path = folder / 'timing.json'"
    code += "; path.exists() or path.write_text('{\"total_seconds\": 3}')"
    spent = run_stage(["-c", code, str(tmp_path / "made")], tmp_path / "made")
    assert spent is not None and spent.seconds >= 0.6 and 120 < spent.peak_mib < 1000
    assert run_stage(["-c", code, str(tmp_path / "made")], tmp_path / "made") is None, "it was there already"
    assert recorded(tmp_path / "made") == Spent(3, None)
    with pytest.raises(KitError, match="the stage that makes .*none failed"):
        run_stage(["-c", "raise SystemExit(2)"], tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 0}, "--rounds and --patience must be at least 1"),
        ({"triplets_recipe": "nowhere.yaml"}, "--triplets_recipe: no such file: nowhere.yaml"),
        ({"encoder": "nowhere"}, "unknown encoder 'nowhere'"),
        ({"model": "nowhere"}, "unknown model 'nowhere'"),
        ({"prompt": "nothing-like-it"}, "nothing-like-it"),
        ({"num_validation": 99}, "has 6 judged validation queries, not 99"),
        ({"formation": "q*adaptive+e"}, "formation 'q\\*adaptive\\+e' counts terms"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_before_the_first_stage(world, tmp_path, monkeypatch, change, message):
    monkeypatch.setattr("train.pipeline.driver.run_stage", lambda *_: pytest.fail("a stage was run"))
    with pytest.raises(KitError, match=message) as caught:
        train_jointly(arguments(world, tmp_path, **change))
    assert "\n" not in str(caught.value) and not (tmp_path / "out/alternation.json").exists()


def test_a_dpo_recipe_that_names_an_adapter_is_refused(world, tmp_path):
    (tmp_path / "own.yaml").write_text("adapter: out/models/sft\n")
    with pytest.raises(KitError, match="names an adapter: say it as --adapter"):
        train_jointly(arguments(world, tmp_path, dpo_recipe=str(tmp_path / "own.yaml")))


def whole(world, folder, rounds):
    """The recipe of an alternation with the kit's own commands, and those of its stages."""
    # So small a model writes few words; the prompts' checks must not mind.
    prompts = {}
    for name in (PROMPT, "web-passage-self-reference"):
        text = yaml.safe_load((ROOT / f"builders/prompts/{name}.yaml").read_text())
        prompts[name] = str(folder / f"prompt-{name}.yaml")
        Path(prompts[name]).write_text(yaml.safe_dump({**text, "check": {"min_words": 1, "max_words": 400}}))
    args = arguments(world, folder, rounds=rounds, patience=rounds, prompt=prompts[PROMPT])
    sampling = {"samples": 4, "temperature": [0.9, 1.1], "max_new_tokens": 12, "top_k": 0}
    recipes = {
        "expansions": {"prompts": [prompts[PROMPT]], "num_train": -1, "formation": "q*1+e", **sampling},
        "triplets": {"miner": "bm25s", "negatives": 1, "rows_per_query": 4},
        "retriever": {
            **{"num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 0.001, "seed": 0},
            **{"use_cpu": True, "bf16": False, "logging_steps": 1, "report_to": "none", "max_seq_length": 32},
        },
        "references": {"prompt": prompts["web-passage-self-reference"], "max_new_tokens": 12},
        "preferences": {
            **{"rule": "reward", "min_margin": 0.0, "min_agreement": -2.0, "max_length_ratio": 20.0},
            **{"pairs_per_query": 1, "student_prompt": prompts[PROMPT]},
        },
        "dpo": {
            **yaml.safe_load((RECIPES / "smollm2-135m/dpo-expandr.yaml").read_text()),
            **{"max_steps": 2, "logging_steps": 1, "per_device_train_batch_size": 2},
        },
    }
    for name, content in recipes.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    recipe = folder / "alternation.yaml"
    recipe.write_text(yaml.safe_dump({name: value for name, value in vars(args).items() if value is not None}))
    return recipe


@pytest.mark.slow
def test_a_whole_alternation(world, tmp_path):
    """Two rounds with the kit's own commands, an expander and an encoder of a few thousand weights."""
    call = [str(ROOT / "train/alternation.py"), "--config", whole(world, tmp_path, 2)]
    done = command(*call, timeout=900)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out/alternation.json").read_text())
    assert [entry["round"] for entry in results["rounds"]] == [0, 1, 2]
    for entry in results["rounds"][1:]:
        assert entry["triplets"] > 0 and entry["pairs"] > 0
    out = tmp_path / "out"
    parents = [json.loads((out / f"round-{n}/models/expander/training.json").read_text()) for n in (1, 2)]
    assert parents[0]["parent"] is None and parents[0]["reference"] == "the base model"
    assert parents[1]["parent"].startswith("expander@sha256:")
    assert all(one["seconds"] > 0 and one["peak_mib"] > 50 for one in results["stages"])
    again = command(*call, timeout=900)
    assert again.returncode == 0 and again.stderr.count("up to date") == 11, again.stderr
    repeated = json.loads((out / "alternation.json").read_text())
    assert repeated["rounds"] == results["rounds"] and repeated["stages"] == results["stages"]


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    line = refused(command_here("train/alternation.py", "--output_dir", tmp_path / "out", *missing_recipes()))
    assert "_recipe: no such file: none.yaml" in line and not (tmp_path / "out").exists()


def missing_recipes() -> list[str]:
    return [word for name in STAGES for word in (f"--{name}_recipe", "none.yaml")]

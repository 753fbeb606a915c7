"""What is not the kit's stays: no command replaces, goes on in or removes a folder that it did not make."""

import importlib
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from builders.artifacts.dataset_folder import read_build
from builders.artifacts.files import atomic_folder
from builders.artifacts.ownership import (
    ANSWERS,
    CHECKPOINTS,
    DATASET,
    EXPORT,
    MODEL,
    RELEASE,
    SPACE,
    require_free,
    require_own,
)
from builders.cli import parse, run
from builders.commands.preferences import PreferencesArguments
from builders.commands.preferences import main as make_preferences
from builders.errors import KitError
from builders.recipe_file import read_recipe
from tests.support.commands import RECIPES, command_here, refused
from tests.support.evaluated_folders import exported
from tests.support.rendered_folders import adapter, build, expansions, preferences, raw_row
from train.run_settings import given, leave_work, work_folder


BUILDERS = {
    "expansions": ["--collection", "nowhere"],
    "references": ["--expansions", "nowhere", "--prompt", "web-passage-self-reference"],
    "preferences": ["--expansions", "nowhere"],
    "regrade": ["--expansions", "nowhere", "--retriever", "bm25s"],
    "triplets": ["--expansions", "nowhere"],
    "export": ["--adapter", "nowhere", "--format", "gguf"],
}
TRAININGS = {
    "sft": ["--expansions", "nowhere", "--model_name_or_path", "nowhere"],
    "dpo": ["--preferences", "nowhere", "--model_name_or_path", "nowhere"],
    "retriever": ["--triplets", "nowhere", "--model", "nowhere"],
    "filter": ["--expansions", "nowhere", "--model", "nowhere"],
}
SETTINGS = {"stage": "sft", "training": {}, "base": {"model_id": "b"}, "data": {}}
LOG = '{"key": "q1", "answers": []}\n'
FINISHED = {"finished": "2026-01-01T00:00:00Z", "seconds": 1.0, "total_seconds": 1.0, "hardware": "a test"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """What the kit caches is not what is looked at, and `nowhere` is nowhere."""
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def thesis(folder: Path) -> Path:
    """A stranger's folder; some of its files have names that the kit uses, too."""
    (folder / "figures").mkdir(parents=True)
    (folder / "a.tex").write_text("years of work")
    (folder / "figures/one.png").write_bytes(b"png")
    for name in ("build.json", "training.json", "timing.json", "export.json", "space.json", "settings.json"):
        (folder / name).write_text('{"editor.fontSize": 12}')
    (folder / "release.json").write_text("[]")
    (folder / "answers.jsonl").write_text(LOG)
    (folder / "0123456789abcdef-0.jsonl").write_text('{"name": "a row"}\n')
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(main, argv, monkeypatch, capsys) -> str:
    """The one line with which a command in this process ends, by exit code 2."""
    monkeypatch.setattr(sys, "argv", ["command", *map(str, argv)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0]


def built(name, argv, monkeypatch, capsys) -> str:
    module = importlib.import_module(f"builders.commands.{name}")
    return refusal(lambda: module.main(sys.argv[1:]), argv, monkeypatch, capsys)


def trained(name, argv, monkeypatch, capsys) -> str:
    if name in ("retriever", "filter"):
        pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")
    arguments = [*argv, "--report_to", "none", "--use_cpu", "true", "--bf16", "false"]
    if name == "dpo":
        arguments += ["--use_peft", "true"]
    return refusal(importlib.import_module(f"train.{name}").main, arguments, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *((name, "out") for name in (*BUILDERS, *TRAININGS)),
        *((name, "out.work") for name in ("expansions", "references", *TRAININGS)),
    ],
)
def test_a_strangers_folder_is_refused_before_anything_is_read(name, place, tmp_path, monkeypatch, capsys):
    mine = thesis(tmp_path / place)
    before = files(tmp_path)
    start, more = (built, BUILDERS) if name in BUILDERS else (trained, TRAININGS)
    line = start(name, ["--output_dir", tmp_path / "out", *more[name]], monkeypatch, capsys)
    assert (
        f"{mine}: holds files that are no " in line and "(0123456789abcdef-0.jsonl, a.tex, answers.jsonl, …)" in line
    )
    assert "give an" in line
    assert files(tmp_path) == before


def test_the_whole_command_leaves_a_strangers_folder(tmp_path):
    expansions(tmp_path / "expansions")
    mine = thesis(tmp_path / "thesis")
    before = files(mine)
    done = command_here("-m", "builders", "preferences", "--expansions", tmp_path / "expansions", "--output_dir", mine)
    assert f"--output_dir {mine}: holds files that are no dataset of this kit" in refused(done)
    done = command_here(
        *("train/sft.py", "--config", RECIPES / "sft-qlora.yaml", "--expansions", tmp_path / "expansions"),
        *("--output_dir", mine),
    )
    assert f"--output_dir {mine}: holds files that are no trained model of this kit" in refused(done)
    assert files(mine) == before and sorted(path.name for path in tmp_path.iterdir()) == ["expansions", "thesis"]


def pairs(tmp_path: Path) -> Path:
    """Expansions of which every query gives a pair."""
    from builders.artifacts.render import render_dataset

    rows = [
        raw_row(number) | {"candidate_id": f"q{number}#{n}", "candidate": f"word{n}", "ndcg_at_10": n / 2}
        for number in range(3)
        for n in range(3)
    ]
    made = {**build("expansions", 3), "student_prompt": "web-passage-zero-shot"}
    render_dataset(tmp_path / "expansions", {"raw": {"train": rows}}, made, {"total_seconds": 1.0})
    return tmp_path / "expansions"


def test_ones_own_folder_is_replaced_as_before(tmp_path):
    told = ["--expansions", str(pairs(tmp_path)), "--output_dir", str(tmp_path / "out")]
    (tmp_path / "out").mkdir()
    make_preferences([*told, "--pairs_per_query", "1"])
    first = read_build(tmp_path / "out")
    (tmp_path / "out/leftover").write_text("of the old folder")
    make_preferences([*told, "--pairs_per_query", "2"])
    assert [first["pairs_per_query"], read_build(tmp_path / "out")["pairs_per_query"]] == [1, 2]
    assert not (tmp_path / "out/leftover").exists()
    # A folder that lost its record can be made again where it is, as the error about it says.
    (tmp_path / "out/build.json").write_text("{")
    make_preferences([*told, "--pairs_per_query", "1"])
    assert read_build(tmp_path / "out")["pairs_per_query"] == 1


def space(folder: Path) -> None:
    (folder / "space.json").write_text(json.dumps({"model": "m", "measured": {}, "collection": "pydocs"}))


def filter_of_the_kit(folder: Path) -> None:
    (folder / "training.json").write_text(json.dumps({"kind": "filter", "settings": {}, "base": {}}))


MADE = {
    "dataset": (DATASET, preferences),
    "adapter": (MODEL, adapter),
    "filter": (MODEL, filter_of_the_kit),
    "merged": (EXPORT, lambda folder: (folder.rmdir(), exported(folder, "merged"))),
    "space": (SPACE, space),
    "release": (RELEASE, lambda folder: (folder / "release.json").write_text('{"complete": false}')),
    "checkpoints": (CHECKPOINTS, lambda folder: (folder / "settings.json").write_text(json.dumps(SETTINGS))),
}


@pytest.mark.parametrize("name", MADE)
def test_each_kind_replaces_its_own_and_no_other(name, tmp_path):
    kind, make = MADE[name]
    folder = tmp_path / "made"
    folder.mkdir()
    make(folder)
    for other, _ in MADE.values():
        if other is not kind:
            with pytest.raises(KitError, match=f"no {other.name} of this kit"):
                require_own(folder, other)
    with atomic_folder(folder, kind) as work:
        (work / "new").write_text("new")
    assert files(folder) == {"new": b"new"}
    with pytest.raises(KitError), atomic_folder(folder, kind):
        pytest.fail("what the block would write is not even begun")


@pytest.mark.parametrize(
    "log", ["0123456789abcdef.jsonl", "0123456789abcdef-3.jsonl", "process-0-of-2/0123456789abcdef-0.jsonl"]
)
@pytest.mark.parametrize("content", [LOG, "", '{"key": "q1", "answ'])
def test_answers_of_all_versions_are_known_again(log, content, tmp_path):
    path = tmp_path / "out.work" / log.replace("fedc", "fedcba9876543210")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert ANSWERS.is_made(tmp_path / "out.work")


def test_what_was_spent_is_known_again(tmp_path):
    from builders.expanders.server.budget import Budget, Prices, Usage

    Budget(tmp_path / "out.work/spending.jsonl", Prices()).reserve(Usage(1, 2))
    assert ANSWERS.is_made(tmp_path / "out.work")


def test_checkpoints_do_not_take_the_place_of_answers_that_were_paid_for(tmp_path):
    (tmp_path / "out.work").mkdir()
    (tmp_path / "out.work/0123456789abcdef-0.jsonl").write_text(LOG)
    with pytest.raises(KitError, match=r"out\.work: holds files that are no unfinished training"):
        work_folder(tmp_path / "out", SETTINGS)
    assert files(tmp_path / "out.work") == {"0123456789abcdef-0.jsonl": LOG.encode()}


def test_checkpoints_of_other_settings_still_go(tmp_path, capsys):
    work = work_folder(tmp_path / "out", SETTINGS)
    (work / "checkpoint-1").mkdir()
    assert work_folder(tmp_path / "out", SETTINGS) == work and (work / "checkpoint-1").is_dir()
    assert work_folder(tmp_path / "out", {**SETTINGS, "stage": "dpo"}) == work
    assert (
        json.loads((work / "settings.json").read_text())["stage"] == "dpo"
        and "starting anew" in capsys.readouterr().err
    )
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["out.work"] and len(files(work)) == 1


def test_a_finished_training_leaves_no_checkpoints_but_those_of_others(tmp_path, capsys):
    work = work_folder(tmp_path / "out", SETTINGS)
    leave_work(tmp_path / "out", {**SETTINGS, "stage": "dpo"})
    assert "out.work: holds checkpoints of other settings" in capsys.readouterr().err and work.exists()
    leave_work(tmp_path / "out", SETTINGS)
    assert not work.exists() and not capsys.readouterr().err
    for folder in (thesis(work), tmp_path / "nothing.work"):
        before = files(tmp_path)
        leave_work(folder.with_suffix(""), SETTINGS)
        assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["preferences", "regrade", "triplets", "references"])
@pytest.mark.parametrize("inside", ["", "kept/expansions"])
def test_what_is_read_is_not_replaced(name, inside, tmp_path, monkeypatch, capsys):
    out = preferences(tmp_path / "out")
    read = out / inside
    if inside:
        expansions(read)
    before = files(tmp_path)
    argv = [*BUILDERS[name], "--expansions", read, "--output_dir", "out/../out"]
    line = built(name, argv, monkeypatch, capsys)
    assert "--output_dir out/../out: would be replaced, and " in line and "is read from it" in line
    assert files(tmp_path) == before


@pytest.mark.parametrize("inside", ["", "models/sft"])
def test_an_adapter_is_not_replaced_by_the_one_that_goes_on_from_it(inside, tmp_path, monkeypatch, capsys):
    adapter(tmp_path / "out")
    adapter(tmp_path / "out" / inside)
    before = files(tmp_path)
    argv = ["--output_dir", tmp_path / "out", "--adapter", tmp_path / "out" / inside, *TRAININGS["dpo"]]
    assert "is read from it" in trained("dpo", argv, monkeypatch, capsys)
    assert files(tmp_path) == before


def test_names_of_the_kit_are_no_paths(tmp_path):
    """A dataset may be called as its prompt or its collection is."""
    source = pairs(tmp_path)
    for _ in range(2):
        make_preferences(
            [
                *("--expansions", str(source), "--output_dir", "web-passage-zero-shot"),
                *("--student_prompt", "web-passage-zero-shot"),
            ]
        )


@pytest.mark.parametrize(
    ("place", "message"), [("file", "is a file"), ("file/below", "is a file"), (".", "a name of its own")]
)
def test_what_can_be_no_folder_is_refused(place, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("mine")
    for name in ("preferences", "expansions"):
        assert message in built(name, ["--output_dir", place, *BUILDERS[name]], monkeypatch, capsys)
    assert message in trained("sft", ["--output_dir", place, *TRAININGS["sft"]], monkeypatch, capsys)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_is_followed(tmp_path):
    own, mine = preferences(tmp_path / "own"), thesis(tmp_path / "thesis")
    for link, target in (("ours", own), ("theirs", mine), ("new", tmp_path / "new-target")):
        (tmp_path / link).symlink_to(target)
    before = files(mine)
    preferences(tmp_path / "ours", rows=2)
    preferences(tmp_path / "new", rows=2)
    assert read_build(own)["settings"] == read_build(tmp_path / "new-target")["settings"] == {"queries": 2}
    assert (tmp_path / "ours").is_symlink() and (tmp_path / "new").is_symlink()
    with pytest.raises(KitError, match="no dataset of this kit"):
        preferences(tmp_path / "theirs")
    assert files(mine) == before


RESULTS = {
    "evaluate": ("results.json", "evaluation.work", {"systems": {}, "settings": {}}),
    "matrix": ("matrix.json", "matrix.work", {"retrievers": {}, "settings": {}}),
    "rounds": ("rounds.json", "validation.work", {"rounds": [], "settings": {}}),
    "alternation": ("alternation.json", "validation.work", {"rounds": [], "settings": {}}),
}


def evaluating(name: str, folder: Path) -> list[str]:
    recipe = folder / "recipe.yaml"
    recipe.write_text("{}")
    stages = ("expansions", "triplets", "retriever", "references", "preferences", "dpo")
    return {
        "evaluate": ["--model", "nowhere", "--collection", "nowhere"],
        "matrix": ["--model", "nowhere", "--collection", "nowhere", "--retrievers", "bm25=bm25s"],
        "rounds": [
            *("--adapter", "nowhere", "--collection", "nowhere", "--dpo_recipe", str(recipe)),
            *("--accelerate_config", str(recipe)),
        ],
        "alternation": [
            *("--collection", "nowhere", "--accelerate_config", str(recipe)),
            *(word for stage in stages for word in (f"--{stage}_recipe", str(recipe))),
        ],
    }[name]


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("place", ["record", "table", "work"])
def test_results_are_not_written_over_a_strangers(name, place, tmp_path, monkeypatch, capsys):
    record, work, _ = RESULTS[name]
    out = thesis(tmp_path / "out")
    at = {"record": out / record, "table": out / record.replace(".json", ".md"), "work": out / work / "mine.txt"}[
        place
    ]
    at.parent.mkdir(exist_ok=True)
    at.write_text("{}")
    before = files(out)
    main = importlib.import_module(f"train.{name}").main
    line = refusal(main, ["--output_dir", out, *evaluating(name, tmp_path)], monkeypatch, capsys)
    assert "of this kit" in line and at.name in line
    assert files(out) == before


@pytest.mark.parametrize("name", RESULTS)
def test_results_may_lie_beside_anything_else(name, tmp_path, monkeypatch, capsys):
    """As in the demo: its datasets, models and results share a folder."""
    record, work, content = RESULTS[name]
    out = thesis(tmp_path / "out")
    wanted = (record, record.replace(".json", ".md"), "per_query.parquet")
    main = importlib.import_module(f"train.{name}").main
    line = refusal(main, ["--output_dir", out, *evaluating(name, tmp_path)], monkeypatch, capsys)
    assert "nowhere" in line and "of this kit" not in line
    require_free(out, wanted, work)
    (out / record).write_text(json.dumps(content))
    (out / "per_query.parquet").write_bytes(b"rows")
    require_free(out, wanted, work)
    # What a command leaves that is interrupted before its record is written.
    (out / record).unlink()
    (out / work / "process-0-of-1").mkdir(parents=True)
    require_free(out, wanted, work)


@pytest.mark.parametrize("place", ["round-1/expansions", "round-2/preferences"])
def test_rounds_ask_for_every_stage_before_the_first(place, tmp_path, monkeypatch, capsys):
    thesis(tmp_path / "out" / place)
    for name in ("rounds", "alternation"):
        main = importlib.import_module(f"train.{name}").main
        line = refusal(main, ["--output_dir", tmp_path / "out", *evaluating(name, tmp_path)], monkeypatch, capsys)
        assert f"{place}: holds files that are no dataset" in line


ENVIRONMENT = {
    # Git, which the provenance asks for the version, would run it.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.fsmonitor",
    "GIT_CONFIG_VALUE_0": "touch ran; false",
    "HF_ENDPOINT": "https://elsewhere.example",
}


def recipe(folder: Path, **settings) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**settings, "env": ENVIRONMENT}))
    return path


def test_a_recipe_sets_no_variables_and_runs_nothing(tmp_path):
    settings = {"expansions": str(pairs(tmp_path)), "output_dir": str(tmp_path / "out")}
    given_env = {"GIT_CONFIG_VALUE_0": f"touch {tmp_path}/ran; false"}
    path = recipe(tmp_path, **settings)
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, "env": {**ENVIRONMENT, **given_env}}))
    line = refused(command_here("-m", "builders", "preferences", "--config", path))
    assert f"{path}: env: a recipe sets no environment variables" in line and "in the shell" in line
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["env: {A_VARIABLE: x}", "env:", "x: &x {env: {A_VARIABLE: x}}\n<<: *x"])
def test_no_form_of_it_gets_through(text, tmp_path, monkeypatch):
    monkeypatch.delenv("A_VARIABLE", raising=False)
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    for call in (
        lambda: parse(PreferencesArguments, ["--config", str(path), "--expansions", "e", "--output_dir", "o"], "", ""),
        lambda: read_recipe(str(path)),
        lambda: given(["--config", str(path)]),
    ):
        with pytest.raises(KitError, match="sets no environment variables"):
            call()
    for argv in (
        [f"--config={path}"],
        ["--config", str(RECIPES / "dpo-qlora.yaml"), "--config", str(path)],
        ["--conf", str(path)],
    ):
        with pytest.raises(KitError):
            parse(PreferencesArguments, [*argv, "--expansions", "e", "--output_dir", "o"], "", "")
    assert "A_VARIABLE" not in os.environ


@pytest.mark.parametrize("name", ["rounds", "alternation"])
def test_recipes_of_stages_are_looked_at_before_the_first(name, tmp_path, monkeypatch, capsys):
    argv = evaluating(name, tmp_path)
    path = recipe(tmp_path)
    argv = [str(path) if word.endswith("recipe.yaml") else word for word in argv]
    main = importlib.import_module(f"train.{name}").main
    line = refusal(main, ["--output_dir", tmp_path / "out", *argv], monkeypatch, capsys)
    assert f"{path}: env: " in line and not (tmp_path / "out").exists()


def test_what_is_no_recipe_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for path, message in (
        (tmp_path, "no recipe that can be read"),
        ("bytes.yaml", "not valid YAML"),
        ("x.yaml", "no such"),
    ):
        assert message in built("preferences", ["--config", path], monkeypatch, capsys)

"""`qexpand run` and `qexpand publish`: all stages of a recipe, interrupted and resumed, and what comes of them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders.__main__ import COMMANDS
from builders.artifacts.files import file_hash
from builders.errors import KitError
from qexpand.__main__ import commands
from tests.hub_server.fixtures import hub, run_client, run_command
from tests.support.commands import ROOT, command, command_here, refused
from tests.support.evaluation_collection import collection
from tests.support.rendered_folders import BASE
from tests.support.tiny_student import base_model
from train.__main__ import commands as of_train
from train.own_data.publish_run import PublishRunArguments, release_of
from train.own_data.run import run_recipe
from train.own_data.run_recipe import read_run_recipe
from train.pipeline.shown_output import ShownOutput
from train.pipeline.stages import run_stage


__all__ = ["hub"]

RECIPE = """
collection: tiny
output_dir: out/mine
model: base
prompts: [web-passage-zero-shot]
max_new_tokens: 24
formation: q*1+e
dtype: float32
expansions: {config: builders/recipes/expansions-passages.yaml, num_train: -1, select: all}
preferences: {config: builders/recipes/preferences-ndcg-margin.yaml, min_margin: 0.001}
sft: {config: train/recipes/smollm2-135m/sft-qlora.yaml, load_in_4bit: false, max_steps: 2}
dpo: {config: train/recipes/smollm2-135m/dpo-qlora.yaml, load_in_4bit: false, max_steps: 2}
evaluate: {num_queries: 0, baselines: []}
"""


@pytest.fixture
def here(tmp_path):
    collection(tmp_path / "tiny")
    base_model(tmp_path / "base")
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return tmp_path


def files(folder):
    kept = [path for path in folder.rglob("*") if path.is_file() and not {"run.log", "run.work"} & set(path.parts)]
    return {path: file_hash(path) for path in kept}


def test_a_run_is_interrupted_goes_on_and_ends_with_ten_lines(here, monkeypatch):
    """The commands themselves, in this process: what a process of their own would do, without its start."""
    ran, interrupt_at = [], "sft"

    def stage(words, folder, accelerate_config=None, shown=None, environment=None):
        if interrupt_at in words:
            raise KeyboardInterrupt
        done = command_here(*words, cwd=here)
        if done.returncode:
            raise KitError(f"{words}: {done.stderr}")
        ran.append((words[2] if words[1] != "model_cards" else "cards", "up to date" in done.stderr))

    monkeypatch.setattr("train.own_data.run.run_stage", stage)
    monkeypatch.chdir(here)
    with pytest.raises(KeyboardInterrupt):
        run_recipe("mine.yaml")
    assert [name for name, _ in ran] == ["expansions", "preferences"]
    publish = ("-m", "qexpand", "publish", "mine.yaml", "--owner", "acme")
    assert "nothing to publish yet" in refused(command_here(*publish, cwd=here))
    interrupt_at = "nothing"
    ran.clear()
    done = command_here("-m", "qexpand", "run", "mine.yaml", cwd=here)
    assert done.returncode == 0, done.stderr
    assert ran[:2] == [("expansions", True), ("preferences", True)], "a finished stage is passed over"
    assert [name for name, _ in ran[2:]] == ["sft", "dpo", "evaluate", "cards"] and not any(old for _, old in ran[2:])
    said = [line for line in done.stderr.splitlines() if re.match(r"\d/6 ", line)]
    assert len(said) == 6

    lines = done.stdout.strip().splitlines()
    assert 8 <= len(lines) <= 12 and max(map(len, lines)) < 250
    results = {row["system"]: row for row in json.loads((here / "out/mine/results.json").read_text())["rows"]}
    assert f"before      nDCG@10 {results['plain']['ndcg_at_10']:.4f}" in done.stdout
    assert f"after       nDCG@10 {results['dpo']['ndcg_at_10']:.4f}, with the words of dpo" in done.stdout
    helped, hurt = (round(14 * results["dpo"]["own"][name]) for name in ("helped", "hurt"))
    assert f"queries     {helped} helped, {hurt} hurt" in done.stdout
    assert "qexpand expand out/mine/models/dpo" in lines[-1] and "qexpand publish mine.yaml" in lines[-1]
    alone = command_here("-m", "qexpand", "summary", "out/mine", cwd=here)
    assert done.stdout.startswith(alone.stdout.rstrip("\n")), "the same lines, and a further step"

    before = files(here / "out/mine")
    ran.clear()
    assert command_here("-m", "qexpand", "run", "mine.yaml", cwd=here).returncode == 0
    assert all(old for _, old in ran) and files(here / "out/mine") == before


def test_a_release_names_all_that_the_run_made(here):
    released = release_of(
        PublishRunArguments("mine.yaml", "acme", name="My Shop"), read_run_recipe(str(here / "mine.yaml"))
    )
    assert [text.partition("=")[2] for text in released.datasets] == [
        *("my-shop-query-expansions", "my-shop-query-expansion-preferences"),
    ]
    assert released.adapters == [f"out/mine/models/{name}=my-shop-expander-{name}" for name in ("sft", "dpo")]
    assert (released.space, released.results) == ("out/mine/space=my-shop-query-expansion", "out/mine")
    assert (released.owner, released.public, released.push_to_hub) == ("acme", False, False)


@pytest.mark.slow
def test_a_run_in_processes_of_its_own_is_told_to_the_hub(here, hub):
    """Ended by Ctrl-C while a stage works; the same command goes on, and shows no line of a library."""
    words = [sys.executable, "-m", "qexpand", "run", "mine.yaml"]
    process = subprocess.Popen(
        words, cwd=here, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    deadline = time.time() + 300
    while not (here / "out/mine/preferences").exists() and time.time() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "run the same command again to continue" in told
    done = command("-m", "qexpand", "run", "mine.yaml", cwd=here, timeout=600, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert "up to date" in done.stderr
    assert re.fullmatch(r"(\d/6 .*\n(    out/mine.* \(\d+ s\)\n)?)+", done.stderr), done.stderr
    assert "{'loss': " in (here / "out/mine/run.log").read_text()
    publish = [sys.executable, "-m", "qexpand", "publish", "mine.yaml", "--owner", "kit-owner"]
    done = run_command(hub, publish, cwd=here, environment={"PYTHONPATH": str(ROOT)})
    if "uncommitted" in done.stderr:
        pytest.skip("the code of this checkout is not committed")
    assert done.returncode == 0, done.stderr
    for name in ("query-expansions", "query-expansion-preferences", "expander-dpo", "query-expansion"):
        assert f"kit-owner/mine-{name}" in done.stdout + done.stderr
    assert "nothing was changed on the Hub: publish it with --push_to_hub" in done.stderr
    published_and_used(hub, here, publish)


USED = """
from datasets import load_dataset
from builders import load_expander

rows = {
    "preference": load_dataset("kit-owner/mine-query-expansion-preferences", "preference", split="train"),
    "distillation": load_dataset("kit-owner/mine-query-expansions", "distillation", split="train", revision="v1.0"),
}
result = {name: [found.column_names, len(found)] for name, found in rows.items()}
expander = load_expander("kit-owner/mine-expander-dpo", revision="v1.0")
result["formulated"] = expander.formulate("shared0 shared eighth3").text
"""


def published_and_used(hub, here, publish):
    """All goes up, and a stranger with another home uses it by its names."""
    base = {path.name: path.read_bytes() for path in (here / "base").iterdir()}
    hub.create_repo("model", BASE).commit(base)
    done = run_command(hub, [*publish, "--push_to_hub"], cwd=here, environment={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert json.loads((here / "out/mine/release/release.json").read_text())["complete"]
    student = hub.repo("model", "kit-owner/mine-expander-dpo").files()
    pictures = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", student["README.md"].decode()))
    assert pictures == {"gain.png", "ndcg_delta.png", "curves.png"} and pictures <= set(student)
    assert "app.py" in hub.repo("space", "kit-owner/mine-query-expansion").files()
    used = run_client(hub, USED, environment={"PYTHONPATH": str(ROOT)})
    assert used["preference"][1] and {"chosen", "rejected"} <= set(used["preference"][0])
    assert used["distillation"][1] and "completion" in used["distillation"][0]
    assert "shared0 shared eighth3" in used["formulated"]


NOISE = """
import sys
sys.stderr.write("Map: 50%|#####     | 1/2 [00:01<00:01]\\r 50%|##### | 1/2 [00:01<00:01]\\r")
sys.stderr.write("FutureWarning: old\\nFailed to load CPU kernels\\n")
print("out/x: 3 pairs")
print("out/x: 4 pairs")
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", [0, 3])
def test_a_stage_shows_its_result_and_a_log_keeps_the_rest(code, tmp_path, capsys):
    shown = ShownOutput(tmp_path / "run.log", Path("out/x"))
    if code:
        with pytest.raises(KitError, match="the stage that makes"):
            run_stage(["-c", NOISE, str(code)], tmp_path / "x", None, shown)
    else:
        run_stage(["-c", NOISE, str(code)], tmp_path / "x", None, shown)
    told = capsys.readouterr().err
    assert shown.result == "out/x: 4 pairs"
    assert "FutureWarning" in (tmp_path / "run.log").read_text() and "Map: 50%" in (tmp_path / "run.log").read_text()
    # Of a failure without a word of the kit's own the end of the log is shown.
    assert ("FutureWarning: old" in told) == bool(code) and ("run.log" in told) == bool(code)
    assert "Map" not in told


MUCH = "print('x' * 1_000_000); print('out/x: 5 pairs')"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here, which is always full")
@pytest.mark.parametrize("reason", ["No space left on device", "Is a directory"])
def test_a_stage_goes_on_where_its_log_cannot(reason, tmp_path, capsys):
    if reason == "Is a directory":
        (tmp_path / "run.log").mkdir()
    else:
        (tmp_path / "run.log").symlink_to("/dev/full")
    shown = ShownOutput(tmp_path / "run.log", Path("out/x"))
    run_stage(["-c", MUCH], tmp_path / "x", None, shown)
    assert shown.result == "out/x: 5 pairs"
    assert capsys.readouterr().err.count(f"run.log: cannot be written ({reason})") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed: 0\nseeds: 1\n", "no such setting: --seeds"),
        ("sft: null\n", "sft: stands there twice"),
    ],
)
def test_a_recipe_that_is_none_is_refused(change, message, here):
    (here / "mine.yaml").write_text(RECIPE + change)
    assert message in refused(command_here("-m", "qexpand", "run", "mine.yaml", cwd=here))
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("collection: tiny", "language: en", "collection missing; `qexpand init COLLECTION` writes a whole recipe"),
        (
            "preferences: {config: builders/recipes/preferences-ndcg-margin.yaml, min_margin: 0.001}\n",
            "",
            "preferences and dpo go together",
        ),
        ("num_queries: 0", "collection: x", "evaluate: collection: stands at the top"),
        ("sft-qlora.yaml", "none.yaml", "no such recipe: train/recipes/smollm2-135m/none.yaml"),
        ("web-passage-zero-shot", "web-passage-few-shot", "give at least one zero-shot prompt"),
    ],
)
def test_what_a_run_needs_is_asked_before_it_begins(old, new, message, here):
    (here / "mine.yaml").write_text(RECIPE.replace(old, new))
    assert message in refused(command_here("-m", "qexpand", "run", "mine.yaml", cwd=here))
    assert not (here / "out").exists()


FOREIGN = {
    "stages/sft.yaml": "stages/sft.yaml: is no file of this kit and would be written over",
    "run.log": "run.log: is no file of this kit and would be written over",
    "expansions/holiday.jpg": "expansions: holds files that are no dataset of this kit (holiday.jpg)",
    "preferences/holiday.jpg": "preferences: holds files that are no dataset of this kit",
    "models/dpo/holiday.jpg": "dpo: holds files that are no trained model of this kit",
    "models/sft.work/holiday.jpg": "sft.work: holds files that are no unfinished training of this kit",
    "results.json": "holds files that are no results of this kit (results.json)",
    "evaluation.work/holiday.jpg": "holds files that are no unfinished work of this kit",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_of_somebody_else_is_left_as_it_is(name, here):
    place = here / "out/mine" / name
    place.parent.mkdir(parents=True)
    place.write_text("years of work")
    before = sorted(here.rglob("*"))
    assert FOREIGN[name] in refused(command_here("-m", "qexpand", "run", "mine.yaml", cwd=here))
    assert place.read_text() == "years of work" and sorted(here.rglob("*")) == before


def test_every_command_is_reached_from_the_console():
    assert set(commands()) == {*COMMANDS, *of_train(), "init", "run", "summary", "cards", "space"}
    done = command_here("-m", "qexpand", "grade", "--collection", "nowhere/at/all/x")
    assert "no collection" in refused(done)
    assert "no such option: --adapter" in refused(command_here("-m", "qexpand", "cards", "--adapter", "x"))
    assert "unknown command 'trian'" in refused(command_here("-m", "qexpand", "trian"))


def test_a_missing_library_is_named_with_its_extra():
    script = "import sys; sys.modules['psutil'] = None; sys.argv = ['qexpand', 'run', 'x.yaml']\n"
    done = command("-c", f"{script}from qexpand.__main__ import console; console()")
    assert refused(done) == "error: psutil is missing: pip install 'query-expansion-kit[train]'"


def test_a_terminal_of_other_letters_is_written_to_as_well():
    done = command("-m", "qexpand", "--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "a collection ? what is in it" in done.stdout, done.stderr

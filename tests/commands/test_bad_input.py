"""Bad input: one line that says what is wrong and what to do, exit code 2, and nothing that was there is touched."""

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.commands import DATA_RECIPES, RECIPES, ROOT, command, command_here, refused
from tests.support.tiny_student import base_model
from tests.support.word_collection import word_collection


def expansions(folder, *more):
    return command_here("-m", "builders", "expansions", "--output_dir", folder, *more)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--collection", "wikipedia"], "no collection 'wikipedia': give pydocs"),
        (["--model", "gpt-5"], "unknown model 'gpt-5'"),
        (["--model", "package:llama"], "unknown model package"),
        (["--model", "nobody/nothing"], "cannot be had from the Hub"),
        (["--retriever", "google", "--num_train", "1", "--prompts", "api-docs-zero-shot"], "no retriever 'google'"),
        (["--prompts", "haiku"], "unknown prompt 'haiku'"),
        (["--prompts", "api-docs-few-shot"], "at least one zero-shot prompt"),
        (["--select", "worst"], "unknown --select 'worst'"),
        (["--samples", "0"], "must be at least 1"),
        (["--num_train", "1000000"], "judged train queries, not 1000000"),
        (["--adapter", "no/such/folder"], "no such folder"),
        (["--config", "missing.yaml"], "no such recipe: missing.yaml"),
    ],
)
def test_expansions_refuses(tmp_path, arguments, message, embedded_model):
    line = refused(expansions(tmp_path / "out", *arguments))
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [("colection: pydocs\n", "colection"), ("- a\n- b\n", "mapping"), ("seed: [1\n", "not valid YAML")],
)
def test_a_broken_recipe_is_named(tmp_path, recipe, message):
    (tmp_path / "recipe.yaml").write_text(recipe)
    line = refused(expansions(tmp_path / "out", "--config", tmp_path / "recipe.yaml"))
    assert message in line and "recipe.yaml" in line


def test_an_unknown_command_is_refused():
    assert "expansions" in refused(command("-m", "builders", "expandd"))


def beir(folder: Path, judged: str = "d1") -> Path:
    """A small collection of one's own: 20 train queries, of which one can be spoiled."""
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{n}", "title": f"page {n}", "text": f"word{n} common text"} for n in range(20)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    queries = [{"_id": f"q{n}", "text": f"word{n} please"} for n in range(20)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    rows = "".join(f"q{n}\td{n}\t1\n" for n in range(1, 20)) + f"q0\t{judged}\t1\n"
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    return folder


def test_where_nothing_is_worth_imitating_it_is_said_why(tmp_path):
    """The counts come before the error, which leaves nothing behind; the same answers are then kept with `all`."""
    collection, answers = beir(tmp_path / "mine"), tmp_path / "answers.jsonl"
    rows = [
        {"query_id": f"q{n}", "prompt_id": "keywords-zero-shot", "model": "you/yours", "text": "nothing alike"}
        for n in range(20)
    ]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--expander", "recorded", "--recorded", answers, "--collection", collection]
    given += ["--prompts", "keywords-zero-shot", "--num_train", "8", "--num_validation", "0"]
    done = expansions(tmp_path / "out", *given)
    assert "config 'distillation' has no rows" in refused(done) and not (tmp_path / "out").exists()
    assert "8 candidates, checks" in done.stderr and "0 rows to imitate" in done.stderr
    assert "--select best finds none to imitate" in done.stderr
    assert expansions(tmp_path / "out", *given, "--select", "all").returncode == 0


def test_a_query_without_judgment_is_left_out_and_counted(tmp_path):
    from builders.collections.load import load_collection

    folder = beir(tmp_path / "mine")
    with (folder / "queries.jsonl").open("a") as file:
        file.write('{"_id": "q99", "text": "nobody judged this"}\n')
    collection = load_collection(str(folder))
    assert len(collection.split("train")) == 20
    assert any("judg" in name and count == 1 for name, count in collection.statistics.items()), collection.statistics


def damaged(demo, tmp_path, damage) -> Path:
    folder = tmp_path / "expansions"
    shutil.copytree(demo.expansions, folder)
    damage(folder)
    return folder


def cut(folder):
    shard = next((folder / "data/raw").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])


def older(folder):
    build = json.loads((folder / "build.json").read_text())
    (folder / "build.json").write_text(json.dumps(build | {"schema_version": 0}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "no such dataset folder"),
        (cut, "truncated or edited"),
        (older, "schema version 0"),
        (lambda folder: (folder / "build.json").unlink(), "build.json is missing or broken"),
        (lambda folder: (folder / "build.json").write_text("{"), "build.json is missing or broken"),
        (lambda folder: next((folder / "data/raw").glob("*.parquet")).unlink(), "is missing"),
    ],
)
def test_preferences_refuses_a_damaged_dataset(demo, tmp_path, damage, message):
    folder = damaged(demo, tmp_path, damage)
    done = command_here("-m", "builders", "preferences", "--expansions", folder, "--output_dir", tmp_path / "out")
    line = refused(done)
    assert message in line and "python -m builders expansions" in line or message in line and "again" in line
    assert not (tmp_path / "out").exists()


def test_preferences_refuses_the_wrong_kind_and_bounds_without_pairs(demo, tmp_path):
    start = ("-m", "builders", "preferences", "--output_dir", tmp_path / "out")
    assert "holds 'preferences'" in refused(command_here(*start, "--expansions", demo.preferences))
    line = refused(command_here(*start, "--expansions", demo.expansions, "--min_margin", "1"))
    assert "no query gives a pair" in line and "--min_margin" in line


def test_training_refuses_in_one_line(demo, tmp_path, embedded_model):
    """Missing data, a key that nobody knows, an adapter of another base: before any model is loaded."""
    sft = ["--expansions", tmp_path / "nothing", "--output_dir", tmp_path / "out"]
    line = refused(command_here("train/sft.py", "--config", RECIPES / "sft-qlora.yaml", *sft))
    assert "no such dataset folder" in line

    recipe = tmp_path / "old.yaml"
    recipe.write_text((RECIPES / "sft-qlora.yaml").read_text() + "max_prompt_length: 100\n")
    line = refused(command_here("train/sft.py", "--config", recipe, *sft))
    assert "max_prompt_length" in line and "old.yaml" in line

    other = tmp_path / "other"
    shutil.copytree(demo.sft, other)
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "Qwen/Qwen3-0.6B"}))
    dpo = ["train/dpo.py", "--config", RECIPES / "dpo-qlora.yaml", "--preferences", demo.preferences]
    line = refused(command_here(*dpo, "--adapter", other, "--output_dir", tmp_path / "out"))
    assert f"{other / 'adapter_config.json'}: truncated or edited" in line
    training = json.loads((other / "training.json").read_text())
    (other / "training.json").write_text(json.dumps({**training, "files": {}}))
    line = refused(command_here(*dpo, "--adapter", other, "--output_dir", tmp_path / "out"))
    assert "belongs to 'Qwen/Qwen3-0.6B'" in line
    assert not (tmp_path / "out").exists()


def test_cards_refuse_results_of_other_weights(demo, tmp_path):
    other = tmp_path / "sft"
    shutil.copytree(demo.sft, other)
    weights = other / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    card = (other / "README.md").read_bytes()
    cards = ("-m", "model_cards", "--adapters", other, "--results", demo.results)
    assert f"{weights}: its weights differ from those measured" in refused(command_here(*cards))
    training = json.loads((other / "training.json").read_text())
    (other / "training.json").write_text(json.dumps({**training, "files": {}}))
    line = refused(command_here(*cards))
    assert "no results for the weights" in line and (other / "README.md").read_bytes() == card
    line = refused(command_here("-m", "model_cards", "--adapters", demo.sft, "--results", tmp_path / "none.json"))
    assert "train/evaluate.py" in line


def mount(folder: Path, options: str) -> None:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no mount is possible here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    mount(folder, "size=160k")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_costs_nothing_that_was_there(demo, small_disk):
    """The datasets need more than the disk has: one line, and the earlier output stands as it was."""
    earlier = small_disk / "preferences"
    start = ("-m", "builders", "preferences", "--expansions", demo.expansions, "--min_margin", "0.001")
    assert command_here(*start, "--output_dir", earlier).returncode == 0
    before = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    line = refused(command_here(*start, "--output_dir", earlier, "--pairs_per_query", "1"))
    assert "no space left" in line
    assert {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()} == before
    assert [path.name for path in small_disk.iterdir() if path.name.startswith(".")] == []


def test_a_read_only_output_is_named(demo, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    start = ("-m", "builders", "preferences", "--expansions", demo.expansions, "--min_margin", "0.001")
    assert "cannot write" in refused(command_here(*start, "--output_dir", small_disk / "preferences"))


def test_ctrl_c_ends_with_one_line_and_leaves_no_folder(tmp_path):
    base, words = base_model(tmp_path / "base"), word_collection(tmp_path / "words", 40)
    arguments = ["-m", "builders", "expansions", "--config", DATA_RECIPES / "expansions-passages.yaml", "--block", "8"]
    arguments += ["--output_dir", tmp_path / "out", "--model", base, "--collection", words, "--num_train", "36"]
    arguments += ["--prompts", "web-passage-zero-shot"]
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background, a shell's children ignore Ctrl-C, and theirs would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    work = tmp_path / "out.work"
    deadline = time.time() + 240
    while not (work.is_dir() and any(path.stat().st_size for path in work.iterdir())) and time.time() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: run the same command again to continue" in printed and "Traceback" not in printed
    assert not (tmp_path / "out").exists()
    (log,) = work.iterdir()
    assert all(json.loads(line) for line in log.read_text().splitlines())

"""Training that is watched, interrupted and repeated, and students that are used: adapters, bases, blocks."""

import json
import math
import signal
import subprocess
import sys
import time

import pytest

from builders.artifacts.files import file_hash
from builders.errors import KitError
from builders.expanders.expander import Request, Sampling, greedy
from builders.expanders.local import LocalExpander
from builders.prompts.load import load_prompt
from tests.support.commands import ROOT, command, launch, stages
from tests.support.small_training import PROMPT, RECIPES, arguments, interrupted, make_world, train


QUERIES = ["Sort an array.", "Merge two frames.", "Compute the determinant of a matrix by elimination.", "Fit a line."]


WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world):
    """An SFT adapter of twelve steps, checked every three."""
    folder = world.folder / "trained"
    world.sft(folder, save_steps=2, **world.validation(3))
    return folder


def record(folder):
    return json.loads((folder / "training.json").read_text())


def test_the_adapter_of_the_best_check_is_saved(world, trained):
    """Measured anew from the folder, as an evaluation would: by another path than the training's own."""
    from builders.collections.load import load_collection
    from builders.grading.grader import Grader
    from builders.retrievers.formulation import load_formulation
    from builders.retrievers.load import load_retriever

    validation = record(trained)["validation"]
    scores = {check["step"]: check["validation_ndcg_at_10"] for check in validation["checks"]}
    assert list(scores) == [0, 3, 6, 9, 12]
    best = max(score for step, score in scores.items() if step)
    assert validation["kept_step"] == min(step for step, score in scores.items() if step and score == best) < 12
    assert best > scores[0], "the student learned nothing that helps the search"

    collection = load_collection(str(world.collection))
    grader = Grader(collection, load_retriever("bm25s", collection), load_formulation("q*1+e"))
    asked = [query for query in collection.split("validation") if query.split == "validation"]
    requests = [Request(query.id, tuple(load_prompt(PROMPT).messages(query.text)), 1) for query in asked]
    for adapter, step in ((str(trained), validation["kept_step"]), (None, 0)):
        expander = LocalExpander(str(world.base), adapter=adapter, dtype="float32", block=4)
        answers = dict(expander.expand(requests, greedy(6)))
        grades = dict(zip(answers, grader.expanded([(key, e[0].text) for key, e in answers.items()]), strict=True))
        # The training checks four of the six.
        from builders.collections.sampling import sample_queries

        four = [query.id for query in sample_queries(collection, "validation", 4, 0)]
        assert sum(grades[name].ndcg_at_10 for name in four) / 4 == pytest.approx(scores[step])
    plain = {check["validation_plain_ndcg_at_10"] for check in validation["checks"]}
    assert plain == {sum(grade.ndcg_at_10 for grade in grader.plain(four)) / 4}


@pytest.mark.slow
def test_watching_changes_nothing_and_the_same_seed_gives_the_same_adapter(world, trained, tmp_path):
    watched = world.sft(tmp_path / "watched", **world.validation(3, keep_best=False))
    alone = world.sft(tmp_path / "alone")
    assert watched["validation"]["kept_step"] == 12 and alone["validation"] is None
    assert watched["log"] == alone["log"] == record(trained)["log"]
    assert file_hash(tmp_path / "watched" / WEIGHTS) == file_hash(tmp_path / "alone" / WEIGHTS)
    assert file_hash(tmp_path / "alone" / WEIGHTS) != file_hash(trained / WEIGHTS), "the best is not the last"


@pytest.mark.slow
def test_patience_ends_a_training_that_gets_no_better(world, trained, tmp_path):
    stopped = world.sft(tmp_path / "stopped", **world.validation(3, validation_patience=1))
    kept = record(trained)["validation"]["kept_step"]
    assert stopped["steps"] == kept + 3 and stopped["validation"]["kept_step"] == kept
    assert file_hash(tmp_path / "stopped" / WEIGHTS) == file_hash(trained / WEIGHTS)


@pytest.mark.slow
def test_an_interrupted_training_ends_as_an_undisturbed_one(world, trained, tmp_path, capsys):
    folder = tmp_path / "trained"
    work = interrupted(world.sft, folder, at_step=5, save_steps=2, save_total_limit=2, **world.validation(3))
    assert not folder.exists() and (work / "checkpoint-4").is_dir() and (work / "best-3.safetensors").is_file()
    world.sft(folder, save_steps=2, **world.validation(3))
    assert "going on from" in capsys.readouterr().err and not work.exists()
    again, undisturbed = record(folder), record(trained)
    assert again["log"] == undisturbed["log"] and again["validation"] == undisturbed["validation"]
    assert file_hash(folder / WEIGHTS) == file_hash(trained / WEIGHTS)
    assert [json.loads((one / "timing.json").read_text())["resumed"] for one in (trained, folder)] == [False, True]
    before = {path: file_hash(path) for path in folder.iterdir()}
    world.sft(folder, save_steps=2, **world.validation(3))
    assert "up to date" in capsys.readouterr().err
    assert {path: file_hash(path) for path in folder.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_on_a_4_bit_base_too_an_interrupted_training_ends_as_an_undisturbed_one(world, tmp_path, stage):
    """Byte for byte: the adapter stays in bfloat16, and to be watched changes nothing."""
    from safetensors.torch import load_file

    given = {"load_in_4bit": True, "max_steps": 6, "save_steps": 2, "save_total_limit": 2}
    train, read = world.sft, ()
    if stage == "dpo":
        train, read = world.dpo, (tmp_path / "parent",)
        world.sft(*read, load_in_4bit=True, max_steps=2)
    train(tmp_path / "whole", *read, **given)
    for name, watched in (("alone", {}), ("watched", world.validation(3, keep_best=False))):
        interrupted(train, tmp_path / name, *read, at_step=5, **given, **watched)
        train(tmp_path / name, *read, **given, **watched)
        assert record(tmp_path / name)["log"] == record(tmp_path / "whole")["log"]
        assert file_hash(tmp_path / name / WEIGHTS) == file_hash(tmp_path / "whole" / WEIGHTS)
    assert {str(weights.dtype) for weights in load_file(tmp_path / "whole" / WEIGHTS).values()} == {"torch.bfloat16"}


def test_dpo_goes_on_with_plain_lora_in_float32(world, trained, tmp_path):
    """Without 4-bit weights: adapter and reference in float32, the first loss ln 2, the margin growing."""
    from safetensors.numpy import load_file

    aligned = world.dpo(tmp_path / "dpo", trained, **world.validation(3))
    assert aligned["log"][0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert aligned["log"][0]["rewards/margins"] == pytest.approx(0, abs=1e-6)
    assert aligned["log"][-1]["rewards/margins"] > 0.1
    for folder in (trained, tmp_path / "dpo"):
        assert {str(weights.dtype) for weights in load_file(folder / WEIGHTS).values()} == {"float32"}
        assert record(folder)["quantization"] is None
        assert not (folder / "ref").exists()
    # Before its training the DPO student is the SFT student.
    kept = record(trained)["validation"]["kept_step"]
    assert aligned["validation"]["checks"][0] == {
        **next(check for check in record(trained)["validation"]["checks"] if check["step"] == kept),
        "step": 0,
    }
    # Loss and validation; loss, rewards and validation.
    assert height(tmp_path / "dpo/curves.png") == pytest.approx(height(trained / "curves.png") * 3 / 2, rel=0.1)


def test_dpo_begins_with_the_base_model(world, tmp_path):
    """By ExpandR's recipe: a new adapter, the base model its reference, the first loss ln 2."""
    recipe = RECIPES / "smollm2-135m/dpo-expandr.yaml"
    given = {"preferences": world.preferences, "config": recipe, "learning_rate": 0.002, "logging_steps": 1}
    aligned = train("dpo", world.base, tmp_path / "dpo", {**given, "gradient_accumulation_steps": 1})
    assert aligned["log"][0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert aligned["log"][0]["rewards/margins"] == pytest.approx(0, abs=1e-6)
    assert aligned["log"][-1]["rewards/margins"] > 0.05
    assert aligned["parent"] is None and aligned["reference"] == "the base model"
    shape = json.loads((tmp_path / "dpo/adapter_config.json").read_text())
    assert (shape["r"], shape["lora_alpha"], shape["lora_dropout"]) == (8, 32, 0.1)
    with pytest.raises(KitError, match="give --adapter, or use_peft: true and a LoRA shape for a new one"):
        train("dpo", world.base, tmp_path / "bare", {**given, "use_peft": False})
    assert not (tmp_path / "bare").exists()


def test_a_run_shorter_than_the_interval_of_its_log_tells_its_loss(world, tmp_path):
    world.sft(tmp_path / "short", logging_steps=500, validation_steps=0)
    told = record(tmp_path / "short")
    assert told["log"][-1]["step"] == told["steps"] and all(entry["loss"] > 0 for entry in told["log"])


def height(png):
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG")
    return int.from_bytes(data[20:24], "big")


@pytest.mark.slow
def test_scoring_the_answers_alone_changes_no_loss(world, trained, tmp_path, monkeypatch):
    """TRL projects every position onto the vocabulary on a CPU; the kit has it leave the prompt's out."""
    import train.students.training

    calls = []
    monkeypatch.setattr(train.students.training, "score_answers_only", lambda: calls.append(1))
    from trl.trainer import utils

    monkeypatch.setattr(utils, "_use_triton", lambda device: device.type != "cpu")
    all_positions = world.sft(tmp_path / "all", max_steps=4)
    monkeypatch.undo()
    answers = world.sft(tmp_path / "answers", max_steps=4)
    assert calls and utils._use_triton(torch_cpu())
    for entry, other in zip(answers["log"], all_positions["log"], strict=True):
        assert entry["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert entry["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-3)


def torch_cpu():
    import torch

    return torch.device("cpu")


@pytest.mark.slow
@pytest.mark.parametrize(("four_bit", "dtype"), [(True, "float32"), (True, "bfloat16"), (False, "bfloat16")])
def test_the_reference_of_dpo_is_the_sft_adapter(world, tmp_path, four_bit, dtype):
    given = {"load_in_4bit": four_bit, "dtype": dtype}
    world.sft(tmp_path / "sft", **given)
    aligned = world.dpo(tmp_path / "dpo", tmp_path / "sft", max_steps=3, **given)
    # On a 4-bit base the adapter is in bfloat16, its frozen copy in float32: equal up to rounding.
    assert aligned["log"][0]["loss"] == pytest.approx(math.log(2), abs=5e-3)
    assert aligned["log"][0]["rewards/margins"] == pytest.approx(0, abs=1e-2)
    assert aligned["log"][0]["logps/chosen"] > aligned["log"][0]["logps/rejected"], "the SFT adapter is not in it"
    assert aligned["quantization"] == ("NF4 with double quantization" if four_bit else None)
    ahead = world.dpo(tmp_path / "ahead", tmp_path / "sft", max_steps=3, precompute_ref_log_probs=True, **given)
    assert ahead["log"][0]["loss"] == pytest.approx(math.log(2), abs=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_a_killed_and_watched_training_ends_as_an_undisturbed_one(world, trained, tmp_path, stage):
    """SIGKILL between two checks; the best weights so far outlive it."""
    data = (
        {"expansions": world.expansions} if stage == "sft" else {"preferences": world.preferences, "adapter": trained}
    )
    settings = {**data, "save_steps": 2, "num_train_epochs": 12, "learning_rate": 0.01, **world.validation(3)}
    given = [f"train/{stage}.py", *arguments(stage, world.base, tmp_path / "killed", dict(settings))]
    process = subprocess.Popen(
        [sys.executable, *given], cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    work = tmp_path / "killed.work"
    deadline = time.time() + 240
    while not list(work.glob("checkpoint-*/trainer_state.json")) and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists() and list(work.glob("checkpoint-*"))
    done = command(*given)
    assert done.returncode == 0 and "going on from" in done.stderr, done.stderr
    given[given.index(str(tmp_path / "killed"))] = str(tmp_path / "whole")
    assert command(*given).returncode == 0
    killed, whole = record(tmp_path / "killed"), record(tmp_path / "whole")
    assert killed["log"] == whole["log"] and killed["validation"] == whole["validation"]
    assert file_hash(tmp_path / "killed" / WEIGHTS) == file_hash(tmp_path / "whole" / WEIGHTS)


@pytest.mark.slow
def test_trackio_logs_into_a_local_folder_without_a_network(world, tmp_path):
    """Loss and validation stand in its database; no address of a Hub is to be had."""
    import sqlite3

    settings = {"expansions": world.expansions, "report_to": "trackio", "max_steps": 3, **world.validation(3)}
    given = ["train/sft.py", *arguments("sft", world.base, tmp_path / "logged", settings)]
    dark = {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = command(*given, **dark)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "trackio/query-expansion-kit.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics").fetchall()
    assert {name for name, _, _ in rows} == {"logged"}
    logged = " ".join(str(metrics) for _, _, metrics in rows)
    assert "train/loss" in logged and "validation_ndcg_at_10" in logged


@pytest.fixture(scope="module")
def requests():
    prompt = load_prompt("api-docs-zero-shot")
    return [Request(query, tuple(prompt.messages(query)), 1) for query in QUERIES]


@pytest.fixture(scope="module")
def expander(embedded_model):
    return LocalExpander(embedded_model, dtype="float32", block=4)


def test_sharing_the_prompts_cache_changes_no_answer(expander, requests):
    """Greedy answers by the kit's shared prefill are those of a plain `generate`."""
    import torch

    answers = {key: expansions[0] for key, expansions in expander.expand(requests, greedy(10))}
    tokenizer = expander.tokenizer
    for request in requests:
        text = tokenizer.apply_chat_template(list(request.messages), tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            output = expander.engine.model.generate(**inputs, do_sample=False, max_new_tokens=10)
        written = output[0, inputs["input_ids"].shape[1] :]
        assert answers[request.key].text == " ".join(tokenizer.decode(written, skip_special_tokens=True).split())
        assert answers[request.key].prompt_tokens == inputs["input_ids"].shape[1]
        assert answers[request.key].completion_tokens == len(written)


def test_a_block_answers_alike_whatever_was_done_before(expander, requests):
    sampling = Sampling(temperature=0.9, top_p=1.0, top_k=50, max_new_tokens=8, seed=3)
    doubled = [Request(request.key, request.messages, 2) for request in requests]
    whole = dict(expander.expand(doubled, sampling))
    assert set(whole) == set(QUERIES) and all(len(answers) == 2 for answers in whole.values())
    rest = dict(expander.expand(doubled, sampling, done=QUERIES[:3]))
    assert rest == {QUERIES[3]: whole[QUERIES[3]]}
    other = dict(expander.expand(doubled, Sampling(0.9, 1.0, 50, 8, seed=4)))
    assert other != whole


def test_an_adapter_of_another_base_is_refused(demo, tmp_path, embedded_model):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(demo.sft, other)
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "Qwen/Qwen3-0.6B"}))
    with pytest.raises(KitError, match="belongs to 'Qwen/Qwen3-0.6B'"):
        LocalExpander(embedded_model, adapter=str(other))
    truncated = tmp_path / "truncated"
    shutil.copytree(demo.sft, truncated)
    weights = truncated / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(KitError, match=r"truncated/adapter_model\.safetensors: its weights differ"):
        LocalExpander(embedded_model, adapter=str(truncated))
    (truncated / "training.json").unlink()  # Nobody vouches for it.
    with pytest.raises(KitError, match="cannot be loaded"):
        LocalExpander(embedded_model, adapter=str(truncated), engine="transformers").load()


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_checkpoint(demo, tmp_path, embedded_model):
    """On a 4-bit base, killed after its first checkpoint: it ends in the very bytes of an undisturbed run."""
    arguments = [*stages(tmp_path, embedded_model)["sft"], "--expansions", demo.expansions, "--save_steps", "1"]
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, stderr=subprocess.DEVNULL)
    work = tmp_path / "models/sft.work"
    deadline = time.time() + 240
    while not list(work.glob("checkpoint-1/trainer_state.json")) and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "models/sft").exists() and list(work.glob("checkpoint-*"))
    done = command(*arguments)
    assert done.returncode == 0 and "going on from" in done.stderr, done.stderr
    assert not work.exists()
    killed = tmp_path / "models/sft"
    assert command(*arguments, "--output_dir", tmp_path / "whole").returncode == 0
    assert record(killed)["log"] == record(tmp_path / "whole")["log"]
    assert file_hash(killed / WEIGHTS) == file_hash(tmp_path / "whole" / WEIGHTS)


@pytest.mark.slow
def test_two_processes_evaluate_as_one(demo, tmp_path, embedded_model):
    """World size 2 by gloo: queries are dealt out in whole blocks, so every row is the same."""
    import pyarrow.parquet as parquet

    arguments = [*stages(tmp_path, embedded_model)["evaluate"], "--block", "3", "--adapters", demo.sft]
    one = [*arguments, "--output_dir", tmp_path / "one"]
    two = [*arguments, "--output_dir", tmp_path / "two"]
    assert launch(*one).returncode == 0
    done = launch(*two, config="cpu_two_processes.yaml")
    assert done.returncode == 0, done.stderr
    logs = tmp_path / "two/evaluation.work"
    assert sorted(path.name for path in logs.iterdir()) == ["process-0-of-2", "process-1-of-2"]
    for system_log in logs.glob("*/*.jsonl"):
        assert len(system_log.read_text().splitlines()) == 3
    rows = [parquet.read_table(tmp_path / name / "per_query.parquet").to_pylist() for name in ("one", "two")]
    assert rows[0] == rows[1]

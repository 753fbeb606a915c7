"""Training that is killed, and students that are used: adapters, bases, blocks."""

import json
import signal
import subprocess
import sys
import time

import pytest

from builders.errors import KitError
from builders.expanders.expander import Request, Sampling, greedy
from builders.expanders.local import LocalExpander
from builders.prompts.prompt import load_prompt
from tests.commands import ROOT, command, launch, stages


QUERIES = ["Sort an array.", "Merge two frames.", "Compute the determinant of a matrix by elimination.", "Fit a line."]


@pytest.fixture(scope="module")
def requests():
    prompt = load_prompt("api-docs-zero-shot")
    return [Request(query, tuple(prompt.messages(query)), 1) for query in QUERIES]


@pytest.fixture(scope="module")
def expander(embedded_model):
    return LocalExpander(embedded_model, block=4)


def test_sharing_the_prompts_cache_changes_no_answer(expander, requests):
    """Greedy answers by the kit's shared prefill are those of a plain `generate`."""
    import torch

    answers = {key: expansions[0] for key, expansions in expander.expand(requests, greedy(10))}
    tokenizer = expander.tokenizer
    for request in requests:
        text = tokenizer.apply_chat_template(list(request.messages), tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            output = expander.model.generate(**inputs, do_sample=False, max_new_tokens=10)
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
    with pytest.raises(KitError, match="cannot be loaded"):
        LocalExpander(embedded_model, adapter=str(truncated)).load()


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_checkpoint(demo, tmp_path, embedded_model):
    """Killed after its first checkpoint and started again, it ends as an undisturbed run does."""
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
    resumed = json.loads((tmp_path / "models/sft/training.json").read_text())
    undisturbed = json.loads((demo.sft / "training.json").read_text())
    assert resumed["steps"] == undisturbed["steps"]
    assert resumed["log"][-1]["loss"] == pytest.approx(undisturbed["log"][-1]["loss"], abs=1e-3)
    assert not work.exists()


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

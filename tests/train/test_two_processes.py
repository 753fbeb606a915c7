"""Two processes under `accelerate launch` write the dataset that one writes, and train the adapter that one trains."""

import json

import pytest

from builders.artifacts.files import file_hash
from builders.expanders.expander import Request
from builders.expanders.local import LocalExpander
from tests.support.commands import command, launch
from tests.support.small_training import arguments as training
from tests.support.small_training import make_world
from tests.support.tiny_student import base_model
from tests.support.word_collection import word_collection


QUERIES, SAMPLES = 7, 2
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def arguments(model, temperature):
    return [
        *("-m", "builders", "expansions", "--model", model, "--temperature", str(temperature)),
        *("--num_train", str(QUERIES), "--samples", str(SAMPLES), "--block", "4", "--max_new_tokens", "8"),
        *("--collection", "../words", "--prompts", "api-docs-zero-shot", "api-docs-few-shot"),
        *("--select", "all", "--output_dir", "out"),
    ]


def check(model, temperature, tmp_path):
    """Run one process and two, each in a folder of its own, so that not even the commands differ."""
    word_collection(tmp_path / "words", QUERIES + 4)
    one, two = (tmp_path / name for name in ("one", "two"))
    for folder in (one, two):
        folder.mkdir()
    done = command(*arguments(model, temperature), cwd=one, **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    done = launch(*arguments(model, temperature), config="cpu_two_processes.yaml", cwd=two, **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("grading:") == 1, "every process graded"
    hashes = [
        {
            path.relative_to(folder).as_posix(): file_hash(path)
            for path in sorted((folder / "out").rglob("*"))
            if path.is_file() and path.name != "timing.json"
        }
        for folder in (one, two)
    ]
    assert hashes[0] == hashes[1] and len(hashes[0]) == 4

    work = two / "out.work"
    logs = {path: path.read_bytes() for path in sorted(work.iterdir())}
    keys = [
        {
            json.loads(line)["key"]
            for path, data in logs.items()
            if path.stem.endswith(end)
            for line in data.splitlines()
        }
        for end in ("-0", "-1")
    ]
    assert len(logs) == 4 and all(keys), "the world was not of size 2"
    assert len(keys[0] | keys[1]) == QUERIES
    # Any number of processes goes on from what any other number has written.
    (two / "out/build.json").unlink()
    assert command(*arguments(model, temperature), cwd=two, **ONE_THREAD).returncode == 0
    assert {path: path.read_bytes() for path in sorted(work.iterdir())} == logs
    assert {path.relative_to(two).as_posix(): file_hash(path) for path in (two / "out").rglob("*.parquet")} == {
        name: digest for name, digest in hashes[0].items() if name.endswith(".parquet")
    }


@pytest.mark.slow
def test_two_processes_write_what_one_writes(tmp_path):
    check(base_model(tmp_path / "tiny"), 0, tmp_path)


@pytest.mark.slow
def test_two_processes_sample_what_one_samples(tmp_path, embedded_model):
    check(embedded_model, 0.9, tmp_path)


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path):
    """Two rows a process and two processes, against two rows and two steps of accumulation: SFT, then DPO."""
    from safetensors.numpy import load_file

    world = make_world(tmp_path / "world")
    rows = {"per_device_train_batch_size": 2, "num_train_epochs": 1, "lora_dropout": 0, "save_steps": 3}
    stages = {"sft": {"expansions": world.expansions, "learning_rate": 0.02}}
    stages["dpo"] = {"preferences": world.preferences, "learning_rate": 0.002, "adapter": tmp_path / "one-sft"}
    for stage, data in stages.items():
        given = {**data, **rows, **world.validation(3)}
        if stage == "dpo":
            del given["lora_dropout"]
        names = [tmp_path / f"{number}-{stage}" for number in ("one", "two")]
        one = training(stage, world.base, names[0], given | {"gradient_accumulation_steps": 2})
        done = command(f"train/{stage}.py", *one, **ONE_THREAD)
        assert done.returncode == 0, done.stderr
        two = training(stage, world.base, names[1], given | {"gradient_accumulation_steps": 1})
        done = launch(f"train/{stage}.py", *two, config="cpu_two_processes.yaml", **ONE_THREAD)
        assert done.returncode == 0, done.stderr
        records = [json.loads((folder / "training.json").read_text()) for folder in names]
        assert [record["processes"] for record in records] == [1, 2], "the world was not of size 2"
        assert {record["effective_batch_size"] for record in records} == {4}
        assert {record["steps"] for record in records} == {6}
        for first, second in zip(*(record["log"] for record in records), strict=True):
            assert first["loss"] == pytest.approx(second["loss"], rel=1e-3, abs=1e-5)
            assert first["grad_norm"] == pytest.approx(second["grad_norm"], rel=1e-3, abs=1e-5)
        assert records[0]["validation"] == records[1]["validation"]
        weights = [load_file(folder / "adapter_model.safetensors") for folder in names]
        assert weights[0].keys() == weights[1].keys()
        for name, values in weights[0].items():
            # AdamW turns rounding of tiny gradients into steps of the size of the learning rate.
            assert abs(values - weights[1][name]).mean() < 1e-4, name
        assert max(abs(values).max() for values in weights[0].values()) > 0.05


def test_blocks_hold_neighbours_in_length_and_are_dealt_out_whole(tmp_path):
    expander = LocalExpander(str(base_model(tmp_path / "tiny")), dtype="float32", block=6)
    lengths = [5, 90, 7, 91, 6, 92, 8, 3]
    requests = [Request(str(n), ({"role": "user", "content": "x" * n},), 2) for n in lengths]
    blocks = [[int(request.key) for request in block] for block in expander.blocks(requests)]
    assert blocks == [[92, 91, 90], [8, 7, 6], [5, 3]]
    shares = [expander.share(requests, process, 2) for process in (0, 1)]
    assert shares == [{"92", "91", "90", "5", "3"}, {"8", "7", "6"}]
    mixed = expander.blocks([*requests, Request("one", requests[0].messages, 1)])
    assert [[request.samples for request in block] for block in mixed] == [[1], [2] * 3, [2] * 3, [2] * 2]

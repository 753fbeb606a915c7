"""Two processes under `accelerate launch` write the dataset that one writes, byte for byte."""

import json

import pytest

from builders.expanders.expander import Request
from builders.expanders.local import LocalExpander
from builders.publishing.folder import file_hash
from tests.commands import command, launch
from tests.tiny_student import base_model
from tests.word_collection import word_collection


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


def test_blocks_hold_neighbours_in_length_and_are_dealt_out_whole(tmp_path):
    expander = LocalExpander(str(base_model(tmp_path / "tiny")), block=6)
    lengths = [5, 90, 7, 91, 6, 92, 8, 3]
    requests = [Request(str(n), ({"role": "user", "content": "x" * n},), 2) for n in lengths]
    blocks = [[int(request.key) for request in block] for block in expander.blocks(requests)]
    assert blocks == [[92, 91, 90], [8, 7, 6], [5, 3]]
    shares = [expander.share(requests, process, 2) for process in (0, 1)]
    assert shares == [{"92", "91", "90", "5", "3"}, {"8", "7", "6"}]
    mixed = expander.blocks([*requests, Request("one", requests[0].messages, 1)])
    assert [[request.samples for request in block] for block in mixed] == [[1], [2] * 3, [2] * 3, [2] * 2]

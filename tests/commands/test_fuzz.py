"""Bad inputs drawn by lot: each ends in one line and exit code 2, or well; nothing else is touched, nothing hangs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.artifacts.files import file_hash
from tests.support.bad_inputs import BadInput, bad_inputs
from tests.support.commands import command_here
from tests.support.every_command import CALLS, MADE, OUT, make_inputs
from tests.support.forked import in_a_process


SECONDS = 30
# These ask a model that two cores are slow with.
LONGER = {"train/rounds.py": 300, "train/evaluate.py": 120, "train/matrix.py": 120}
# The Hub cannot be asked here, and a student that was never trained writes nothing to learn from.
REFUSED = {
    **dict.fromkeys(("publish", "release"), "HF_HUB_OFFLINE is set"),
    "train/rounds.py": "config 'distillation' has no rows",
}
UNTRAINED = ("expansions", "preferences", "triplets", "references", "regrade", "grade", "grade runs", "publish")
# What stands for results, whatever else lies in their folder; the work of an interrupted command; a release's report.
BESIDE = (
    "results.json",
    "results.md",
    "matrix.json",
    "matrix.md",
    "matrix.png",
    "per_query.parquet",
    "ndcg_delta.png",
)


def _call(name: str, *more: str, out: str = OUT) -> tuple[str, ...]:
    """The words of a call, and more; with another output."""
    return (*(out if word.removesuffix(".json") == OUT else word for word in CALLS[name]), *more)


def _recipe(name: str, content: bytes, spoil: str = "file") -> BadInput:
    return BadInput(name, f"recipe {content!r}", _call(name, "--config", "recipe.yaml"), spoil, "recipe.yaml", content)


def _spoilt(name: str, path: str, spoil: str, content: bytes = b"") -> BadInput:
    return BadInput(name, f"{path}: {spoil} {content[:20]!r}", _call(name), spoil, path, content)


def _edited(name: str, path: str, **changes: object) -> BadInput:
    """A JSON file with other values at its top; `None` takes one out."""
    return BadInput(name, f"{path}: {changes}", _call(name), "edited", path, json.dumps(changes).encode())


SHARD = "expansions/data/raw/train-00000-of-00001.parquet"
# Tracebacks, waits without end and silence that earlier draws have found; each has to be refused.
FOUND = [
    BadInput("preferences", "a long name", _call("preferences", out="a" * 300)),
    BadInput("grade", "a long name", _call("grade", out="a" * 300 + ".json")),
    BadInput("triplets", "a link to itself", _call("triplets", out="loop")),
    BadInput("triplets", "in a link to itself", _call("triplets", out="loop/x")),
    BadInput("triplets", "nothing can be made there", _call("triplets", out="/proc/x")),
    BadInput("regrade", "no UTF-8", _call("regrade", "--repo_id", "\udcff")),
    _recipe("preferences", b"", "pipe"),
    _recipe("preferences", b"help: true"),
    _recipe("preferences", b'output_dir: "a\\0b"'),
    _recipe("preferences", b'{"output_dir": "\\ud800"}'),
    _spoilt("preferences", SHARD, "resealed", b"[" * 100),
    _spoilt("publish", "preferences/README.md", "file", b"\xff\xfe"),
    _edited("triplets", "expansions/build.json", settings="x"),
    _edited("preferences", "expansions/build.json", prompts={"": None}),
    _edited("regrade", "expansions/build.json", rows={"raw": 7}),
]
FOUND_TRAINED = [
    BadInput("train/dpo.py", "steps without end", _call("train/dpo.py", "--save_steps", "1e400")),
    BadInput("train/dpo.py", "a mode of torch's", _call("train/dpo.py", "--torch_compile_mode", "package:os")),
    BadInput("train/retriever.py", "epsilon", _call("train/retriever.py", "--adam_epsilon", "-1")),
    _spoilt("expand", "queries.txt", "pipe"),
    _spoilt("expand", "queries.txt", "file", b"[" * 100_000),
    _spoilt("space", "results/results.json", "pipe"),
    _spoilt("export", "sft/curves.png", "loop"),
    _spoilt("train/retriever.py", "encoder/model.safetensors", "folder"),
    _spoilt("train/retriever.py", "encoder/README.md", "pipe"),
    _spoilt("train/filter.py", "encoder-parts/tokenizer.json", "file", b'"text"'),
    _spoilt("train/sft.py", "expansions/data/distillation/train-00000-of-00001.parquet", "resealed", b"{}"),
    _edited("train/sft.py", "base/tokenizer_config.json", model_max_length="x"),
    _edited("train/sft.py", "expansions/build.json", prompts={"": None}),
    _edited("model_cards", "results/results.json", missing=[None]),
    _edited("train/evaluate.py", "base/generation_config.json", output_hidden_states=1e308),
]
# These are right again: what a card says is not what is read, and a broken one is written anew.
FOUND_WELL = [
    _spoilt("train/sft.py", "expansions/README.md", "file", b"PK\x03\x04"),
    _spoilt("model_cards", "sft/README.md", "gzipped"),
]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("untrained") / "inputs", trained=False)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("everything") / "inputs")


@pytest.fixture
def case_folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "case"
    shutil.rmtree(tmp_path / "case", ignore_errors=True)


def prepared(case: BadInput, number: int, inputs: Path, folder: Path) -> dict[str, str]:
    """The case's own inputs, every other time with an earlier output; what lies there."""
    shutil.copytree(inputs, folder)
    made = {call: name for name, call in MADE.items() if name}
    if number % 2 and (inputs / made.get(case.name, "-")).is_dir() and OUT in case.words:
        shutil.copytree(inputs / made[case.name], folder / OUT)
    case.prepare(folder)
    return held(folder)


def held(folder: Path) -> dict[str, str]:
    """Path → the hash of a file, or what kind of thing it is."""
    found = {}
    for path in sorted(Path(root, name) for root, folders, names in os.walk(folder) for name in (*folders, *names)):
        mode = path.lstat().st_mode
        found[path.relative_to(folder).as_posix()] = file_hash(path) if stat.S_ISREG(mode) else str(stat.S_IFMT(mode))
    return found


def wrong(case: BadInput, code: int, told: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What is not as it has to be."""
    found = []
    if code not in (0, 2):
        found.append(f"exit code {code}")
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    # Of a stage that was refused, rounds say which one it was.
    lines = lines[1:] if case.name == "train/rounds.py" and lines[1:] else lines
    if "Traceback" in told or (code == 2 and len(lines) != 1):
        found.append("no single line")
    if case.refused and code == 0:
        found.append("accepted")
    ours = {"model_cards": "sft"}.get(case.name, OUT)
    own = (ours, f"{OUT}.work", f"{OUT}.json", f"{OUT}.per_query.parquet") if code == 0 else (f"{OUT}.work",)
    # Of a refused release the report tells; of an evaluation its answers are kept.
    if case.name in ("release", "train/evaluate.py", "train/matrix.py", "train/rounds.py"):
        place = case.words[case.words.index("--output_dir") + 1] if case.about.startswith("output") else OUT
        own = own if place in before and place != OUT else (*own, place)
    elsewhere = code == 0 and case.about.startswith(("output", "recipe: out"))
    for path in sorted({*before, *after}):
        top, last = path.split("/")[0], path.split("/")[-1]
        changed = path in before and before[path] != after.get(path)
        added = path not in before and not elsewhere and ".work" not in path and last not in BESIDE
        if (changed or added) and top not in own:
            found.append(f"{'changed' if changed else 'left behind'}: {path}")
    return [f"{case.name}: {case.about}: {'; '.join(found[:4])}: {told[-300:]!r}"] if found else []


class Late(BaseException):
    """Nothing catches it."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise Late after so long, also from a read that waits."""

    def late(*_: object) -> None:
        raise Late(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("case", FOUND, ids=lambda case: f"{case.name}: {case.about[:40]!a}")
def test_what_was_found_in_commands_that_need_no_training(untrained: Path, case_folder: Path, case: BadInput) -> None:
    before = prepared(case, 0, untrained, case_folder)
    with limited(SECONDS):
        done = command_here(*case.words, cwd=case_folder)
    assert done.returncode == 2, done.stderr
    assert not wrong(case, done.returncode, done.stderr, before, held(case_folder))


@pytest.mark.slow
@pytest.mark.parametrize("case", [*FOUND_TRAINED, *FOUND_WELL], ids=lambda case: f"{case.name}: {case.about[:40]!a}")
def test_what_was_found(everything: Path, case_folder: Path, case: BadInput) -> None:
    before = prepared(case, 0, everything, case_folder)
    code, told, _ = in_a_process(case.words, case_folder, LONGER.get(case.name, SECONDS))
    assert code == (0 if case in FOUND_WELL else 2), told
    assert not wrong(case, code, told, before, held(case_folder))


@pytest.mark.parametrize("number", range(40))
def test_bad_inputs_of_commands_that_need_no_training(untrained: Path, case_folder: Path, number: int) -> None:
    case = bad_inputs(0, 40, untrained, UNTRAINED)[number]
    before = prepared(case, number, untrained, case_folder)
    with limited(SECONDS):
        done = command_here(*case.words, cwd=case_folder)
    assert not wrong(case, done.returncode, done.stderr, before, held(case_folder))


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_every_call_ends_well_as_it_stands(everything: Path, case_folder: Path, call: str) -> None:
    shutil.copytree(everything, case_folder)
    code, told, _ = in_a_process(tuple(CALLS[call]), case_folder, 600)
    if call in REFUSED:
        assert code == 2 and REFUSED[call] in told, told
    else:
        assert code == 0, told


@pytest.mark.slow
@pytest.mark.parametrize("number", range(300))
def test_300_bad_inputs_of_all_commands(everything: Path, case_folder: Path, number: int) -> None:
    case = bad_inputs(1, 300, everything)[number]
    before = prepared(case, number, everything, case_folder)
    code, told, _ = in_a_process(case.words, case_folder, LONGER.get(case.name, SECONDS))
    assert not wrong(case, code, told, before, held(case_folder))

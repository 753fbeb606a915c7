"""Killed again and again, then run to its end: every command leaves the bytes of an undisturbed run, and no more."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from builders.artifacts.files import file_hash
from tests.support.every_command import CALLS, OUT, make_inputs
from tests.support.forked import in_a_process


pytestmark = pytest.mark.slow
KILLS = 3
# Every step is kept, so that there is something to go on from.
STEPS = ["--max_steps", "4", "--save_steps", "1"]
IN_4_BITS = [*STEPS, "--load_in_4bit", "true"]
MORE = {
    **{"train/sft.py": STEPS, "train/dpo.py": STEPS, "train/retriever.py": STEPS, "train/filter.py": STEPS[:2]},
    **{"train/sft.py, 4 bits": IN_4_BITS, "train/dpo.py, 4 bits": IN_4_BITS},
}
# Of rounds the stages are killed; a publish is in tests/publishing.
LEFT_OUT = ("expand", "publish", "train/rounds.py")
KILLED = [name for name in (*CALLS, "train/sft.py, 4 bits", "train/dpo.py, 4 bits") if name not in LEFT_OUT]
# What differs from run to run: seconds, and where they are shown.
TIMED = (
    *("timing.json", "cost.json", "results.json", "results.md", "matrix.json", "matrix.md", "matrix.png"),
    "ndcg_delta.png",
)
# These put results into a folder that is there.
BESIDE = ("train/evaluate.py", "train/matrix.py")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("everything") / "inputs")


def call(name: str) -> tuple[str, ...]:
    """The words of a call; options given twice count the second time."""
    return (*CALLS[name.split(",")[0]], *MORE.get(name, []))


def made(folder: Path) -> dict[str, str]:
    """Path → hash of all files that are the same whenever they are made."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(TIMED))
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in sorted(files)}


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_command_ends_as_an_undisturbed_one(
    inputs: Path, tmp_path: Path, record_property: Any, name: str
) -> None:
    chance, words = random.Random(name), call(name)
    for run in ("calm", "killed"):
        shutil.copytree(inputs, tmp_path / run)
        if name == "model_cards":
            (tmp_path / run / "sft/README.md").unlink()
    code, told, changes = in_a_process(words, tmp_path / "calm", 600)
    assert code == (2 if "HF_HUB_OFFLINE" in told else 0), told
    kills = 0
    for _ in range(KILLS):
        code, told, _ = in_a_process(words, tmp_path / "killed", 600, die_at=chance.randrange(changes))
        assert code in (-signal.SIGKILL, 0, 2), told
        kills += code == -signal.SIGKILL
        there = made(tmp_path / "killed" / OUT)
        assert name in BESIDE or not there or set(there) == set(made(tmp_path / "calm" / OUT))
    assert kills, "it was never killed"
    record_property("trials", {"tried": kills})
    code, told, _ = in_a_process(words, tmp_path / "killed", 600)
    assert code == (2 if "HF_HUB_OFFLINE" in told else 0), told
    assert made(tmp_path / "killed") == made(tmp_path / "calm")
    left = {path.name for path in (tmp_path / "killed").iterdir()} - {
        path.name for path in (tmp_path / "calm").iterdir()
    }
    assert not left

"""The benchmark of training: its steps are the trainings' own, and the systems see the same rows in the same order."""

import pytest

from benchmarks.support.steps import Stepped
from tests.support.commands import ROOT
from tests.support.small_training import arguments, make_world


@pytest.mark.slow
def test_a_stepped_training_takes_the_steps_of_the_training(tmp_path):
    world = make_world(tmp_path / "world")
    given = {"expansions": world.expansions, "max_steps": 3, "lora_dropout": 0}
    alone = world.sft(tmp_path / "alone", **given)
    words = ["train/sft.py", *arguments("sft", world.base, tmp_path / "stepped", {**given, "learning_rate": 0.02})]
    with Stepped(ROOT, words, tmp_path / "log") as running:
        running.ready()
        steps = [running.step() for _ in range(2)]
    assert [step.loss for step in steps] == pytest.approx([entry["loss"] for entry in alone["log"][:2]], abs=1e-4)
    assert all(step.tokens > 0 and step.seconds > 0 and step.peak_mib > 100 for step in steps)
    assert not (tmp_path / "stepped").exists()


@pytest.mark.slow
def test_an_ended_training_is_told_with_what_it_printed(tmp_path):
    words = ["train/sft.py", "--config", "nowhere.yaml"]
    with Stepped(ROOT, words, tmp_path / "log") as running, pytest.raises(RuntimeError, match="nowhere.yaml"):
        running.ready()

"""Adds a training method from a file outside the packages, by one record and one line, and trains with it."""

import json

import pytest

from builders.expanders.expander import Request, greedy
from builders.expanders.local import LocalExpander
from tests.support.commands import refused, script_here
from tests.support.small_training import PROMPT, make_world


KTO = '''
"""Learn from single answers, desirable or not: Kahneman-Tversky optimisation (Ethayarajh et al. 2024)."""

from datasets import Dataset

from builders.cli import run
from train.__main__ import main
from train.students.methods import load
from train.students.methods.direct_preference import DPOData
from train.students.methods.method import Method


def labelled(pairs):
    """Each pair as two answers of their own."""
    rows = [
        {"prompt": pair["prompt"], "completion": pair[name], "label": name == "chosen"}
        for pair in pairs
        for name in ("chosen", "rejected")
    ]
    return Dataset.from_list(rows)


KTO = Method(
    name="kto",
    summary="preferences, one answer at a time → an adapter",
    usage=__doc__,
    data=DPOData,
    trainer="trl:KTOTrainer",
    trainer_config="trl:KTOConfig",
    dataset="preferences",
    config="preference",
    answers=("chosen", "rejected"),
    rows=labelled,
    references=("frozen copy of the adapter", "the base model"),
)
load.METHODS += (KTO,)

if __name__ == "__main__":
    run(main)
'''
METHODS = "train.students.methods.load.METHODS"


def test_kto_is_one_record_and_trains_from_the_command_line(tmp_path):
    world, script, folder = make_world(tmp_path / "world"), tmp_path / "kto.py", tmp_path / "kto"
    script.write_text(KTO)
    recipe = tmp_path / "kto.yaml"
    recipe.write_text(
        "use_peft: true\nlora_r: 4\nlora_target_modules: all-linear\ndtype: float32\nlearning_rate: 0.002\n"
    )
    given = [script, "kto", "--config", recipe, "--preferences", world.preferences, "--output_dir", folder]
    given += ["--model_name_or_path", world.base, "--max_steps", "2", "--per_device_train_batch_size", "4"]
    given += ["--dtype", "float32", "--use_cpu", "--bf16", "false", "--report_to", "none", "--logging_steps", "1"]
    done = script_here(METHODS, *given)
    assert done.returncode == 0, done.stderr

    training = json.loads((folder / "training.json").read_text())
    assert (training["kind"], training["stage"], training["steps"]) == ("adapter", "kto", 2)
    assert training["settings"]["stage"] == "kto" and training["settings"]["model"]["lora_r"] == 4
    assert training["command"].startswith("accelerate launch -m train kto --config ")
    assert training["rows"] == {"preferences": 24} and training["reference"] == "the base model"
    # A student that is still its reference: 1 − sigmoid(0), for desirable and undesirable answers alike.
    assert training["log"][0]["loss"] == pytest.approx(0.5, abs=1e-6)
    assert training["log"][1]["loss"] < 0.5

    expander = LocalExpander(str(world.base), adapter=str(folder), dtype="float32")
    asked = Request("one", ({"role": "user", "content": PROMPT},), 1)
    assert len(dict(expander.expand([asked], greedy(2)))["one"]) == 1

    assert "up to date" in script_here(METHODS, *given).stderr
    told = script_here(METHODS, script, "--help").stdout
    assert "  kto           preferences, one answer at a time → an adapter\n" in told
    assert "give one of sft, dpo, kto, retriever" in refused(script_here(METHODS, script, "orpo"))

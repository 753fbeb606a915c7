"""Training on what cannot be trained on: one clear line, and nothing overwritten."""

import json
import shutil
from pathlib import Path

import pytest

from builders.artifacts.dataset_folder import read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.render import render_dataset
from builders.errors import KitError
from builders.expanders.checkpoint import resolve_checkpoint
from tests.support.commands import command, launch, refused
from tests.support.rendered_folders import build
from tests.support.small_training import RECIPES, arguments, interrupted, make_world
from tests.support.tiny_student import base_model
from train.run_settings import last_checkpoint
from train.students.conversation import render
from train.students.student import load_tokenizer


WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world):
    folder = world.folder / "trained"
    world.sft(folder, max_steps=2)
    return folder


@pytest.fixture(scope="module")
def checkpoints(world):
    """Checkpoints 2 and 4 of a training that was cut short."""
    settings = {"save_steps": 2, "save_total_limit": 2, **world.validation(3)}
    return interrupted(world.sft, world.folder / "interrupted", at_step=5, **settings)


def hashes(folder):
    return {path.name: file_hash(path) for path in folder.iterdir()}


def test_a_loss_that_is_no_number_ends_the_training_at_once(world, trained, tmp_path):
    """At the first such step, before it reaches the weights; the adapter that was there stays."""
    folder = tmp_path / "trained"
    shutil.copytree(trained, folder)
    with pytest.raises(KitError, match=r"^sft: the loss is not a number at step 2; lower the learning rate.*Nothing"):
        world.sft(folder, learning_rate=1e38, warmup_steps=0, max_grad_norm=0, logging_steps=500)
    assert hashes(folder) == hashes(trained)


def test_every_kind_of_truncated_checkpoint_is_left_out(checkpoints, tmp_path, capsys):
    """The newest whole one is taken; with none left the training starts anew."""
    parts = (WEIGHTS, "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
    for number, part in enumerate(parts):
        work = tmp_path / str(number)
        shutil.copytree(checkpoints, work)
        assert last_checkpoint(work) == str(work / "checkpoint-4")
        path = work / "checkpoint-4" / part
        path.write_bytes(path.read_bytes()[:-40])
        capsys.readouterr()
        assert last_checkpoint(work) == str(work / "checkpoint-2"), part
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1 and "checkpoint-4: cut off or broken, left out" in told[0]
    (work / "checkpoint-2" / WEIGHTS).write_bytes(b"")
    assert last_checkpoint(work) is None


def unvouched(adapter: Path, folder: Path) -> Path:
    """A copy, as earlier versions made it: its record vouches for no file."""
    shutil.copytree(adapter, folder)
    made = json.loads((folder / "training.json").read_text())
    del made["files"]
    (folder / "training.json").write_text(json.dumps(made))
    return folder


def test_a_truncated_adapter_is_not_gone_on_with(world, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "altered")
    (tmp_path / "altered" / WEIGHTS).write_bytes((trained / WEIGHTS).read_bytes()[:-100])
    with pytest.raises(KitError, match=rf"altered/{WEIGHTS}: its weights differ .* put back what was trained"):
        world.dpo(tmp_path / "dpo", tmp_path / "altered")
    cut = unvouched(trained, tmp_path / "cut")
    (cut / WEIGHTS).write_bytes((cut / WEIGHTS).read_bytes()[:-100])
    with pytest.raises(KitError, match=r"adapter .*cut' cannot be loaded, train it again: .") as error:
        world.dpo(tmp_path / "dpo", cut)
    assert "\n" not in str(error.value) and not (tmp_path / "dpo").exists()
    (cut / WEIGHTS).unlink()
    with pytest.raises(KitError, match="adapter_model.safetensors is missing"):
        world.dpo(tmp_path / "dpo", cut)


def test_an_adapter_of_another_base_is_not_gone_on_with(world, trained, tmp_path):
    other = unvouched(trained, tmp_path / "other")
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "Qwen/Qwen3-0.6B"}))
    with pytest.raises(KitError, match="belongs to 'Qwen/Qwen3-0.6B', not to"):
        world.dpo(tmp_path / "dpo", other)
    # Of the same name, but of another shape.
    base = base_model(tmp_path / "narrow", hidden_size=32)
    with pytest.raises(KitError, match="cannot be loaded, train it again: .*size mismatch"):
        world.dpo(tmp_path / "dpo", trained, model_name_or_path=base)
    assert not (tmp_path / "dpo").exists()


def test_a_pair_whose_answers_are_one_is_named(world, trained, tmp_path):
    from datasets import load_dataset

    rows = load_dataset(str(world.preferences), "preference", split="train").to_list()
    rows[3]["rejected"] = [{"role": "assistant", "content": f" {rows[3]['chosen'][0]['content']}\n"}]
    render_dataset(
        tmp_path / "same", {"preference": {"train": rows}}, build("preferences", 24), {"total_seconds": 1.0}
    )
    with pytest.raises(
        KitError, match=r"same: row 3 of split 'train' \(query 'q3'\): chosen and rejected are the same"
    ):
        world.dpo(tmp_path / "dpo", trained, preferences=tmp_path / "same")
    assert not (tmp_path / "dpo").exists()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"max_prompt_length": 128}, "max_prompt_length"),
        ({"ref_adapter_name": "ref"}, "ref_adapter_name"),
        ({"warmup_ratio": 0.1}, "warmup_ratio"),
    ],
)
def test_a_recipe_key_that_trl_no_longer_knows_is_named(world, trained, tmp_path, settings, line):
    import yaml

    recipe = tmp_path / "dpo-old.yaml"
    recipe.write_text((RECIPES / "smollm2-135m/dpo-qlora.yaml").read_text() + yaml.safe_dump(settings))
    with pytest.raises(KitError, match=line) as error:
        world.dpo(tmp_path / "dpo", trained, config=recipe)
    assert str(recipe) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"validation_queries": 0}, "validation_queries: 0"),
        ({"validation_queries": 500}, "has 6 judged validation queries, not 500"),
        ({"validation_prompt": "nothing-like-it"}, "nothing-like-it"),
        ({"validation_collection": "nowhere"}, "nowhere"),
        ({"validation_retriever": "magic"}, "magic"),
    ],
    ids=lambda value: "",
)
def test_a_validation_that_cannot_be_had_costs_no_training(world, trained, tmp_path, settings, line):
    folder = tmp_path / "trained"
    shutil.copytree(trained, folder)
    with pytest.raises(KitError, match=line):
        world.sft(folder, **world.validation(3, **settings))
    assert hashes(folder) == hashes(trained)


def test_split_weights_take_neither_nf4_nor_checks(world, monkeypatch):
    from trl import ModelConfig

    from builders.expanders.checkpoint import resolve_checkpoint
    from train.students.methods.supervised import SFT, SFTData
    from train.students.student import load_base
    from train.students.training import StudentTraining

    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(KitError, match="cannot split NF4 weights"):
        load_base(resolve_checkpoint(str(world.base)), ModelConfig(load_in_4bit=True))

    data = SFTData(expansions="nowhere", validation_steps=2)
    with pytest.raises(KitError, match="validation_steps: not with FSDP or ZeRO-3"):
        StudentTraining(SFT, data, None, None, None, None, None).prepare(is_main=True)


def test_rows_longer_than_max_length_are_told(world, tmp_path, capsys):
    """Prompts as long as the longest have no room for a word; the tokenizer counts them here."""
    rows, words = (
        read_rows(world.expansions, "distillation", "train"),
        load_tokenizer(resolve_checkpoint(str(world.base))),
    )
    lengths = [len(words(render(row, words, ("completion",))["prompt"])["input_ids"]) for row in rows]
    longest = max(lengths)
    record = world.sft(tmp_path / "told", max_steps=1, max_length=longest)
    assert record["too_long"]["dropped"] == lengths.count(longest) > 0
    assert record["rows"]["expansions"] == len(rows) - lengths.count(longest) > 0
    told = f"of {len(rows)} rows, {lengths.count(longest)} are left out and "
    assert told in capsys.readouterr().err
    with pytest.raises(KitError, match="every prompt has max_length, 9 tokens, or more.*raise max_length"):
        world.sft(tmp_path / "none", max_steps=1, max_length=9)
    assert not (tmp_path / "none").exists()


def test_target_modules_that_the_model_has_not_are_one_line(world, tmp_path):
    with pytest.raises(KitError, match="^sft: .*nothing_of_the_kind") as error:
        world.sft(tmp_path / "model", max_steps=1, lora_target_modules=["nothing_of_the_kind"])
    assert "\n" not in str(error.value) and not (tmp_path / "model").exists()


@pytest.mark.slow
def test_commands_say_it_in_one_line_and_exit_with_2(world, trained, tmp_path):
    """As a user starts them, alone and in two processes."""
    wild = {"expansions": world.expansions, "learning_rate": 1e38, "warmup_steps": 0, "max_grad_norm": 0}
    given = ["train/sft.py", *arguments("sft", world.base, tmp_path / "wild", wild)]
    assert "the loss is not a number at step 2" in refused(command(*given))
    done = launch(*given, config="cpu_two_processes.yaml")
    assert done.returncode != 0 and "the loss is not a number at step 2" in done.stderr
    assert not (tmp_path / "wild").exists()

"""The recipes and launcher configurations: read by the libraries they are for, and honest about what was run."""

import importlib

import pytest
import yaml

from builders.cli import parse
from tests.support.commands import ROOT


RECIPES = sorted((ROOT / "train/recipes").rglob("*.yaml"))
TRAINING = [path for path in RECIPES if path.stem.split("-")[0] in ("sft", "dpo")]
CONFIGS = sorted((ROOT / "train/accelerate").glob("*.yaml"))
# Run by the tests or the demo.
RUN = {"cpu", "cpu_two_processes"}


def name(path):
    return f"{path.parent.name}/{path.stem}"


def read(path):
    """The dataclasses of a training recipe; on a machine without a GPU, too."""
    import trl

    kind = path.stem.split("-")[0]
    own = getattr(importlib.import_module(f"train.{kind}"), f"{kind.upper()}Data")
    config = {"sft": trl.SFTConfig, "dpo": trl.DPOConfig}[kind]
    return parse((own, config, trl.ModelConfig), ["--config", str(path), "--use_cpu", "true"], "", "")


def test_the_students_of_the_kit_have_recipes():
    stages = {(path.parent.name, path.stem.split("-")[0]) for path in TRAINING}
    assert stages >= {(s, k) for s in ("smollm2-135m", "qwen3-0.6b", "qwen3-4b") for k in ("sft", "dpo")}


@pytest.mark.parametrize("path", TRAINING, ids=name)
def test_a_training_recipe_is_read_and_complete(path):
    data, _, model = read(path)
    text = path.read_text()
    head = text.split("\n\n")[0]
    assert "Memory:" in head and "Time:" in head
    assert "kit default" in head or "kit default" in text, "where do its values come from?"
    given = yaml.safe_load(text)
    needed = {"output_dir", "model_name_or_path", "dtype", "load_in_4bit", "learning_rate", "num_train_epochs", "seed"}
    needed |= {"per_device_train_batch_size", "max_length", "activation_checkpointing", "lr_scheduler_type"}
    needed |= {"beta", "loss_type"} if path.stem.startswith("dpo") else set()
    needed |= {"adapter"} if "adapter" in given else {"use_peft", "lora_r", "lora_alpha", "lora_dropout"}
    assert needed <= {*given, *(["num_train_epochs"] if "max_steps" in given else [])}
    if model.load_in_4bit:
        assert model.use_bnb_nested_quant and model.bnb_4bit_quant_type == "nf4", "QLoRA quantizes twice"
    if "adapter" not in given:
        assert model.use_peft and model.lora_target_modules in ("all-linear", ["all-linear"])
    assert data.train_split == "train"


@pytest.mark.parametrize("path", [path for path in TRAINING if path.parent.name.startswith("qwen3")], ids=name)
def test_every_value_of_a_qwen3_recipe_names_its_source(path):
    training = path.read_text().split("# Training\n")[1].split("\n\n")[0].splitlines()
    own = {"per_device_train_batch_size", "activation_checkpointing", "bf16", "seed", "precompute_ref_log_probs"}
    for line in training:
        key = line.split(":")[0]
        assert key in own or "paper" in line or "kit default" in line, line


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_a_launcher_configuration_is_read_and_says_whether_it_was_run(path):
    from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

    config = load_config_from_file(str(path))
    assert isinstance(config, ClusterConfig) and config.num_processes >= 1
    assert path.read_text().startswith("# not run") != (path.stem in RUN)
    own = yaml.safe_load(path.read_text())
    parsed = config.to_dict()
    for key, value in own.items():
        read_as = getattr(parsed[key], "value", parsed[key])
        assert read_as == value or str(read_as) == str(value), key


def test_all_ways_of_launching_are_there():
    from accelerate.commands.config.config_args import load_config_from_file

    configs = {path.stem: load_config_from_file(str(path)) for path in CONFIGS}
    kinds = {
        name: str(getattr(config.distributed_type, "value", config.distributed_type))
        for name, config in configs.items()
    }
    assert kinds["cpu"] == kinds["single_gpu"] == "NO" and configs["cpu"].use_cpu
    assert kinds["multi_gpu"] == kinds["two_machines"] == "MULTI_GPU" and configs["two_machines"].num_machines == 2
    assert kinds["fsdp"] == "FSDP" and configs["fsdp"].fsdp_config["fsdp_version"] == 2
    assert [configs[f"zero{stage}"].deepspeed_config["zero_stage"] for stage in (2, 3)] == [2, 3]
    assert kinds["zero2"] == kinds["zero3"] == "DEEPSPEED"


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_the_launcher_takes_every_configuration(path):
    """As `accelerate launch` reads it before it starts anything."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.imports import is_deepspeed_available

    parser = launch_command_parser()
    args = parser.parse_args(["--config_file", str(path), "train/sft.py"])
    if path.stem.startswith("zero") and not is_deepspeed_available():
        pytest.skip("DeepSpeed is not installed; its configurations are only read")
    args, config, _ = _validate_launch_command(args)
    assert config is not None and args.training_script == "train/sft.py"

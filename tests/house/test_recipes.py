"""Reads recipes and launcher configurations by the commands they are for, and checks what they say was run."""

import hashlib

import pytest
import yaml

from benchmarks.demo import stages
from tests.support.commands import EXPERIMENTS, ROOT, own_words, settings, started


BUILDERS = sorted((ROOT / "builders/recipes").rglob("*.yaml"))
OF_BUILDERS = {path.stem.split("-")[0] for path in BUILDERS}
TRAINING = sorted((ROOT / "train/recipes").rglob("*.yaml"))
RECIPES = [*BUILDERS, *TRAINING, *sorted(EXPERIMENTS.rglob("*.yaml"))]
CONFIGS = sorted((ROOT / "train/accelerate").glob("*.yaml"))
# Run by the tests or the demo.
RUN = {"cpu", "cpu_two_processes"}
# What is said on the command line: where things lie and go, and what they are made of.
PLACES = {"output_dir", "collection", "validation_collection", "expansions", "preferences", "references", "triplets"}
PLACES |= {"adapter", "adapters", "recorded", "filter"}
NEEDED = {
    "sft": ("expansions", "output_dir"),
    "dpo": ("preferences", "output_dir"),
    "filter": ("expansions", "output_dir"),
    "retriever": ("triplets", "output_dir"),
    "evaluate": ("output_dir",),
    "matrix": ("output_dir", "retrievers"),
    "rounds": ("adapter", "output_dir"),
    "alternation": ("output_dir",),
    "expansions": ("output_dir",),
    "preferences": ("expansions", "output_dir"),
    "references": ("expansions", "output_dir"),
    "triplets": ("expansions", "output_dir"),
    "regrade": ("expansions", "retriever", "output_dir"),
    "release": (),
}


def name(path):
    return f"{path.parent.name}/{path.stem}"


def read(path):
    """The settings of a recipe, by its command."""
    kind = path.stem.split("-")[0]
    words = ["-m", "builders", kind] if kind in OF_BUILDERS else [f"train/{kind}.py"]
    given = yaml.safe_load(path.read_text())
    needed = [word for key in NEEDED[kind] if key not in given for word in (f"--{key}", "x")]
    return settings([*words, "--config", str(path), *needed])


def experiments():
    """Name → its commands."""
    return {path.parent.name: started(path.read_text()) for path in sorted(EXPERIMENTS.glob("*/README.md"))}


def recipes_of(commands):
    return {words[words.index("--config") + 1] for words in map(own_words, commands) if "--config" in words}


def test_there_are_few_and_the_students_of_the_kit_have_theirs():
    assert len(RECIPES) <= 48
    have = {name(path) for path in TRAINING}
    assert have >= {f"{s}/{k}" for s in ("smollm2-135m", "qwen3-0.6b", "qwen3-4b") for k in ("sft", "dpo", "evaluate")}


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_a_recipe_is_read_by_its_command(path):
    """A key that the command or TRL no longer knows raises; so does a recipe whose method has no command."""
    values = read(path)
    given = yaml.safe_load(path.read_text())
    assert path.read_text().startswith("# ") and set(given) <= set(values)
    if path in TRAINING or path in BUILDERS and path.stem != "release":
        assert not set(given) & PLACES, "a place belongs on the command line"


@pytest.mark.parametrize("path", [path for path in TRAINING if path.stem.startswith(("sft", "dpo"))], ids=name)
def test_a_training_recipe_is_complete(path):
    given = yaml.safe_load(path.read_text())
    needed = {"model_name_or_path", "dtype", "load_in_4bit", "max_length", "activation_checkpointing", "seed"}
    needed |= {"learning_rate", "lr_scheduler_type", "per_device_train_batch_size"}
    needed |= {"max_steps"} if "max_steps" in given else {"num_train_epochs"}
    needed |= {"beta", "loss_type"} if path.stem.startswith("dpo") else {"use_peft"}
    assert needed <= set(given)
    if given["load_in_4bit"]:
        assert given["use_bnb_nested_quant"] and read(path)["bnb_4bit_quant_type"] == "nf4", "QLoRA quantizes twice"
    assert given.get("lora_target_modules", "all-linear") == "all-linear"


def test_a_recipe_that_no_experiment_runs_says_so():
    used = {recipe for commands in experiments().values() for recipe in recipes_of(commands)}
    for recipe in list(used):
        of_stages = yaml.safe_load((ROOT / recipe).read_text())
        used |= {value for key, value in of_stages.items() if key.endswith("_recipe")}
    never = {str(path.relative_to(ROOT)) for path in RECIPES if path.read_text().startswith("# Never run here: ")}
    assert {str(path.relative_to(ROOT)) for path in RECIPES} == used | never | {"builders/recipes/release.yaml"}
    assert not used & never


def test_make_runs_every_experiment():
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"$(call experiment,{name})" in makefile for name in set(experiments()) - {"demo"})
    assert "python -m benchmarks.demo" in makefile


def test_the_demo_runs_the_commands_of_its_readme():
    text = (EXPERIMENTS / "demo/README.md").read_text()
    own = [own_words(words) for words in started(text)]
    found = stages(text)
    assert [stage.words for stage in found] == own and len(own) == 6
    assert {stage.folder.as_posix() for stage in found if "--output_dir" in stage.words} == {
        words[words.index("--output_dir") + 1] for words in own if "--output_dir" in words
    }
    assert [stage.launched for stage in found] == [words[0] == "accelerate" for words in started(text)]


def test_other_libraries_are_measured_with_the_settings_of_pydocs():
    """The check is worth something only where nothing was chosen anew: rows and columns may be fewer, that is all."""
    commands = experiments()
    here = [own_words(words) for words in commands["otherdocs"] if "pip" not in words]
    of_rounds = yaml.safe_load((ROOT / "train/recipes/smollm2-135m/alternation.yaml").read_text())
    recipes = {of_rounds[f"{stage}_recipe"] for stage in ("retriever_expansions", "triplets", "retriever")}
    recipes |= {"train/recipes/smollm2-135m/evaluate.yaml", "benchmarks/experiments/otherdocs/matrix.yaml"}
    assert recipes_of(commands["otherdocs"]) == recipes
    places = {"config", "output_dir", "collection", "adapter", "adapters", "expansions", "triplets"}
    for words in here:
        assert {word[2:] for word in words if word.startswith("--")} <= places | {"teachers", "without_expansion"}
    bm25, dense = here[0], here[-1]
    there = settings(next(own_words(words) for words in commands["pydocs"] if "train/evaluate.py" in words))
    assert settings(bm25)["teachers"] == there["teachers"]
    asked, there = settings(dense), settings(own_words(commands["pydocs-expandr"][-1]))
    fewer = {"output_dir", "collection", "adapters", "retrievers", "against"}
    assert {k: v for k, v in asked.items() if k not in fewer} == {k: v for k, v in there.items() if k not in fewer}
    assert set(asked["against"]) < set(there["against"])
    for form in asked["retrievers"]:
        title, _, searched = form.partition("=")
        (same,) = [each for each in there["retrievers"] if each.startswith(f"{title}=")]
        assert searched.rpartition("|")[2] == same.rpartition("|")[2], "another formation"


def test_the_registration_is_as_it_was_written():
    """The file of commit 3c2e960, before anything was measured."""
    text = (EXPERIMENTS / "otherdocs/matrix.yaml").read_bytes()
    assert hashlib.sha256(text).hexdigest() == "a1a60903dfbbded336f844b68ebf83d55ca25692df757f68479d6259675d8487"


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

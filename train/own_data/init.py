"""Look at a collection, say what is in it, and write one recipe for it and for this machine.

    qexpand init my-collection
    qexpand init OWNER/NAME --output_dir out/mine

Nothing is trained and nothing is sent anywhere. `qexpand run` takes the recipe.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from builders.artifacts.files import atomic_write
from builders.cli import console_command, parse, say
from builders.collections.load import collection_help
from builders.errors import KitError
from builders.prompts.load import load_prompt
from train.own_data.chosen_settings import chosen_settings, recipe_text
from train.own_data.holdings import holdings
from train.own_data.machine import this_machine


RECIPE = "recipe.yaml"


@dataclass
class InitArguments:
    """Settings of `qexpand init`."""

    collection: str = field(metadata={"help": f"May stand first, without its name: {collection_help()}"})
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder of the recipe and of the run; default: out/NAME."}
    )
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    prompt: str | None = field(
        default=None, metadata={"help": "Prompt of your own (YAML file) or another of the kit's, for the student."}
    )


def main() -> None:
    """Look, tell, write."""
    (args,) = parse(InitArguments, named_first("collection"), "qexpand init", __doc__ or "")
    machine = this_machine()
    found = holdings(args.collection, args.language)
    told = [*found.lines(), machine.line()]
    for line in told:
        say(line)
    folder = Path(args.output_dir or f"out/{folder_name(found.name)}")
    settings = chosen_settings(args.collection, folder, found, machine, args.prompt)
    text = recipe_text(settings, ["A run of all stages: `qexpand run` with this file. Chosen by:", *told])
    path = folder / RECIPE
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise KitError(f"{path}: a recipe is there already, and another one: edit it, or give another --output_dir")
    atomic_write(path, text.encode())
    student, prompt = settings["model"], load_prompt(settings["prompts"][0])
    learns = "choose among such words" if prompt.grounding else "write passages like its own best ones"
    fetched = "" if student.startswith("package:") else " (the run downloads it)"
    say(f"student: {student}{fetched}, which learns to {learns}; prompt: {prompt.id}; all settings: {path}")
    sys.stdout.write(f"next: {console_command()} run {path}\n")


def folder_name(name: str) -> str:
    """The name of a collection as that of one folder: a stranger's leads nowhere else."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "collection"


def named_first(name: str) -> list[str]:
    """The command line, with the name of the option that stands first without one."""
    arguments = sys.argv[1:]
    return [f"--{name}", *arguments] if arguments and not arguments[0].startswith("-") else arguments

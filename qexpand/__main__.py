"""Starts every command of the kit, `qexpand <command> …`, and does nothing itself."""

import importlib
import sys

from builders.__main__ import COMMANDS as OF_BUILDERS
from builders.cli import chosen_command, run
from builders.errors import KitError
from train.__main__ import commands as commands_of_train


# Your own data in three steps, and what they end with: what it does, and the module that does it.
STEPS = {
    "init": ("a collection → what is in it, and a recipe for this machine", "train.own_data.init"),
    "run": ("a recipe → candidates, pairs, SFT, DPO, evaluation, cards", "train.own_data.run"),
    "publish": ("a run's recipe, or one rendered folder → the Hub", "train.own_data.publish_run"),
    "summary": ("an evaluation's results → a dozen lines to read", "train.own_data.summary"),
}
# Rooms with one command.
ROOMS = {
    "cards": ("training record + results → the card of an adapter or a retriever", "model_cards.__main__"),
    "space": ("results → the Space, served or rendered", "space.__main__"),
}


def commands() -> dict[str, tuple[str, str]]:
    """Name → what it does, and the module whose `main` does it."""
    stages = {name: (does, "builders.__main__") for name, does in OF_BUILDERS.items()}
    trainings = {name: (does, "train.__main__") for name, does in commands_of_train().items()}
    return {**STEPS, **{name: one for name, one in stages.items() if name not in STEPS}, **trainings, **ROOMS}


def main() -> None:
    """Hand over to the room.

    Raises:
        KitError: a library is missing that the command is made of.
    """
    known = commands()
    name = chosen_command("qexpand", {one: does for one, (does, _) in known.items()})
    if name is None:
        return
    module = known[name][1]
    # The command lines of `builders` and `train` begin with the command.
    sys.argv = [f"qexpand {name}", *sys.argv[1 if module in ("builders.__main__", "train.__main__") else 2 :]]
    try:
        room = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise KitError(f"{error.name} is missing: pip install 'query-expansion-kit[train]'") from error
    room.main()


def console() -> None:
    """The command `qexpand`."""
    run(main)


if __name__ == "__main__":
    run(main)

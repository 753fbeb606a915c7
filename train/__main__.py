"""Starts training and evaluation: `accelerate launch -m train <command> …`, or `python -m train …`."""

import importlib
import sys

from builders.cli import chosen_command, run
from train.students.methods import load


# Those of language-model students are the methods.
OTHERS = {
    "retriever": "triplets → a dense retriever for expanded queries",
    "filter": "graded candidates → a cross-encoder that picks one of a query's expansions",
    "evaluate": "adapters on held-out test queries, beside the plain query, teachers and the base model",
    "matrix": "expanders × retrievers on held-out test queries",
    "rounds": "a student learns from its own graded candidates, round after round",
    "alternation": "student and retriever learn from each other in turn",
}


def commands() -> dict[str, str]:
    """Name → what it does, of every command of this room."""
    return {method.name: method.summary for method in load.METHODS} | OTHERS


def main() -> None:
    """Hand over to the method, or to the command's own module."""
    methods = {method.name: method for method in load.METHODS}
    name = chosen_command("accelerate launch -m train", commands())
    if name is None:
        return
    sys.argv = [f"train/{name}.py", *sys.argv[2:]]
    if name in methods:
        load.train_by(methods[name])
    else:
        importlib.import_module(f"train.{name}").main()


if __name__ == "__main__":
    run(main)

"""Runs the commands of this room: `python -m builders <command> …`."""

import importlib
import sys

from builders.cli import chosen_command, run


COMMANDS = {
    "expansions": "stage 1: queries → graded candidates and rows to imitate",
    "regrade": "the same candidates, graded by another retriever",
    "references": "queries and their judged documents → one self-reference answer each",
    "preferences": "stage 2: graded candidates → chosen/rejected pairs",
    "triplets": "graded candidates → queries, expansions, relevant documents and hard negatives for a retriever",
    "export": "an adapter → a merged model or a GGUF file that stands alone",
    "expand": "queries → expansions by a trained expander or a base model",
    "grade": "recorded expansions, or a run, on any collection: gain, harm, significance",
    "publish": "a rendered folder (dataset, adapter, retriever, export, Space) → the Hub",
    "release": "datasets, adapters and Space that belong together → the Hub, and a collection of them",
}


def main() -> None:
    """Hand over to the command's own module."""
    if name := chosen_command("python -m builders", COMMANDS):
        importlib.import_module(f"builders.commands.{name}").main(sys.argv[2:])


if __name__ == "__main__":
    run(main)

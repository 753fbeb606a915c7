"""Expander and retriever trained for each other, in turns (ExpandR, made a loop).

    python train/alternation.py --config train/recipes/smollm2-135m/alternation.yaml --output_dir out/alternation

A round: the expander writes for the train queries → triplets → the retriever is trained → the trained retriever
rewards the expander's candidates → DPO. The retriever may learn from other expansions than the candidates: one of each
query, of many more queries. Before it rewards, it may search with every candidate, for a reward by `corpus-rank`; it
learns from other queries then. Each stage is one of the kit's own commands with a recipe of its own; its result lies
in `<output_dir>/round-N`, and the self-reference answers, made once, in `<output_dir>/references`. After a round both
are measured on the validation queries, together and each with the other's predecessor; when the pair has not become
better for `patience` rounds, the rounds end. alternation.json and alternation.md are written after every stage. An
interrupted command goes on where it was.
"""

import sys
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import parse, run
from train.pipeline.rounds_arguments import AlternationArguments


def main() -> None:
    """Run the rounds that are not done yet."""
    (args,) = parse(AlternationArguments, None, "python train/alternation.py", __doc__ or "")
    from train.pipeline.joint_training import (
        JointTraining,  # PyTorch and its libraries: --help need not wait for them.
    )

    JointTraining(args).run()


if __name__ == "__main__":
    run(main)

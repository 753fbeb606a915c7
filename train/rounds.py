"""On-policy rounds: the student writes candidates, they are graded and paired, DPO goes on from there, and again.

    python train/rounds.py --config train/recipes/smollm2-135m/rounds.yaml --adapter out/sft --output_dir out/rounds

Each round leaves its datasets in `<output_dir>/round-N` and its adapter in `<output_dir>/models/round-N`. After every
round the student answers the validation queries; when it has not become better for `patience` rounds, the rounds end.
rounds.json, written after every round, names the best student's folder beside the table of all rounds. An interrupted
command goes on where it was.
"""

import sys
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import parse, run
from train.pipeline.rounds_arguments import RoundsArguments


def main() -> None:
    """Run the rounds that are not done yet."""
    (args,) = parse(RoundsArguments, None, "python train/rounds.py", __doc__ or "")
    from train.pipeline.on_policy import OnPolicyRounds  # PyTorch and its libraries: --help need not wait for them.

    OnPolicyRounds(args).run()


if __name__ == "__main__":
    run(main)

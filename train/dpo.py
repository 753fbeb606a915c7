"""DPO, as `accelerate launch train/dpo.py`: see train/students/methods/direct_preference.py."""

import sys
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import run
from train.students.methods.direct_preference import DPO
from train.students.methods.load import train_by


def main() -> None:
    """Train, or take up an interrupted training, and save the adapter folder."""
    train_by(DPO)


if __name__ == "__main__":
    run(main)

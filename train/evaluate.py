"""Measure students on held-out test queries, beside the plain query, BM25+RM3, teachers and the base model.

    accelerate launch --config_file train/accelerate/cpu.yaml train/evaluate.py \
        --config train/recipes/smollm2-135m/evaluate.yaml --adapters out/sft out/dpo --output_dir out/results

Writes results.json, results.md, per_query.parquet, and ndcg_delta.png to the output folder.
Expansions are kept query by query in `<output_dir>/evaluation.work`; an interrupted command continues there.
"""

import sys
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import parse, run
from train.evaluation.evaluation_arguments import EvaluationArguments
from train.evaluation.results_writer import EVALUATION
from train.evaluation.running import run_evaluation


def main() -> None:
    """Expand, search, measure, write."""
    (args,) = parse(EvaluationArguments, None, "accelerate launch train/evaluate.py", __doc__ or "")
    run_evaluation(args, EVALUATION)


if __name__ == "__main__":
    run(main)

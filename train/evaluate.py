"""Measure students on held-out test queries, beside the plain query, BM25+RM3, teachers and the base model.

    accelerate launch --config_file train/accelerate/cpu.yaml train/evaluate.py \
        --config train/recipes/smollm2-135m/evaluate-demo.yaml

Writes results.json, results.md, per_query.parquet, and ndcg_delta.png to the output folder.
Expansions are kept query by query in `<output_dir>/evaluation.work`; an interrupted command continues there.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.artifacts.ownership import require_free
from builders.cli import parse, run, say
from builders.processes import join_processes
from builders.retrievers.formulation import formulation_help
from builders.retrievers.load import retriever_help
from train.evaluation.generation_arguments import Asking


WORK = "evaluation.work"


@dataclass(kw_only=True)
class EvaluationArguments(Asking):
    """Settings of `train/evaluate.py`."""

    output_dir: str = field(metadata={"help": "Folder for the results."})
    adapters: list[str] = field(default_factory=list, metadata={"help": "Adapter folders or Hub ids, in table order."})
    retriever: str = field(default="bm25s", metadata={"help": retriever_help()})
    formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    baselines: list[str] = field(
        default_factory=lambda: ["pyserini+rm3"],
        metadata={"help": "Retrievers that search the plain query; every system is compared with them, too."},
    )
    teachers: list[str] = field(
        default_factory=list,
        metadata={
            "help": "NAME=SOURCE[,FIELD=VALUE,…]: recorded expansions, of which rows with these values are taken, or "
            "term-regression. Retention and gain captured refer to the first."
        },
    )
    pool_samples: int = field(default=0, metadata={"help": "Candidates a query for filter and oracle; 0 for none."})
    pool_temperature: float = field(default=0.9, metadata={"help": "Sampling temperature of the candidates."})
    pool_top_k: int = field(default=50, metadata={"help": "Most likely tokens to choose from; 0 is all."})
    pool_adapter: str | None = field(default=None, metadata={"help": "Adapter that writes them; the base by default."})
    filter: str | None = field(
        default=None, metadata={"help": "Folder of a trained filter, which picks one candidate of each query."}
    )


def main() -> None:
    """Expand, search, measure, write."""
    (args,) = parse(EvaluationArguments, None, "accelerate launch train/evaluate.py", __doc__ or "")
    evaluate(args)


def evaluate(args: EvaluationArguments) -> None:
    """Run the evaluation unless its results are there already.

    Raises:
        KitError: the folder holds somebody else's results, or an argument names nothing known.
    """
    from train.evaluation.plan import make_plan
    from train.evaluation.results import FILES, results_are_current, write_results
    from train.evaluation.systems_run import measured, write

    folder = Path(args.output_dir)
    require_free(folder, FILES, WORK)
    processes = join_processes()
    plan = make_plan(args)
    settings = plan.settings()
    for remark in plan.collection.remarks if processes.is_main else ():
        say(remark)
    if results_are_current(folder, settings):
        say(f"{folder}: results up to date")
        return
    # Before anything is generated: a retriever that cannot be had must cost no answers.
    grader = plan.grader()
    written = write(plan, folder / WORK, processes)
    if processes.is_main:
        write_results(folder, measured(plan, settings, grader, written))
    # Nobody leaves before the results are there.
    processes.gather([None])


if __name__ == "__main__":
    run(main)

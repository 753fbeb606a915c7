"""The line-up: all systems of an evaluation in table order, searched and graded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builders.filtering.oracle import OracleFilter
from builders.grading.comparison import PLAIN
from builders.grading.grader import Grader
from builders.processes import Processes
from builders.retrievers.load import load_retriever
from train.evaluation.candidate_pool import chosen_writing, likeness_of
from train.evaluation.generation import Generation, generate
from train.evaluation.plan import BASE, CHOSEN, ORACLE, Plan
from train.evaluation.results import Evaluation
from train.evaluation.systems import (
    System,
    baseline_system,
    expanded_system,
    plain_system,
    shown_writing,
    student_writing,
)


@dataclass(frozen=True)
class Written:
    """What the models wrote.

    Args:
        students (`Mapping`):
            Student → its expansions.
        pool ([`Generation`], *optional*):
            The candidates.
    """

    students: Mapping[str, Generation]
    pool: Generation | None


def write(plan: Plan, folder: Path, processes: Processes) -> Written:
    """Have all models write, one after the other, so that each has the memory for itself.

    Every process must call this.

    Args:
        plan ([`Plan`]):
            Whom to ask what.
        folder (`Path`):
            Where answers are kept: an interrupted evaluation goes on from there.
        processes ([`Processes`]):
            Who shares the work.
    """
    students = {}
    for name, adapter in plan.students.items():
        expander = plan.expander(adapter)
        students[name] = generate(name, expander, plan.requests(plan.queries), plan.sampling, folder, processes)
        del expander
    pool = None
    if samples := plan.args.pool_samples:
        asked = plan.requests(plan.queries, samples)
        expander = plan.expander(plan.args.pool_adapter)
        pool = generate("pool", expander, asked, plan.pool_sampling, folder, processes)
    return Written(students, pool)


def measured(plan: Plan, settings: Mapping[str, Any], grader: Grader, written: Written) -> Evaluation:
    """Search with all that was written, and with the query as it is."""
    queries, seed = plan.queries, plan.args.seed
    prompts = [[message["content"] for message in request.messages] for request in plan.requests(queries)]
    students: list[System] = []
    for name, generation in written.students.items():
        writing = student_writing(queries, generation, prompts)
        students.append(expanded_system(name, grader, queries, writing))
    facts: dict[str, Any] = {"shown": plan.shown} if plan.shown else {}
    if written.pool is not None:
        for name, chooser in ((CHOSEN, plan.chooser), (ORACLE, OracleFilter(grader))):
            if chooser is not None:
                writing = chosen_writing(queries, written.pool, chooser, prompts)
                students.append(expanded_system(name, grader, queries, writing))
        facts["pool"] = {
            "samples": plan.args.pool_samples,
            **asdict(plan.pool_sampling),
            "identity": asdict(written.pool.identity),
            "mean_pairwise_cosine": likeness_of(queries, written.pool),
        }
    teachers = [expanded_system(one.name, grader, queries, one.write()) for one in plan.teachers]
    if plan.shown is not None:  # What the prompt gives away, searched without a model's choosing from it.
        writing = shown_writing(queries, plan.shown_texts(queries))
        teachers.append(expanded_system(plan.shown, grader, queries, writing))
    # Java comes last: its memory is not a student's.
    baselines = [
        baseline_system(name, grader, load_retriever(name, plan.collection), queries) for name in plan.baselines
    ]
    return Evaluation(
        settings=settings,
        grader=grader,
        queries=queries,
        prompt=plan.prompt,
        systems=[plain_system(PLAIN, grader, queries), *baselines, *teachers, *students],
        references=[*plan.baselines, *([plan.shown] if plan.shown else []), BASE],
        teacher=plan.teachers[0].name if plan.teachers else None,
        missing=plan.missing,
        seed=seed,
        facts=facts,
    )

"""Runs an evaluation or a matrix: generate, then search, grade and audit every system, then write the results."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from builders.artifacts.locks import locked
from builders.artifacts.ownership import require_free
from builders.cli import say
from builders.filtering.oracle import OracleFilter
from builders.grading.candidates import candidate_similarity
from builders.grading.grader import Grader
from builders.grading.results_form import NONE
from builders.processes import Processes, join_processes
from builders.retrievers.load import load_retriever
from train.evaluation.evaluation_arguments import GenerationArguments
from train.evaluation.evaluation_plan import CHOSEN, ORACLE, Plan
from train.evaluation.generation import Generation, generate
from train.evaluation.leakage_audit import Audit, Audited
from train.evaluation.results_writer import Output, results_are_current, write_results
from train.evaluation.systems import (
    ExpandedQueries,
    baseline_system,
    chosen_candidates,
    expanded_by_context,
    expanded_by_model,
    searched_system,
)
from train.evaluation.word_parts import word_parts


def run_evaluation(args: GenerationArguments, output: Output) -> None:
    """Measure systems × retrievers unless the results are there already.

    Args:
        args ([`GenerationArguments`]):
            The settings.
        output ([`Output`]):
            Which command: what looks the settings up, and what is written.

    Raises:
        KitError: the folder holds somebody else's results, somebody works there, an argument names nothing known, or a
            retriever cannot be asked so.
    """
    folder = Path(args.output_dir)
    require_free(folder, output.files, output.work)
    processes = join_processes()
    plan = output.plan(args)
    for remark in plan.collection.remarks if processes.is_main else ():
        say(remark)
    if results_are_current(folder, plan.settings, output.files):
        say(f"{folder}: results up to date")
        return
    # Before anything is generated: a retriever that cannot be had must cost no answers.
    _ = plan.retrievers
    with locked(folder / output.work, processes):
        generations = generate_all(plan, folder / output.work, processes)
        if processes.is_main:
            started = time.time()
            measured = list(_searched(plan, generations))
            seconds = sum(cost.seconds for one in generations.values() for cost in one.costs)
            write_results(folder, plan, output, measured, _pool_facts(plan, generations), seconds, started)
        # Nobody leaves before the results are there.
        processes.gather([None])


def generate_all(plan: Plan, folder: Path, processes: Processes) -> dict[str, Generation]:
    """Have all models write, one after the other, so that each has the memory for itself.

    Every process must call this.

    Args:
        plan ([`Plan`]):
            Whom to ask what.
        folder (`Path`):
            Where answers are kept: an interrupted evaluation goes on from there.
        processes ([`Processes`]):
            Who shares the work.

    Returns:
        Student → what it wrote; the candidates as `generate-then-filter`.
    """
    generations = {}
    for name, adapter in plan.students.items():
        expander = plan.expander(adapter)
        asked = plan.requests(plan.args.samples)
        generations[name] = generate(name, expander, asked, plan.sampling, folder, processes)
        del expander
    if pool := plan.pool:
        expander = plan.expander(pool.adapter)
        asked = plan.requests(pool.samples)
        generations[CHOSEN] = generate("pool", expander, asked, pool.sampling, folder, processes)
    return generations


def _searched(plan: Plan, generations: Mapping[str, Generation]) -> Iterator[Audited]:
    """The systems of each retriever, one retriever after the other, so that each has the memory for itself."""
    queries = plan.queries
    prompts = [[message["content"] for message in request.messages] for request in plan.requests()]
    expanded = {teacher.name: teacher.write() for teacher in plan.teachers}
    if plan.shown:  # What the prompt gives away, searched without a model's choosing from it.
        expanded[plan.shown] = expanded_by_context(queries, plan.shown_texts())
    expanded |= {name: expanded_by_model(queries, generations[name], prompts) for name in plan.students}
    for searcher in plan.searchers:
        say(f"searching: {searcher.name}")
        grader = searcher.grader(plan.collection)
        # Ahead of the clock, so that no system pays for loading an encoder.
        grader.expanded([(queries[0].id, queries[0].text)])
        of_pool = _chosen(plan, generations, grader, prompts)
        for name in plan.parts:
            expanded |= word_parts(name, expanded[name], queries, grader.retriever)
        plain, *systems = [
            searched_system(plan.system_name(name, searcher.name), name, searcher.name, grader, queries, own)
            for name, own in {NONE: None, **expanded, **of_pool}.items()
        ]
        # Java comes last: its memory is not a student's.
        baselines = [
            baseline_system(name, plan.collection, load_retriever(name, plan.collection), queries)
            for name in plan.baselines
        ]
        found = [plain, *baselines, *systems]
        audit = Audit(plan.collection, grader.retriever, queries, found, plan.has_answers)
        yield from map(audit.audited, found)


def _chosen(
    plan: Plan, generations: Mapping[str, Generation], grader: Grader, prompts: list[list[str]]
) -> dict[str, ExpandedQueries]:
    """What the filter and the oracle pick of the candidates."""
    if plan.pool is None:
        return {}
    choosers = {CHOSEN: plan.pool.chooser, ORACLE: OracleFilter(grader)}
    return {
        name: chosen_candidates(plan.queries, generations[CHOSEN], chooser, prompts)
        for name, chooser in choosers.items()
        if chooser is not None
    }


def _pool_facts(plan: Plan, generations: Mapping[str, Generation]) -> dict[str, Any]:
    """Who wrote the candidates, how they were drawn, and how alike they are."""
    if plan.pool is None:
        return {}
    generation = generations[CHOSEN]
    facts = {
        "samples": plan.pool.samples,
        **asdict(plan.pool.sampling),
        "identity": asdict(generation.identity),
        "mean_pairwise_cosine": candidate_similarity(
            [one.text for one in found] for found in generation.answers.values()
        ),
    }
    return {"pool": facts}

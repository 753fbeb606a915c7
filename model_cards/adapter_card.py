"""Writes the model card of an adapter from the JSON that training and evaluation wrote."""

import re
from pathlib import Path
from typing import Any

from builders.artifacts.files import dump_json
from builders.artifacts.markdown import Markdown, render_card
from builders.artifacts.model_folder import ADAPTER, TIMING, adapter_name, read_training
from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.expanders.expander_file import expander_record
from builders.grading.comparison import left_out, p_cell, p_said
from builders.prompts.load import load_prompt
from model_cards.measured import measured_system, read_evaluation, read_queries, shown, shown_systems


TEMPLATE = Path(__file__).with_name("model_card.md")
MEASURES = {"ndcg_at_10": "nDCG@10", "mrr_at_10": "MRR@10", "recall_at_100": "Recall@100"}
SIGNIFICANT = 0.05
ALONE = "where it adds no word, with the query alone"
# Formulations that are one text.
_TEXT = re.compile(r"q\*(\d+)\+e")


def model_card(folder: Path, results_path: Path, repo_id: str | None, datasets: list[str], licence: str) -> str:
    """The text of the adapter's `README.md`.

    Args:
        folder (`Path`):
            Adapter folder.
        results_path (`Path`):
            `results.json` of an evaluation that measured exactly these weights.
        repo_id (`str`, *optional*):
            Where it will be published; the snippet loads it from there, otherwise from the folder.
        datasets (`list[str]`):
            Hub ids of the datasets it was trained on; may be empty.
        licence (`str`):
            Hub name of the licence.

    Raises:
        KitError: the adapter or the results are missing, or the results are of other weights.
    """
    with shown(folder, results_path):
        return _text(folder, results_path, repo_id, datasets, licence)


def _text(folder: Path, results_path: Path, repo_id: str | None, datasets: list[str], licence: str) -> str:
    training = read_training(folder, ADAPTER)
    results = read_evaluation(results_path)
    system = measured_system(results, folder, results_path)
    prompt = load_prompt(results["settings"]["prompt"])
    if prompt.sha256 != results["prompt"]["sha256"]:
        raise KitError(f"{results_path}: prompt {prompt.id!r} was edited since the evaluation; evaluate again")
    return render_card(
        TEMPLATE,
        _front_matter(training, results, system, repo_id or folder.name, datasets, licence),
        name=repo_id or folder.name,
        where=repo_id or folder.as_posix(),
        training=training,
        recipe={**training["settings"]["model"], **training["settings"]["training"]},
        timing=read_timing(folder),
        data=_sources(training, folder),
        results=results,
        left_out=left_out(results["collection"], results["settings"]["split"]),
        systems={name: results["systems"][name] for name in shown_systems(results, system)},
        system=system,
        row=results["systems"][system],
        curves=(folder / "curves.png").is_file(),
        verdict=_verdict(results["systems"][system], results["systems"]["plain"]),
        prompt=prompt,
        query=_example_query(results_path),
        searched=_searched(results["formation"]),
        repeated=_TEXT.fullmatch(results["formation"]) is not None,
        measures=MEASURES,
        p_cell=p_cell,
        p_said=p_said,
    )


def expander_json(folder: Path, results_path: Path) -> bytes:
    """The adapter's `expander.json` with the settings that it was measured with, and the weights that were measured.

    Raises:
        KitError: the adapter, its results or the prompt of its evaluation are missing.
    """
    results = read_evaluation(results_path)
    prompt = load_prompt(results["settings"]["prompt"])
    record = expander_record(read_training(folder, ADAPTER), prompt, results)
    return dump_json({**(record or {}), "measured": adapter_name(str(folder))}).encode()


def _searched(formation: str) -> Markdown:
    """The line of Python that shows what to search with."""
    if fixed := _TEXT.fullmatch(formation):
        return Markdown(f'print(" ".join([query] * {fixed[1]} + [expansion]))  # search with this; {ALONE}')
    named = " ".join(formation.split())
    return Markdown(f"print(expansion)  # search with the query and this, put together as {named}; {ALONE}")


def read_timing(folder: Path) -> dict[str, Any]:
    """What a training took.

    Raises:
        KitError: its folder does not say.
    """
    try:
        return dict(read_record(folder / TIMING))
    except (OSError, ValueError) as error:
        raise KitError(f"{folder}: {TIMING} is missing or broken; train it again") from error


def _sources(training: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Provenance of all data trained on: this training's own, and that of the adapter it went on with."""
    sources = dict(training["data"])
    if training["parent"]:
        name = training["parent"].split("@")[0]
        parent = folder.parent / name
        if parent.is_dir() and adapter_name(str(parent)) == training["parent"]:
            sources = {**read_training(parent, ADAPTER)["data"], **sources}
    return sources


def _verdict(row: dict[str, Any], plain: dict[str, Any]) -> Markdown:
    """One sentence that says what was measured, whichever way it went."""
    low, high = row["delta_ci95"]
    counts = (
        f"on {row['queries']} held-out queries nDCG@10 goes from {plain['ndcg_at_10']:.4f} (query alone) to "
        f"{row['ndcg_at_10']:.4f} ({row['delta_ndcg_at_10']:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}, "
        f"p {p_said(row['p_corrected'])}); {100 * row['helped']:.0f} % of the queries are helped, "
        f"**{100 * row['hurt']:.0f} % are hurt**"
    )
    if row["p_corrected"] >= SIGNIFICANT:
        return Markdown(f"No measurable difference from the query alone: {counts}.")
    return Markdown(f"{'It helps' if row['delta_ndcg_at_10'] > 0 else 'It hurts'}: {counts}.")


def _example_query(results_path: Path) -> str:
    queries = {row["query"] for row in read_queries(results_path, "query")}
    return str(min(queries, key=lambda text: (len(text), text)))


def _front_matter(
    training: dict[str, Any], results: dict[str, Any], system: str, name: str, datasets: list[str], licence: str
) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    collection = results["collection"]
    row = results["systems"][system]
    return ModelCardData(
        base_model=training["base"]["model_id"],
        base_model_relation="adapter",
        library_name="peft",
        pipeline_tag="text-generation",
        license=licence,
        language=collection["language"],
        datasets=datasets or None,
        tags=["query-expansion", "information-retrieval", "trl", training["stage"], "lora"]
        + (["qlora"] if training["quantization"] else []),
        model_name=name.split("/")[-1],
        eval_results=[
            EvalResult(
                task_type="text-retrieval",
                task_name="Retrieval with the expanded query",
                dataset_type=collection["name"],
                dataset_name=collection["name"],
                dataset_split=results["settings"]["split"],
                dataset_revision=collection["fingerprint"],
                metric_type=measure,
                metric_name=label,
                metric_value=row[measure],
            )
            for measure, label in MEASURES.items()
        ],
    )

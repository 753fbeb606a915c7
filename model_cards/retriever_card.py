"""Writes the card of a trained retriever from its training record and, where it was measured, a matrix of results."""

from pathlib import Path
from typing import Any

from builders.artifacts.markdown import Markdown, code, render_card, text
from builders.artifacts.model_folder import RETRIEVER, read_training
from builders.grading.comparison import left_out, p_cell, p_said
from builders.grading.results_form import NONE
from builders.retrievers.encoder import Encoder
from model_cards.adapter_card import MEASURES, SIGNIFICANT, read_timing
from model_cards.measured import measured_retriever, read_matrix, shown


TEMPLATE = Path(__file__).with_name("retriever_card.md")
# What of a row of training data stands in the card's example.
EXAMPLE = ("query", "expansion", "relevant", "negative_1")


def retriever_card(
    folder: Path, matrix_path: Path | None, repo_id: str | None, datasets: list[str], licence: str
) -> str:
    """The text of the retriever's `README.md`.

    Args:
        folder (`Path`):
            What `train/retriever.py` saved.
        matrix_path (`Path`, *optional*):
            `matrix.json` that measured exactly these weights. Without one the card says that they were not evaluated.
        repo_id (`str`, *optional*):
            Where it will be published; the snippets load it from there, otherwise from the folder.
        datasets (`list[str]`):
            Hub ids of the datasets it was trained on; may be empty.
        licence (`str`):
            Hub name of the licence.

    Raises:
        KitError: the retriever or the matrix is missing, or the matrix is of other weights.
    """
    with shown(folder, matrix_path):
        return _text(folder, matrix_path, repo_id, datasets, licence)


def _text(folder: Path, matrix_path: Path | None, repo_id: str | None, datasets: list[str], licence: str) -> str:
    training = read_training(folder, RETRIEVER)
    encoder = Encoder(str(folder))
    matrix = read_matrix(matrix_path) if matrix_path else None
    own = measured_retriever(matrix, encoder.revision, folder, matrix_path) if matrix and matrix_path else None
    rows = _rows(matrix, own) if matrix and own else []
    return render_card(
        TEMPLATE,
        _front_matter(training, matrix, own, repo_id or folder.name, datasets, licence),
        name=repo_id or folder.name,
        where=repo_id or folder.as_posix(),
        training=training,
        timing=read_timing(folder),
        matrix=matrix,
        own=own,
        left_out=left_out(matrix["collection"], matrix["split"]) if matrix else "",
        rows=rows,
        p_cell=p_cell,
        verdict=_verdict(matrix, own) if matrix and own else None,
        curves=(folder / "curves.png").is_file(),
        example={name: training["example"].get(name, "") for name in EXAMPLE},
        is_expanded=not training["settings"]["retriever"]["without_expansion"],
    )


def _rows(matrix: dict[str, Any], own: str) -> list[dict[str, Any]]:
    """What tells about this retriever: its rows, those of the reference, and the others with the query alone."""
    told = {own, matrix["reference"].partition("/")[2]}
    return [row for row in matrix["rows"] if row["retriever"] in told or row["expander"] == NONE]


def _verdict(matrix: dict[str, Any], own: str) -> Markdown:
    """One sentence that says what was measured, whichever way it went: this retriever's best row, and plain."""
    rows = [row for row in matrix["rows"] if row["retriever"] == own]
    best = max(rows, key=lambda row: row["ndcg_at_10"])
    alone = next((row for row in rows if row["expander"] == NONE), best)
    low, high = best["delta_ci95"]
    is_alone, queries = best["expander"] == NONE, f"{matrix['queries']} {text(matrix['split'])} queries"
    written = "with the query alone" if is_alone else f"with the expansions of {code(best['expander'])}"
    told = f"on {queries} nDCG@10 is at best {best['ndcg_at_10']:.4f}, {written}"
    if best is not alone:
        told += f" ({alone['ndcg_at_10']:.4f} with the query alone)"
    if best["system"] == matrix["reference"]:
        return Markdown(f"{told[0].upper()}{told[1:]}.")
    relative = "" if best["relative"] is None else f" {100 * best['relative']:+.1f} %,"
    told += (
        f"; against {code(matrix['reference'])}:{relative} 95 % interval {low:+.4f} to {high:+.4f}, "
        f"p {p_said(best['p_corrected'])}; {100 * best['helped']:.0f} % of the queries are helped, "
        f"**{100 * best['hurt']:.0f} % are hurt**"
    )
    if best["p_corrected"] >= SIGNIFICANT:
        return Markdown(f"No measurable difference from {code(matrix['reference'])}: {told}.")
    return Markdown(f"{'It helps' if low > 0 else 'It hurts'}: {told}.")


def _front_matter(
    training: dict[str, Any],
    matrix: dict[str, Any] | None,
    own: str | None,
    name: str,
    datasets: list[str],
    licence: str,
) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    rows = [row for row in matrix["rows"] if row["retriever"] == own] if matrix else []
    collection = training["data"]["triplets"]["collection"]
    results = [
        EvalResult(
            task_type="text-retrieval",
            task_name="Retrieval",
            dataset_type=matrix["collection"]["name"],
            dataset_name=matrix["collection"]["name"],
            dataset_split=matrix["split"],
            dataset_revision=matrix["collection"]["fingerprint"],
            metric_type=measure,
            metric_name=f"{label}, {_expanded(row, matrix)}",
            metric_value=row[measure],
        )
        for row in rows
        for measure, label in MEASURES.items()
        if matrix
    ]
    return ModelCardData(
        base_model=training["base"]["model_id"],
        base_model_relation="finetune",
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        license=licence,
        language=collection["language"],
        datasets=datasets or None,
        tags=["sentence-transformers", "sentence-similarity", "feature-extraction"]
        + ["query-expansion", "information-retrieval", "dense-retrieval"],
        model_name=name.split("/")[-1] if results else None,
        eval_results=results or None,
    )


def _expanded(row: dict[str, Any], matrix: dict[str, Any]) -> str:
    if row["expander"] == NONE:
        return "query alone"
    return f"expansions of {row['expander']}, formed as {matrix['retrievers'][row['retriever']]['formation']}"

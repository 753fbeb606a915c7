"""Reads the results that cards show, and finds the system or retriever that was measured with the very weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builders.artifacts.model_folder import adapter_name
from builders.artifacts.records import MISSHAPEN
from builders.errors import KitError
from builders.grading.results_form import one_retriever, read_results


QUERIES = "per_query.parquet"
# What the cards rely on.
OF_ADAPTERS = (
    *("settings", "command", "collection", "retriever", "formation", "prompt", "decoding", "hardware"),
    *("missing", "correction", "copied_terms"),
)
OF_RETRIEVERS = ("retrievers", "reference", "collection", "split", "queries", "command")
OF_ROWS = ("expander", "ndcg_at_10", "mrr_at_10", "recall_at_100", "search_ms_per_query", "peak_mib")
OF_COMPARISONS = ("relative", "delta_ci95", "p_corrected", "helped", "hurt")


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read `results.json`, as results of one retriever.

    Raises:
        KitError: it is missing or broken.
    """

    def rely(results: dict[str, Any]) -> None:
        found = one_retriever(results)
        for part in OF_ADAPTERS:
            found[part]
        found["systems"]["plain"]["ndcg_at_10"]
        for name, row in found["systems"].items():
            _ = name == "plain" or (row["p_corrected"], row["leakage"])

    return one_retriever(read_results(path, "train/evaluate.py", rely))


def read_matrix(path: Path) -> dict[str, Any]:
    """Read `matrix.json`; each row with its comparison with the reference.

    Raises:
        KitError: it is missing or broken.
    """

    def rely(results: dict[str, Any]) -> None:
        for part in OF_RETRIEVERS:
            results[part]
        for row in results["rows"]:
            compared = row["against"][results["reference"]]
            _ = [row[name] for name in OF_ROWS], [compared[name] for name in OF_COMPARISONS]
            results["retrievers"][row["retriever"]]

    matrix = read_results(path, "train/matrix.py", rely)
    return {**matrix, "rows": [{**row, **row["against"][matrix["reference"]]} for row in matrix["rows"]]}


@contextmanager
def shown(folder: Path, results: Path | None) -> Iterator[None]:
    """Say in one line that a card cannot be filled, for its sources lack something, or hold something else there.

    Raises:
        KitError: the block failed.
    """
    from jinja2 import TemplateError

    try:
        yield
    except (*MISSHAPEN, TemplateError) as error:
        sources = f"{folder}{f' and {results}' if results else ''}"
        raise KitError(f"{sources}: no card can be made of them ({error!r}); train or evaluate again") from error


def shown_systems(results: dict[str, Any], system: str) -> list[str]:
    """What stands above a system to compare with, and this one; rows `+ guard` of older results are left out."""
    names = list(results["systems"])
    return [name for name in names[: names.index(system) + 1] if "kept" not in results["systems"][name]]


def read_queries(results_path: Path, *columns: str) -> list[dict[str, Any]]:
    """Rows of the queries behind an evaluation's results.

    Raises:
        KitError: their file is missing or broken.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    path = results_path.with_name(QUERIES)
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path, columns=list(columns)).to_pylist()
        _ = [row[column] for row in rows for column in columns]
    except (OSError, ArrowException, KeyError) as error:
        raise KitError(f"{path}: missing or broken beside {results_path.name}; evaluate again") from error
    return rows


def measured_system(results: dict[str, Any], folder: Path, path: Path) -> str:
    """The row of the results that measured an adapter's very weights, found by their hash.

    Args:
        results (`dict`), path (`Path`):
            The results, and the file that they are from.
        folder (`Path`):
            The adapter.

    Raises:
        KitError: there is none.
    """
    wanted = adapter_name(str(folder))
    for name, row in results["systems"].items():
        if row.get("identity", {}).get("adapter") == wanted:
            return str(name)
    raise KitError(f"{path}: no results for the weights in {folder}; evaluate this adapter first")


def measured_retriever(matrix: dict[str, Any], revision: str, folder: Path, path: Path) -> str:
    """The matrix's own name of the retriever with these very weights.

    Args:
        matrix (`dict`), path (`Path`):
            The results, and the file that they are from.
        revision (`str`), folder (`Path`):
            What pins the retriever's files, as `Encoder` says it, and where they lie.

    Raises:
        KitError: none of its retrievers is made of them alone.
    """
    for name, one in matrix["retrievers"].items():
        if one["name"].startswith("dense(") and f",{revision}," in one["name"]:
            return str(name)
    raise KitError(f"{path}: no results for the weights in {folder}; run train/matrix.py on it first")

"""The matrix: expanders × retrievers as `train/matrix.py` measured them, and which retriever is the carded one."""

import json
from pathlib import Path
from typing import Any

from builders.errors import KitError


# What the card relies on.
PARTS = ("retrievers", "reference", "collection", "split", "queries", "command")
FIELDS = (
    *("expander", "retriever", "formation", "ndcg_at_10", "mrr_at_10", "recall_at_100"),
    *("relative", "interval", "p_corrected", "helped", "hurt"),
    *("generation_ms_per_query", "search_ms_per_query", "peak_mib"),
)


def read_matrix(path: Path) -> dict[str, Any]:
    """Read `matrix.json`.

    Raises:
        KitError: it is missing or broken.
    """
    try:
        matrix = json.loads(path.read_text(encoding="utf-8"))
        for part in PARTS:
            matrix[part]
        for row in matrix["rows"]:
            for name in FIELDS:
                row[name]
    except OSError as error:
        raise KitError(f"{path}: no results there; run train/matrix.py first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise KitError(f"{path}: this is no matrix of results; run train/matrix.py again") from error
    return dict(matrix)


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


def cell(row: dict[str, Any]) -> str:
    """How a matrix names a row: EXPANDER/RETRIEVER."""
    return f"{row['expander']}/{row['retriever']}"

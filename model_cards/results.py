"""The results of an evaluation, and which of its systems measured an adapter."""

import json
from pathlib import Path
from typing import Any

from builders.artifacts.model_folder import adapter_name
from builders.errors import KitError


# What the cards rely on.
PARTS = (
    *("settings", "command", "collection", "retriever", "formation", "prompt", "decoding", "hardware"),
    *("missing", "correction", "copied_terms"),
)


def read_results(path: Path) -> dict[str, Any]:
    """Read `results.json`.

    Raises:
        KitError: it is missing or broken.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        for part in PARTS:
            results[part]
        results["systems"]["plain"]["ndcg_at_10"]
        for name, row in results["systems"].items():
            _ = name == "plain" or (row["p_corrected"], row["leakage"])
    except OSError as error:
        raise KitError(f"{path}: no results there; run train/evaluate.py first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise KitError(f"{path}: these are no evaluation results; run train/evaluate.py again") from error
    return dict(results)


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

"""The rendered adapter: weights, tokenizer and card; never checkpoints, optimizer state or DPO's frozen reference."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.model_folder import ADAPTER, TRAINING, read_training
from builders.errors import KitError
from builders.publishing.card_merge import read_card
from builders.publishing.staging.staged import Rendered, files_below, refuse_dirty


CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# The frozen reference of DPO, the Trainer's own state, and what is hidden.
LEFT_OUT = (
    "ref/*",
    "checkpoint-*",
    "runs/*",
    "optimizer*.pt",
    "scheduler.pt",
    "rng_state*.pth",
    "trainer_state.json",
    "training_args.bin",
    "*__pycache__*",
)


def carded_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Training record and card's front matter of an adapter.

    Raises:
        KitError: it is unfinished, not yet evaluated and carded, or its base model is not named by a Hub id.
    """
    training = read_training(folder, ADAPTER)
    _check_base(folder, training)
    check_weights(folder / WEIGHTS)
    return training, _read_card(folder, training)


def open_adapter(folder: Path) -> Rendered:
    """Check an adapter folder.

    Raises:
        KitError: it is unfinished, not yet evaluated and carded, was made by edited code, or its base model is not
            named by a Hub id.
    """
    training = read_training(folder, ADAPTER)
    refuse_dirty(folder, training)
    carded_adapter(folder)
    inside = files_below(folder)
    left_out = tuple(name for name in inside if is_left_out(name))
    return Rendered(
        folder=folder,
        kind="adapter",
        repo_type="model",
        files={name: path for name, path in inside.items() if name not in left_out},
        version=str(training.get("code_version", "")),
        rows={},
        left_out=left_out,
    )


def is_left_out(name: str) -> bool:
    """Whether a file of a model's folder stays here: what trainers leave behind, and what is hidden."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return hidden or any(fnmatch(name, pattern) for pattern in LEFT_OUT)


def _check_base(folder: Path, training: dict[str, Any]) -> None:
    try:
        base = json.loads((folder / CONFIG).read_text()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise KitError(f"{folder / CONFIG}: missing or broken; train the adapter again") from error
    if not isinstance(base, str) or not HUB_ID.fullmatch(base):
        raise KitError(
            f"{folder / CONFIG}: base_model_name_or_path is {base!r}, no Hub id (OWNER/NAME), so nobody could load "
            "the adapter: train it on a model that is on the Hub"
        )
    trained_on = (training.get("base") or {}).get("model_id")
    if trained_on != base:
        raise KitError(f"{folder}: {CONFIG} names {base!r}, {TRAINING} names {trained_on!r}; train the adapter again")


def check_weights(path: Path) -> None:
    """Raise KitError unless a safetensors file is as long as its header promises."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError("length of the header")
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if not ends or 8 + length + max(ends) != size:
            raise ValueError("length of the tensors")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"{path}: truncated or broken; train it again") from error


def _read_card(folder: Path, training: dict[str, Any]) -> dict[str, Any]:
    path = folder / CARD
    first = f"first evaluate it (train/evaluate.py), then: python -m model_cards --adapters {folder} --results RESULTS"
    if not path.is_file():
        raise KitError(f"{folder}: has no card yet; {first}")
    data = read_card(path.read_text(), str(path)).data
    try:
        measured = [m["value"] for result in data["model-index"][0]["results"] for m in result["metrics"]]
    except (KeyError, TypeError, IndexError):
        measured = []
    if not measured:
        raise KitError(f"{path}: carries no evaluation results; {first}")
    base = training["base"]["model_id"]
    if data.get("base_model") != base or data.get("base_model_relation") != "adapter":
        raise KitError(f"{path}: does not say that this is an adapter of {base}; {first}")
    return data

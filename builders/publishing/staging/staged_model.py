"""Check a trained model's folder before it is published: an adapter, or a retriever in sentence-transformers' layout.

Weights, tokenizer, card and training record go up; checkpoints, optimizer state and DPO's frozen reference stay here.
"""

import json
import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.model_folder import ADAPTER, KINDS, RENEWED, RETRIEVER, TRAINING, read_training
from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.expanders.expander_file import require_measured
from builders.publishing.staging.staged_folder import StagedFolder, read_card_data, require_base, stage


CONFIG, WEIGHTS = "adapter_config.json", KINDS[ADAPTER].weights
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# The frozen reference of DPO, the Trainer's own state, and what Python leaves.
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


def open_adapter(folder: Path) -> StagedFolder:
    """Check an adapter folder.

    Raises:
        KitError: it is unfinished, edited, not yet evaluated and carded, was made by edited code, or its base model is
            not named by a Hub id.
    """
    training, _ = carded_adapter(folder)
    return stage(folder, ADAPTER, "model", training, _goes_up(training))


def carded_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Training record and card's front matter of an adapter.

    Raises:
        KitError: it is unfinished, edited, not yet evaluated and carded, or its base model is not named by a Hub id.
    """
    training = read_training(folder, ADAPTER)
    base = _base_of(folder, training)
    _check_weights(folder / WEIGHTS)
    require_measured(folder)
    first = f"first evaluate it (train/evaluate.py), then: python -m model_cards --adapters {folder} --results RESULTS"
    data = read_card_data(folder, "has no card yet", first)
    try:
        measured = [m["value"] for result in data["model-index"][0]["results"] for m in result["metrics"]]
    except (KeyError, TypeError, IndexError):
        measured = []
    if not measured:
        raise KitError(f"{folder / CARD}: carries no evaluation results; {first}")
    require_base(folder, data, base, "adapter", first)
    return training, data


def open_retriever(folder: Path) -> StagedFolder:
    """Check a retriever's folder.

    Raises:
        KitError: it is unfinished, edited or has no card yet, was made by edited code, or its base model is not named
            by a Hub id.
    """
    training = read_training(folder, RETRIEVER)
    staged = stage(folder, RETRIEVER, "model", training, _goes_up(training))
    weights = [path for name, path in staged.files.items() if re.search(r"(^|/)model[^/]*\.safetensors$", name)]
    if not weights:
        raise KitError(f"{folder}: no weights in safetensors; train the retriever again")
    for path in weights:
        _check_weights(path)
    first = f"first: python -m model_cards --retrievers {folder} --matrix MATRIX"
    data = read_card_data(folder, "has no card yet", first)
    base = _require_hub_id(folder, training["base"]["model_id"])
    require_base(folder, data, base, "finetune", first)
    return staged


def _goes_up(training: dict[str, Any]) -> Callable[[str], bool]:
    """Whether a file is published: of what the record vouches for, what trainers do not leave behind, nor hide.

    Earlier records vouch for nothing.
    """
    vouched = training.get("files")

    def goes_up(name: str) -> bool:
        hidden = any(part.startswith(".") for part in name.split("/"))
        known = not isinstance(vouched, dict) or name in vouched or name in RENEWED
        return known and not hidden and not any(fnmatch(name, pattern) for pattern in LEFT_OUT)

    return goes_up


def _base_of(folder: Path, training: dict[str, Any]) -> str:
    """The base model, which PEFT's file and the training's record have to name alike."""
    try:
        base = read_record(folder / CONFIG).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise KitError(f"{folder / CONFIG}: missing or broken; train the adapter again") from error
    _require_hub_id(folder / CONFIG, base)
    trained_on = (training.get("base") or {}).get("model_id")
    if trained_on != base:
        raise KitError(f"{folder}: {CONFIG} names {base!r}, {TRAINING} names {trained_on!r}; train the adapter again")
    return str(base)


def _require_hub_id(where: Path, base: object) -> str:
    if not isinstance(base, str) or not HUB_ID.fullmatch(base):
        raise KitError(
            f"{where}: was trained on {base!r}, no Hub id (OWNER/NAME), so nobody could load what it is made of: "
            "train it on a model that is on the Hub"
        )
    return base


def _check_weights(path: Path) -> None:
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

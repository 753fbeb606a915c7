"""The rendered encoder: a trained retriever in sentence-transformers' layout, its card and the training's record."""

import re
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.model_folder import RETRIEVER, read_training
from builders.errors import KitError
from builders.publishing.card_merge import read_card
from builders.publishing.staging.adapter import HUB_ID, check_weights, is_left_out
from builders.publishing.staging.staged import Rendered, files_below, refuse_dirty


def open_encoder(folder: Path) -> Rendered:
    """Check a retriever's folder.

    Raises:
        KitError: it is unfinished or has no card yet, was made by edited code, or its base model is not named by a Hub
            id.
    """
    training = read_training(folder, RETRIEVER)
    refuse_dirty(folder, training)
    inside = files_below(folder)
    weights = [path for name, path in inside.items() if re.search(r"(^|/)model[^/]*\.safetensors$", name)]
    if not weights:
        raise KitError(f"{folder}: no weights in safetensors; train the retriever again")
    for path in weights:
        check_weights(path)
    _check_card(folder, training)
    left_out = tuple(name for name in inside if is_left_out(name))
    return Rendered(
        folder=folder,
        kind=RETRIEVER,
        repo_type="model",
        files={name: path for name, path in inside.items() if name not in left_out},
        version=str(training.get("code_version", "")),
        rows={},
        left_out=left_out,
    )


def _check_card(folder: Path, training: dict[str, Any]) -> None:
    path = folder / CARD
    first = f"first: python -m model_cards --retrievers {folder} --matrix MATRIX"
    if not path.is_file():
        raise KitError(f"{folder}: has no card yet; {first}")
    base = training["base"]["model_id"]
    if not HUB_ID.fullmatch(base):
        raise KitError(
            f"{folder}: was trained on {base!r}, no Hub id (OWNER/NAME), so nobody could say what it is made of: "
            "train it on a model that is on the Hub"
        )
    data = read_card(path.read_text(), str(path)).data
    if data.get("base_model") != base or data.get("base_model_relation") != "finetune":
        raise KitError(f"{path}: does not say that this was trained on {base}; {first}")

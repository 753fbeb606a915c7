"""The trained encoder: a sentence-transformers folder of `train/retriever.py`, with the record of its training."""

import json
from pathlib import Path
from typing import Any

from builders.errors import KitError
from builders.expanders.adapter import TRAINING


KIND = "retriever"
MODULES = "modules.json"


def read_retriever(folder: Path) -> dict[str, Any]:
    """The provenance of a retriever's folder.

    Raises:
        KitError: the folder is missing, unfinished, or no retriever of the kit's.
    """
    if not folder.is_dir():
        raise KitError(f"{folder}: no such retriever; train it first: accelerate launch train/retriever.py --config …")
    try:
        training = json.loads((folder / TRAINING).read_text())
    except (OSError, ValueError) as error:
        raise KitError(
            f"{folder}: {TRAINING} is missing or broken, so this is no finished retriever; train it"
        ) from error
    if not isinstance(training, dict) or training.get("kind") != KIND:
        raise KitError(f"{folder}: no retriever; train one with: accelerate launch train/retriever.py --config …")
    if not (folder / MODULES).is_file():
        raise KitError(f"{folder}: {MODULES} is missing; train the retriever again")
    return training


def is_retriever(folder: Path) -> bool:
    """Whether the record in a folder says that it is a retriever, finished or not."""
    try:
        return bool(json.loads((folder / TRAINING).read_text())["kind"] == KIND)
    except (OSError, ValueError, KeyError, TypeError):
        return False

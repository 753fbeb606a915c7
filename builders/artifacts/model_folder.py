"""Folders of trained models (adapter, retriever, filter): their training's record, and whether they are whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.artifacts.files import file_hash, files_below, require_files
from builders.artifacts.provenance import same_settings
from builders.artifacts.records import misfit, read_record
from builders.artifacts.swap import recover
from builders.errors import KitError


TRAINING = "training.json"
TIMING = "timing.json"
ADAPTER, RETRIEVER, FILTER = "adapter", "retriever", "filter"
# What readers of the record rely on, in whichever version it was written.
_BUILD = {
    **{"prompts?": [{"id": str, "sha256": str}], "settings?": dict, "student_prompt?": str, "kind?": str},
    **{"collection?": {"name?": str, "fingerprint?": str}, "expander?": {"model_id?": str}},
}
SHAPE = {
    **{"base?": {"model_id": str, "revision?": str, "weights?": str}, "stage?": str, "code_version?": str},
    **{"settings?": {"model?": dict, "training?": dict}, "data?": {str: _BUILD}, "files?": {str: str}, "log?": [dict]},
    **{"parent?": str, "versions?": {str: str}, "rows?": {str: int}, "steps?": int, "command?": str},
}
# What the record of a training does not vouch for: itself, what differs from run to run, and what cards renew.
RENEWED = frozenset({TRAINING, TIMING, "README.md", "expander.json", "gain.png", "ndcg_delta.png"})
_OF_TOKENIZERS = (".json", ".jinja", ".model")
_REMEDY = "put back what was trained, or train and evaluate it again"


@dataclass(frozen=True)
class _Kind:
    """What a kind of model folder must hold beside its record, and what trains one."""

    weights: str
    article: str
    trained_by: str


KINDS = {
    ADAPTER: _Kind("adapter_model.safetensors", "an", "accelerate launch train/sft.py --config …"),
    RETRIEVER: _Kind("modules.json", "a", "accelerate launch train/retriever.py --config …"),
    FILTER: _Kind("model.safetensors", "a", "python train/filter.py --config …"),
}


def read_training(folder: Path, kind: str) -> dict[str, Any]:
    """The record of the training that made a model folder.

    Args:
        folder (`Path`):
            The folder.
        kind (`str`):
            What it has to be: `adapter`, `retriever` or `filter`.

    Raises:
        KitError: the folder is missing, unfinished or altered since, or holds another kind of model.

    Example:

        >>> read_training(Path("out/demo/models/sft"), "adapter")["steps"]  # doctest: +SKIP
        36
    """
    training = _read(folder, kind)
    # Earlier records vouch for nothing.
    if "files" in training:
        require_files(folder, training["files"], TRAINING, _REMEDY)
    return training


def require_unaltered(folder: Path) -> None:
    """Refuse a folder with a file that was altered since the training whose record lies there, if one does.

    Not all that a training left need be there: whoever only uses a model fetches what it loads.

    Raises:
        KitError: a file was altered.
    """
    try:
        files = read_record(folder / TRAINING)["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    there = files_below(folder)
    require_files(folder, {name: value for name, value in files.items() if name in there}, TRAINING, _REMEDY)


def require_nothing_added(folder: Path, training: Mapping[str, Any]) -> None:
    """Refuse what a tokenizer may be read from and the training did not leave, where it vouches for its files.

    Raises:
        KitError: there is such a file.
    """
    for name in files_below(folder) if "files" in training else ():
        if name.endswith(_OF_TOKENIZERS) and name not in training["files"] and name not in RENEWED:
            raise KitError(f"{folder / name}: was added after the training; take it out")


def _read(folder: Path, kind: str) -> dict[str, Any]:
    known = KINDS[kind]
    recover(folder)
    if not folder.is_dir():
        raise KitError(f"{folder}: no such {kind}; train it first: {known.trained_by}")
    try:
        training = read_record(folder / TRAINING)
    except (OSError, ValueError) as error:
        raise KitError(
            f"{folder}: {TRAINING} is missing or broken, so this is no finished {kind}; train it"
        ) from error
    # Early adapters do not say what they are.
    if not isinstance(training, dict) or training.get("kind", ADAPTER) != kind:
        raise KitError(f"{folder}: no {kind}; train one with: {known.trained_by}")
    shape = {**SHAPE, "data?": _BUILD} if kind == FILTER else SHAPE  # A filter learns from one dataset.
    if odd := misfit(training, shape):
        raise KitError(f"{folder}: {TRAINING}: {odd} is not as the kit writes it; train the {kind} again")
    if not (folder / known.weights).is_file():
        raise KitError(f"{folder}: {known.weights} is missing; train the {kind} again")
    return training


def kind_of_model(folder: Path) -> str | None:
    """Which kind of model the record in a folder names, finished or not; `None` where there is no such record."""
    try:
        training = read_record(folder / TRAINING)
    except (OSError, ValueError):
        return None
    return str(training.get("kind", ADAPTER)) if isinstance(training, dict) else None


def is_trained(folder: Path, kind: str, settings: dict[str, Any]) -> bool:
    """Whether the folder holds a whole model of this kind that was trained with exactly these settings."""
    try:
        return same_settings(_read(folder, kind).get("settings"), settings)
    except KitError:
        return False


def adapter_name(adapter: str) -> str:
    """How provenance names an adapter: a Hub id as it is, a folder by its name and the hash of its weights."""
    weights = Path(adapter) / KINDS[ADAPTER].weights
    if not weights.is_file():
        return adapter
    return f"{Path(adapter).name}@sha256:{file_hash(weights)[:16]}"


def hashed_files(folder: Path) -> dict[str, str]:
    """Name → sha256 of the files that the record of a training vouches for."""
    return {name: file_hash(path) for name, path in files_below(folder).items() if name not in RENEWED}

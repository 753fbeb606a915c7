"""The rendered export: an adapter merged into its base model, as a checkpoint or as a GGUF file."""

import json
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import file_hash
from builders.errors import KitError
from builders.publishing.card_merge import read_card
from builders.publishing.staging.staged import Rendered, files_below, refuse_dirty


EXPORT = "export.json"
# Format → what the Hub calls the relation to the base model.
RELATIONS = {"merged": "merge", "gguf": "quantized"}


def read_export(folder: Path) -> dict[str, Any]:
    """The provenance of an export folder.

    Raises:
        KitError: there is none, or none that can be read.
    """
    try:
        record = json.loads((folder / EXPORT).read_text())
        if record["kind"] not in RELATIONS or not record["files"]:
            raise ValueError(record["kind"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{folder}: {EXPORT} is missing or broken; {_again(folder)}") from error
    return dict(record)


def open_export(folder: Path) -> Rendered:
    """Check an export folder.

    Raises:
        KitError: it is unfinished or edited, was made by edited code, or its card does not name its base model.
    """
    record = read_export(folder)
    refuse_dirty(folder, record)
    for name, expected in record["files"].items():
        if not (folder / name).is_file():
            raise KitError(f"{folder}: {name} is missing; {_again(folder)}")
        if file_hash(folder / name) != expected:
            raise KitError(
                f"{folder / name}: truncated or edited (its hash is not the one in {EXPORT}); {_again(folder)}"
            )
    _check_card(folder, record)
    inside = files_below(folder)
    names = {*record["files"], EXPORT, CARD}
    return Rendered(
        folder=folder,
        kind=record["kind"],
        repo_type="model",
        files={name: folder / name for name in sorted(names)},
        version=str(record.get("code_version", "")),
        rows={},
        left_out=tuple(sorted(set(inside) - names)),
    )


def _check_card(folder: Path, record: dict[str, Any]) -> None:
    path = folder / CARD
    if not path.is_file():
        raise KitError(f"{folder}: {CARD} is missing, so the export is unfinished; {_again(folder)}")
    data = read_card(path.read_text(), str(path)).data
    base, named = record["base"]["model_id"], data.get("base_model")
    is_named = base in (named if isinstance(named, list) else [named])
    if not is_named or data.get("base_model_relation") != RELATIONS[record["kind"]]:
        raise KitError(f"{path}: does not say that it was made of {base}; {_again(folder)}")


def _again(folder: Path) -> str:
    return f"make it again: python -m builders export ADAPTER --format FORMAT --output_dir {folder}"

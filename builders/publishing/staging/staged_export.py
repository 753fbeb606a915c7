"""Check an export's folder before it is published: an adapter merged into its base model, or that as a GGUF file."""

from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import require_files
from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.publishing.staging.staged_folder import StagedFolder, read_card_data, require_base, stage


EXPORT = "export.json"
# Format → what the Hub calls the relation to the base model.
RELATIONS = {"merged": "merge", "gguf": "quantized"}


def read_export(folder: Path) -> dict[str, Any]:
    """The provenance of an export folder.

    Raises:
        KitError: there is none, or none that can be read.
    """
    try:
        record = read_record(folder / EXPORT)
        if record["kind"] not in RELATIONS or not record["files"]:
            raise ValueError(record["kind"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{folder}: {EXPORT} is missing or broken; {_again(folder)}") from error
    return dict(record)


def open_export(folder: Path) -> StagedFolder:
    """Check an export folder.

    Raises:
        KitError: it is unfinished or edited, was made by edited code, or its card does not name its base model.
    """
    record, again = read_export(folder), _again(folder)
    names = {*record["files"], EXPORT, CARD}
    staged = stage(folder, record["kind"], "model", record, names.__contains__)
    require_files(folder, record["files"], EXPORT, again)
    data = read_card_data(folder, f"{CARD} is missing, so the export is unfinished", again)
    require_base(folder, data, record["base"]["model_id"], RELATIONS[record["kind"]], again)
    return staged


def _again(folder: Path) -> str:
    return f"make it again: python -m builders export ADAPTER --format FORMAT --output_dir {folder}"

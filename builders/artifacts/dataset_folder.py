"""Read rendered dataset folders: what they hold, whether they are whole and current, and their rows.

A rendered folder holds `README.md` (the card), `build.json` (provenance, and a hash of every other file but the card
and the timing), `timing.json` (what differs from run to run) and the payload, e.g. `data/<config>/<split>-….parquet`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders.artifacts.files import require_files
from builders.artifacts.provenance import same_settings
from builders.artifacts.records import misfit, read_record
from builders.artifacts.schema import SCHEMA_VERSION
from builders.artifacts.swap import recover
from builders.errors import KitError


BUILD = "build.json"
TIMING = "timing.json"
CARD = "README.md"

# What readers of a record rely on.
PROMPTS = [{"id": str, "sha256": str, "version?": int, "condition?": str}]
SHAPE = {
    **{"files": {str: str}, "rows": {str: {str: int}}, "settings": dict, "code_version": str, "prompts": PROMPTS},
    **{"collection": {"name": str, "fingerprint": str, "language?": str, "queries?": {str: int}}},
    **{"expander": {"model_id": str}, "student_prompt?": str, "queries?": {str: int}, "yield?": dict},
}
# What others are made from.
OF_EXPANSIONS = {
    **{"yield": dict, "select": str, "student_prompt": str, "retriever": str, "formation": str, "seed": int},
    **{"grading_depth": int, "rows": {"raw": {str: int}}},
}

Rows = list[dict[str, Any]]
Tables = Mapping[str, Mapping[str, Rows]]


def read_build(folder: Path) -> dict[str, Any] | None:
    """The provenance of a rendered folder, or `None` where there is none (or no longer a readable one)."""
    try:
        build = read_record(folder / BUILD)
    except (OSError, ValueError):
        return None
    return build if isinstance(build, dict) else None


def is_current(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder was made, whole, with exactly these settings."""
    build = read_build(folder)
    return build is not None and same_settings(build.get("settings"), settings) and (folder / CARD).exists()


def open_dataset(folder: Path, kind: str) -> dict[str, Any]:
    """Check a rendered dataset folder and return its provenance.

    Args:
        folder (`Path`):
            The folder.
        kind (`str`):
            `expansions`, `references` or `preferences`.

    Raises:
        KitError: the folder is missing, unfinished, truncated, of another kind or of another schema version.
    """
    recover(folder)
    if not folder.is_dir():
        raise KitError(f"{folder}: no such dataset folder; make it with: python -m builders {kind}")
    build = read_build(folder)
    if build is None:
        raise KitError(f"{folder}: {BUILD} is missing or broken; make the folder again: python -m builders {kind}")
    if build.get("kind") != kind:
        raise KitError(f"{folder}: holds {build.get('kind')!r}, not {kind!r}")
    if build.get("schema_version") != SCHEMA_VERSION:
        raise KitError(
            f"{folder}: schema version {build.get('schema_version')}, this kit reads {SCHEMA_VERSION}; make it again"
        )
    if odd := misfit(build, {**SHAPE, **(OF_EXPANSIONS if kind == "expansions" else {})}):
        raise KitError(f"{folder}: {BUILD}: {odd} is not as the kit writes it; make the folder again")
    require_files(folder, build["files"], BUILD, f"make the folder again with: python -m builders {kind}")
    return build


def read_rows(folder: Path, config: str, split: str) -> Rows:
    """The rows of one config and split of a rendered folder; empty where there is no such split.

    Raises:
        KitError: a file is no Parquet.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    rows: Rows = []
    for shard in sorted((folder / "data" / config).glob(f"{split}-*.parquet")):
        try:
            rows += parquet.read_table(shard).to_pylist()
        except ArrowException as error:
            raise KitError(f"{shard}: cannot be read ({str(error).splitlines()[0]}); make the folder again") from error
    return rows

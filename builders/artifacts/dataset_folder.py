"""The folder: what is published, rendered on disk in the Hub's layout, whole or not at all.

A rendered folder holds `README.md` (the card), `build.json` (provenance, and a hash of every other file but the card
and the timing), `timing.json` (what differs from run to run) and the payload, e.g. `data/<config>/<split>-….parquet`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_folder, atomic_write
from builders.artifacts.ownership import DATASET
from builders.artifacts.schema import CONFIGS, SCHEMA_VERSION, features
from builders.errors import KitError


BUILD = "build.json"
TIMING = "timing.json"
CARD = "README.md"
SHARD_BYTES = 256 * 2**20

Rows = list[dict[str, Any]]
Tables = Mapping[str, Mapping[str, Rows]]


def dump_json(value: Any) -> str:
    """JSON as the kit writes it: sorted, indented, readable in any language, equal bytes for equal values."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def file_hash(path: Path) -> str:
    """sha256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def render_dataset(
    folder: Path, tables: Tables, build: dict[str, Any], timing: dict[str, Any], repo_id: str | None = None
) -> None:
    """Write a dataset folder: all of it, or nothing.

    Args:
        folder (`Path`):
            Replaced as a whole if it exists and holds a dataset.
        tables (`Mapping`):
            Config → split → rows, in the columns of `builders.artifacts.schema`. Empty splits are left out.
        build (`dict`):
            Provenance; `kind`, `settings` and `code_version` at least. Schema version and file hashes are added here.
        timing (`dict`):
            Seconds and dates, kept apart so that the rest is the same bytes for the same seed.
        repo_id (`str`, *optional*):
            Where it will be published; the card's load line names it, otherwise the folder.

    Raises:
        KitError: a config would be empty, or the folder holds something else.
    """
    with atomic_folder(folder, DATASET) as work:
        for config, splits in tables.items():
            for split, rows in splits.items():
                if rows:
                    _write_shards(work / "data" / config, config, split, rows)
            if not any(splits.values()):
                raise KitError(f"config {config!r} has no rows: nothing to publish; see the yield printed above")
        payload = sorted(path for path in work.rglob("*") if path.is_file())
        files = {path.relative_to(work).as_posix(): file_hash(path) for path in payload}
        rows_in = {c: {s: len(rows) for s, rows in splits.items() if rows} for c, splits in tables.items()}
        build = {**build, "schema_version": SCHEMA_VERSION, "rows": rows_in, "files": files}
        (work / BUILD).write_text(dump_json(build))
        (work / TIMING).write_text(dump_json(timing))
        (work / CARD).write_text(_card(work, repo_id or folder.as_posix()))


def renew_card(folder: Path, repo_id: str | None) -> None:
    """Write the card of a finished folder anew where its text has changed: another repository, another template."""
    text = _card(folder, repo_id or folder.as_posix())
    if (folder / CARD).read_text() != text:
        atomic_write(folder / CARD, text.encode())


def _card(folder: Path, where: str) -> str:
    """The card, from what lies in the folder and nothing else, so that it can be made again at any time."""
    from builders.artifacts.dataset_card import dataset_card

    build = json.loads((folder / BUILD).read_text())
    tables = {
        config: {split: read_rows(folder, config, split) for split in build["rows"][config]}
        for config in CONFIGS
        if config in build["rows"]
    }
    return dataset_card(folder, tables, build, where)


def _write_shards(folder: Path, config: str, split: str, rows: Rows) -> None:
    from datasets import Dataset, disable_progress_bars, enable_progress_bars

    folder.mkdir(parents=True, exist_ok=True)
    dataset = Dataset.from_list(rows, features=features(config))
    number = min(len(rows), max(1, -(-dataset.data.nbytes // SHARD_BYTES)))
    disable_progress_bars()
    try:
        for index in range(number):
            shard = dataset.shard(number, index, contiguous=True)
            shard.to_parquet(folder / f"{split}-{index:05d}-of-{number:05d}.parquet")
    finally:
        enable_progress_bars()


def read_build(folder: Path) -> dict[str, Any] | None:
    """The provenance of a rendered folder, or `None` where there is none (or no longer a readable one)."""
    try:
        build = json.loads((folder / BUILD).read_text())
    except (OSError, ValueError):
        return None
    return build if isinstance(build, dict) else None


def is_current(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder was made, whole, with exactly these settings."""
    build = read_build(folder)
    return build is not None and build.get("settings") == json.loads(json.dumps(settings)) and (folder / CARD).exists()


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
    for name, expected in build["files"].items():
        path = folder / name
        if not path.is_file():
            raise KitError(f"{folder}: {name} is missing; make the folder again with: python -m builders {kind}")
        if file_hash(path) != expected:
            raise KitError(f"{path}: truncated or edited (its hash is not the one in {BUILD}); make the folder again")
    return build


def read_rows(folder: Path, config: str, split: str) -> Rows:
    """The rows of one config and split of a rendered folder; empty where there is no such split."""
    import pyarrow.parquet as parquet

    shards = sorted((folder / "data" / config).glob(f"{split}-*.parquet"))
    return [row for shard in shards for row in parquet.read_table(shard).to_pylist()]

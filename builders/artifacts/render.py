"""Write a dataset folder in the Hub's layout: Parquet shards, provenance, timing and card, whole or not at all."""

from pathlib import Path
from typing import Any

from builders.artifacts.dataset_card import dataset_card
from builders.artifacts.dataset_folder import BUILD, CARD, TIMING, Rows, Tables, read_rows
from builders.artifacts.files import atomic_folder, atomic_write, dump_json, file_hash
from builders.artifacts.ownership import DATASET
from builders.artifacts.records import read_record
from builders.artifacts.schema import CONFIGS, SCHEMA_VERSION, features
from builders.errors import KitError


SHARD_BYTES = 256 * 2**20


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
                raise KitError(f"config {config!r} has no rows: nothing to publish; the counts above say why")
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
    if (folder / CARD).read_bytes() != text.encode():
        atomic_write(folder / CARD, text.encode())


def _card(folder: Path, where: str) -> str:
    """The card, from what lies in the folder and nothing else, so that it can be made again at any time."""
    build = read_record(folder / BUILD)
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

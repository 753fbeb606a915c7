"""Read a published dataset as a trainer wants it, from a rendered folder or from the Hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import BUILD, open_dataset, read_build
from builders.artifacts.download import download
from builders.artifacts.files import file_hash
from builders.artifacts.schema import CONFIGS, SCHEMA_VERSION
from builders.errors import KitError


@dataclass(frozen=True)
class Pairs:
    """Rows of one config and split, with where they came from.

    Args:
        rows (`datasets.Dataset`):
            In the columns of the config.
        build (`dict`):
            The dataset's `build.json`.
        build_sha256 (`str`):
            Its hash: which data this is.
        split (`str`):
            Which rows of it.
    """

    rows: Any
    build: dict[str, Any]
    build_sha256: str
    split: str

    def settings(self) -> dict[str, str]:
        """Which data this is, as settings of a training say it."""
        return {"build_sha256": self.build_sha256, "split": self.split}


def load_pairs(source: str, kind: str, config: str, split: str, revision: str | None = None) -> Pairs:
    """Read a config of a dataset.

    Args:
        source (`str`):
            A rendered folder, or a Hub dataset id.
        kind (`str`):
            `expansions` or `preferences`.
        config (`str`), split (`str`):
            Which rows.
        revision (`str`, *optional*):
            Of a Hub dataset.

    Raises:
        KitError: the dataset is missing, broken, of another schema version, or lacks the config or split.
    """
    folder = Path(source) if Path(source).is_dir() or source.count("/") != 1 else _download(source, revision)
    build = open_dataset(folder, kind)
    if config not in build["rows"]:
        raise KitError(f"{source}: no config {config!r}; there are {', '.join(build['rows'])}")
    if split not in build["rows"][config]:
        raise KitError(f"{source}: config {config!r} has no split {split!r}; there are {list(build['rows'][config])}")
    rows = _rows(folder, config, split)
    missing = {column.name for column in CONFIGS[config]} - set(rows.column_names)
    if missing:
        raise KitError(f"{source}: config {config!r} lacks the columns {', '.join(sorted(missing))}")
    if not len(rows):
        raise KitError(f"{source}: split {split!r} of config {config!r} is empty: there is nothing to train on")
    return Pairs(rows, build, file_hash(folder / BUILD), split)


def _rows(folder: Path, config: str, split: str) -> Any:
    """The very files that the record vouches for, whatever the card says of them."""
    from datasets import load_dataset

    files = [str(path) for path in sorted((folder / "data" / config).glob(f"{split}-*.parquet"))]
    try:
        return load_dataset("parquet", data_files={split: files}, split=split)
    except Exception as error:  # Each of the libraries underneath has classes of its own.
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise KitError(f"{folder}: config {config!r} cannot be read ({reason}); make the folder again") from error


def require_differing(pairs: Pairs, source: str) -> None:
    """Raise KitError where a pair's chosen answer is its rejected one: it would teach nothing but noise."""
    columns = (pairs.rows[name] for name in ("query_id", "chosen", "rejected"))
    for number, (query_id, chosen, rejected) in enumerate(zip(*columns, strict=True)):
        if chosen[0]["content"].split() == rejected[0]["content"].split():
            raise KitError(
                f"{source}: row {number} of split {pairs.split!r} (query {query_id!r}): chosen and rejected are the "
                "same text; build the preferences again"
            )


def _download(repo_id: str, revision: str | None) -> Path:
    what = f"dataset {repo_id!r} cannot be had from the Hub"
    folder = download(what, repo_id, revision, repo_type="dataset")
    if read_build(folder) is None:
        raise KitError(f"dataset {repo_id!r} has no {BUILD}: it was not made by this kit (schema {SCHEMA_VERSION})")
    return folder

"""The collection that a Space carries: the data files of its folder."""

from pathlib import Path

from builders.collections.files.metadata import read_metadata
from builders.collections.pydocs.libraries import is_pydocs
from builders.errors import KitError


COLLECTION_FILES = (".jsonl", ".json", ".tsv", ".csv", ".txt", ".parquet", ".xml", ".trec", ".yaml")
COMPRESSED = (".gz", ".zst")
# A Space is a git repository with a small disk: a larger collection belongs into a dataset of its own.
COLLECTION_BYTES = 200 * 2**20


def carry_collection(name: str, files: dict[str, bytes | Path]) -> str:
    """Put a local collection among the files of a Space.

    Returns:
        Its place in the Space; the name itself where it is no local collection.

    Raises:
        KitError: it is too large to carry, or a part of it lies outside of its folder.
    """
    folder = Path(name).expanduser()
    if is_pydocs(name) or not folder.exists():
        return name
    place = f"collection/{folder.resolve().name}"
    carried = {place: folder} if folder.is_file() else _data_files(folder, place)
    size = sum(path.stat().st_size for path in carried.values())
    if size > COLLECTION_BYTES:
        raise KitError(
            f"{folder}: {size >> 20} MiB are too many to carry in a Space (at most {COLLECTION_BYTES >> 20})"
        )
    files |= carried
    return place


def _data_files(folder: Path, place: str) -> dict[str, Path]:
    corpus = read_metadata(folder).corpus
    if corpus is not None and not (folder / corpus).resolve().is_relative_to(folder.resolve()):
        raise KitError(
            f"{folder}: its corpus {corpus!r} lies elsewhere, and a Space carries one folder; copy it there"
        )
    paths = (path for path in sorted(folder.rglob("*")) if _is_data(path))
    return {f"{place}/{path.relative_to(folder).as_posix()}": path for path in paths}


def _is_data(path: Path) -> bool:
    name = path.with_suffix("") if path.suffix in COMPRESSED else path
    return path.is_file() and name.suffix in COLLECTION_FILES and not path.name.startswith(".")

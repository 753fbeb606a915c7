"""Data files of a dataset repository on the Hub: nothing else of it is fetched, and nothing of it is executed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from builders.artifacts.download import download
from builders.collections.files.lines import COMPRESSED


CARD = "README.md"
# No code, no pickles.
DATA_SUFFIXES = (
    ".parquet",
    *(f".{form}{compressed}" for form in ("jsonl", "json", "csv", "tsv") for compressed in ("", *COMPRESSED)),
)


class Snapshot(NamedTuple):
    """Files of a repository at one commit, in the Hub's cache on this machine."""

    folder: Path
    commit: str


def snapshot(repo_id: str, revision: str | None, patterns: Sequence[str]) -> Snapshot:
    """Fetch the files that the patterns name, at one commit; what is in the cache is not fetched again.

    Args:
        repo_id (`str`):
            `OWNER/NAME` of a dataset repository.
        revision (`str`, *optional*):
            Branch, tag or commit; by default `main`.
        patterns (`Sequence[str]`):
            Paths, perhaps with wildcards; of what they name, the card and data files are fetched.

    Raises:
        KitError: there is no such repository or revision, it may not be read, or there is no connection.
    """
    at = f"{repo_id}@{revision}" if revision else repo_id
    allowed = [pattern for pattern in patterns if pattern.endswith((CARD, *DATA_SUFFIXES))]
    allowed += [f"{pattern}{suffix}" for pattern in patterns if pattern.endswith("*") for suffix in DATA_SUFFIXES]
    folder = download(at, repo_id, revision, repo_type="dataset", allow=allowed)
    return Snapshot(folder, folder.name)

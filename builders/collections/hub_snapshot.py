"""Data files of a dataset repository on the Hub: nothing else of it is fetched, and nothing of it is executed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from builders.collections.files.lines import COMPRESSED
from builders.errors import KitError


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
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import httpx

    at = f"{repo_id}@{revision}" if revision else repo_id
    allowed = [pattern for pattern in patterns if pattern.endswith((CARD, *DATA_SUFFIXES))]
    allowed += [f"{pattern}{suffix}" for pattern in patterns if pattern.endswith("*") for suffix in DATA_SUFFIXES]
    try:
        folder = snapshot_download(repo_id, repo_type="dataset", revision=revision, allow_patterns=allowed)
    except HFValidationError as error:
        raise KitError(f"{at}: not a repository of the Hub ({_said(error)}); give OWNER/NAME") from error
    except GatedRepoError as error:
        raise KitError(f"{at}: a gated dataset; accept its terms on the Hub and log in (hf auth login)") from error
    except RepositoryNotFoundError as error:
        raise KitError(
            f"{at}: no such folder here, and no such dataset on the Hub, or none this token sees"
        ) from error
    except RevisionNotFoundError as error:
        raise KitError(f"{at}: the dataset has no such branch, tag or commit") from error
    except LocalEntryNotFoundError as error:
        raise KitError(
            f"{at}: no such folder here, and not in the Hub's cache while the Hub cannot be reached; is "
            "HF_HUB_OFFLINE set?"
        ) from error
    except (HfHubHTTPError, httpx.HTTPError, ConnectionError, RuntimeError) as error:
        raise KitError(f"{at}: the Hub gave no answer that helps ({_said(error)}); try again") from error
    return Snapshot(Path(folder), Path(folder).name)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

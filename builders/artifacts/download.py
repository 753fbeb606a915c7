"""Download files of a repository on the Hub, at one commit; nothing of it is executed."""

from collections.abc import Sequence
from pathlib import Path

from builders.errors import KitError


def download(
    what: str,
    repo_id: str,
    revision: str | None = None,
    *,
    repo_type: str = "model",
    allow: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
) -> Path:
    """Fetch a repository's files; what is in the Hub's cache on this machine is not fetched again.

    Args:
        what (`str`):
            Begins the error line: what is missing, in the caller's words.
        repo_id (`str`), revision (`str`, *optional*):
            `OWNER/NAME`, and a branch, tag or commit; by default `main`.
        repo_type (`str`, *optional*, defaults to `"model"`):
            `model` or `dataset`.
        allow (`Sequence[str]`, *optional*), ignore (`Sequence[str]`, *optional*):
            Patterns of the files to fetch, and of those to leave out.

    Returns:
        The folder of the snapshot; its name is the commit.

    Raises:
        KitError: there is no such repository or revision, it may not be read, or there is no connection.

    Example:

        >>> download("model 'a/b'", "HuggingFaceTB/SmolLM2-135M-Instruct", allow=["*.json"])  # doctest: +SKIP
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

    try:
        return Path(
            snapshot_download(
                repo_id,
                repo_type=repo_type,
                revision=revision,
                allow_patterns=None if allow is None else list(allow),
                ignore_patterns=None if ignore is None else list(ignore),
            )
        )
    # What the client says below is pages long, and no help: the line has what helps.
    except HFValidationError as error:
        raise KitError(f"{what}: no such folder here, and no name of a repository ({_said(error)})") from None
    except GatedRepoError:
        raise KitError(
            f"{what}: a gated {repo_type}; accept its terms on the Hub and log in (hf auth login)"
        ) from None
    except RepositoryNotFoundError:
        raise KitError(
            f"{what}: no such folder here, and no such {repo_type} on the Hub, or none this token sees"
        ) from None
    except RevisionNotFoundError:
        raise KitError(f"{what}: the {repo_type} has no such branch, tag or commit") from None
    except LocalEntryNotFoundError:
        raise KitError(
            f"{what}: no such folder here, and not in the Hub's cache while the Hub cannot be reached (no network, or "
            "HF_HUB_OFFLINE is set)"
        ) from None
    except (HfHubHTTPError, httpx.HTTPError, ConnectionError, RuntimeError, ValueError) as error:
        raise KitError(f"{what}: the Hub gave no answer that helps ({_said(error)}); try again") from None


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

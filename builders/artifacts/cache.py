"""Finds the kit's cache folder; deleting it costs time, never data."""

import os
import shutil
from pathlib import Path


def cache_dir(*parts: str) -> Path:
    """A folder of the kit's cache, created if missing.

    The root is `$QUERY_EXPANSION_KIT_CACHE`, else `$XDG_CACHE_HOME/query-expansion-kit`, else
    `~/.cache/query-expansion-kit`.
    """
    own = os.environ.get("QUERY_EXPANSION_KIT_CACHE")
    general = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = (Path(own) if own else general / "query-expansion-kit").joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def forget(fingerprint: str) -> None:
    """Delete what retrievers keep of a collection, by its fingerprint, for documents that are to leave no trace."""
    for path in cache_dir().glob(f"*/{fingerprint}-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

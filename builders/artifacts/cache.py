"""Finds the kit's cache folder; deleting it costs time, never data."""

import os
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

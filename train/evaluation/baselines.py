"""Baselines of an evaluation, other retrievers that search the plain query, as far as they are installed."""

import importlib.util
from collections.abc import Sequence

from builders.cli import say
from builders.retrievers.load import require_retriever


EXTRA = "pip install 'query-expansion-kit[pyserini]'"
# How a missing baseline is called beneath the table.
SPOKEN = {"pyserini": "BM25 by Lucene", "pyserini+rm3": "BM25+RM3"}


def missing_pyserini() -> str | None:
    """How to install pyserini where it is not installed."""
    there = all(importlib.util.find_spec(name) is not None for name in ("pyserini", "jnius_config"))
    return None if there else EXTRA


def available(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The baselines that can be run here, and of the others how to install them; each is said aloud.

    An evaluation is not to fail for the want of Java: the table says what is missing.

    Raises:
        KitError: a name is no retriever's.
    """
    there: list[str] = []
    missing: dict[str, str] = {}
    for name in names:
        require_retriever(name)
        remedy = missing_pyserini() if name.startswith("pyserini") else None
        if remedy is None:
            there.append(name)
        else:
            missing[SPOKEN.get(name, name)] = remedy
            say(f"baseline {name} is left out: the extra pyserini is not installed: {remedy}")
    return there, missing

"""Expands search queries with small models, and measures what that gains: the kit as a library.

    from builders import evaluate, load_collection, load_expander, load_retriever

    expander = load_expander("you/my-expander")
    print(expander.expand("fit a straight line through points"))

Importing this package imports none of torch, transformers, jnius or gradio; each is drawn in by the one function
that needs it.
"""

import importlib
from typing import Any


__version__ = "0.1.0"
# Read when they are first asked for; `__init__.pyi` tells type checkers the same.
_HOMES = {
    "load_expander": "builders.expanders.trained",
    "load_collection": "builders.collections.load",
    "load_retriever": "builders.retrievers.load",
    "evaluate": "builders.grading.expander_evaluation",
    "KitError": "builders.errors",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

"""Reads the kit's JSON records, and says where one is not of the shape that it was written in."""

import json
from pathlib import Path
from typing import Any

from builders.errors import KitError


# What a value of another shape than its reader expects raises there.
MISSHAPEN = (ValueError, LookupError, TypeError, AttributeError)


def read_record(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no plain file, no text in UTF-8, or no JSON.
    """
    if path.exists() and not path.is_file():
        raise ValueError("no plain file")
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str) -> Any:
    """What a text in JSON holds.

    Raises:
        JSONDecodeError: it is none, or nested deeper than Python reads it.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise json.JSONDecodeError("nested too deeply", text, 0) from error


def refuse_pipe(path: Path) -> None:
    """Raise KitError for a named pipe, where a read may wait for ever; what a shell opens, `<(…)`, has a writer."""
    if not path.as_posix().startswith("/dev/") and path.is_fifo():
        raise KitError(f"{path}: a named pipe, which may never end: give a file")


def refuse_pipes(folder: Path) -> None:
    """Raise KitError for a named pipe in a folder of a model, all of whose files a library may read."""
    for path in folder.rglob("*"):
        refuse_pipe(path)


def misfit(value: Any, shape: Any, at: str = "") -> str | None:
    """Where a JSON value is not of a shape; `None` where it is.

    Args:
        value (`Any`):
            As `json.loads` gives it.
        shape (`Any`):
            A type; `[shape]`, a list of such; `{str: shape}`, an object of such; or `{"name": shape}`, an object that
            has these members and may have others. A member `"name?"` may be missing, or null.
        at (`str`, *optional*):
            Where the value stands in the record.
    """
    if isinstance(shape, type):
        right = isinstance(value, shape) and not (isinstance(value, bool) and shape is not bool)
        return None if right else at or "the whole"
    if isinstance(shape, list):
        parts = [(str(number), one, shape[0]) for number, one in enumerate(value)] if isinstance(value, list) else None
    elif not isinstance(value, dict):
        parts = None
    elif str in shape:
        parts = [(name, one, shape[str]) for name, one in value.items()]
    else:
        wanted = {name.removesuffix("?"): (name.endswith("?"), one) for name, one in shape.items()}
        parts = [
            (name, value.get(name), one)
            for name, (optional, one) in wanted.items()
            if not (optional and value.get(name) is None)
        ]
    if parts is None:
        return at or "the whole"
    found = (misfit(one, inner, f"{at}.{name}" if at else name) for name, one, inner in parts)
    return next((place for place in found if place), None)

"""Loads the collection again that a dataset was made from, and recognises it by its fingerprint."""

from collections.abc import Mapping
from typing import Any

from builders.collections.collection import Collection
from builders.collections.load import load_collection
from builders.errors import KitError


def load_recorded_collection(build: Mapping[str, Any], source: str, name: str | None) -> Collection:
    """The collection that a dataset was made from.

    Args:
        build (`Mapping`):
            The dataset's `build.json`.
        source (`str`):
            The dataset, for error messages.
        name (`str`, *optional*):
            Where the collection lies now; by default where it lay when the dataset was made.

    Raises:
        KitError: it cannot be loaded, or is not the one that the dataset was made from.
    """
    settings = build["settings"]
    where = name or settings.get("collection")
    if where is None:
        raise KitError(f"{source}: does not say where its collection lies: give --collection")
    collection = load_collection(str(where), settings.get("language"))
    made_from = build["collection"]["fingerprint"]
    if collection.fingerprint != made_from:
        raise KitError(
            f"{source}: was made from {build['collection']['name']!r} with fingerprint {made_from}, and {where} has "
            f"{collection.fingerprint}: other documents, queries or judgments; give --collection the same one"
        )
    return collection

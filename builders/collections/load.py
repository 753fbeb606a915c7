"""From the name of a collection, as commands take it, to the collection."""

from pathlib import Path

from builders.collections.beir import load_beir
from builders.collections.collection import Collection
from builders.collections.pydocs import load_pydocs
from builders.errors import KitError


def load_collection(name: str) -> Collection:
    """The embedded collection `pydocs`, or the folder in BEIR form that `name` is the path of.

    Raises:
        KitError: there is no such collection, or it cannot be read.
    """
    if name == "pydocs":
        return load_pydocs()
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return load_beir(folder)
    raise KitError(
        f"no collection {name!r}: give pydocs, or the path of a folder in BEIR form "
        "(corpus.jsonl, queries.jsonl, qrels/)"
    )

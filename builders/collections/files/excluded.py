"""Reads `excluded.tsv`: the documents that no search for a query may find, as BRIGHT lists them."""

from dataclasses import replace
from pathlib import Path

from builders.collections.collection import Collection
from builders.collections.files.tables import tsv_cells
from builders.errors import KitError


FILE = "excluded.tsv"
_HEADER = "query-id"


def with_excluded(collection: Collection, folder: Path) -> Collection:
    """The collection with what its folder's `excluded.tsv` lists: query id, document id, one pair a line.

    Raises:
        KitError: a line is no pair.
    """
    path = folder / FILE
    if not path.is_file():
        return collection
    excluded = {name: set(found) for name, found in collection.excluded.items()}
    for place, cells in tsv_cells(path):
        if cells[0] == _HEADER:
            continue
        if len(cells) != 2 or not all(cell.strip() for cell in cells):
            raise KitError(f"{place}: two columns are expected, query id and document id")
        if cells[0] in collection.queries:  # Others are not judged.
            excluded.setdefault(cells[0], set()).add(cells[1].strip())
    return replace(collection, excluded=excluded)

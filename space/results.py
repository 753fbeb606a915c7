"""Reads what an evaluation left in its folder, and the datasets beside it: preference pairs, and their candidates."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import open_dataset, read_rows
from builders.errors import KitError
from builders.grading.results_form import NONE, PLAIN
from space.pairs import MOST, MOST_CANDIDATES, Candidates, Pair, Pairs


# Where the datasets stand beside results.json.
FOLDER = "preferences"
CANDIDATES = "expansions"
SPLITS = ("train", "validation", "test")


def query_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of `per_query.parquet`.

    Raises:
        KitError: it is missing or broken.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    path = folder / "per_query.parquet"
    try:
        return list(parquet.read_table(path).to_pylist())
    except (OSError, ArrowException) as error:
        raise KitError(f"{path}: missing or broken; evaluate again") from error


def by_retriever(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Retriever → system → nDCG@10, where more than one retriever was measured."""
    found: dict[str, dict[str, float]] = {}
    for row in results["rows"]:
        if results["retrievers"][row["retriever"]]["formation"] is not None:
            name = PLAIN if row["expander"] == NONE else row["expander"]
            found.setdefault(row["retriever"], {})[name] = row["ndcg_at_10"]
    return found if len(found) > 1 else {}


def pairs_beside(results: Path) -> Pairs | None:
    """The pairs of the preference dataset in `results/preferences`; `None` where there is none.

    Where `results/expansions` stands there too, candidates of the queries come along.

    Raises:
        KitError: a dataset is broken.
    """
    folder = results / FOLDER
    if not folder.is_dir():
        return None
    open_dataset(folder, FOLDER)
    found = [
        Pair(
            row["query"],
            row["chosen"][-1]["content"],
            row["rejected"][-1]["content"],
            row["chosen_score"],
            row["rejected_score"],
            row["margin"],
            row["rule"],
            split,
        )
        for split in SPLITS
        for row in read_rows(folder, "preference", split)
    ]
    if not found:
        return None
    found.sort(key=lambda pair: (-pair.margin, pair.query))
    shown = found[:MOST]
    return Pairs(shown, len(found), _candidates(results / CANDIDATES, {pair.query for pair in shown}))


def _candidates(folder: Path, queries: AbstractSet[str]) -> dict[str, Candidates]:
    """Query → what was written for it, of a dataset of expansions; nothing where there is none."""
    if not folder.is_dir():
        return {}
    open_dataset(folder, CANDIDATES)
    written: dict[str, dict[str, float]] = {}
    for row in (row for split in SPLITS for row in read_rows(folder, "raw", split)):
        if row["query"] in queries and row["candidate"]:
            written.setdefault(row["query"], {})[row["candidate"]] = row["ndcg_at_10"]
    best = {
        query: sorted(((score, text) for text, score in texts.items()), key=lambda found: (-found[0], found[1]))
        for query, texts in sorted(written.items())
    }
    return {query: Candidates(texts[:MOST_CANDIDATES], len(texts)) for query, texts in best.items()}

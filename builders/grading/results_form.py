"""Reads results of evaluations and matrices, in one form of JSON to which older ones are converted in memory.

The form: `rows`, one a system, which is an expander (`none` searches the query as it is) with a retriever. A row holds
measures, cost, checks, leakage, and comparisons: `against` other systems by their names, the first of which is the
results' `reference`, and with its `own` retriever without expansion. `retrievers` says what each of them is; those
without a `formation` are baselines, which search the plain query. The rest is settings and provenance.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.grading.comparison import PLAIN, Row


NONE = "none"
# What a comparison of two systems says.
COMPARED = ("delta_ndcg_at_10", "delta_ci95", "p_value", "helped", "hurt", "unchanged", "relative", "p_corrected")
# As older matrices call it, where they call it otherwise.
OLDER = {"delta_ndcg_at_10": "delta", "delta_ci95": "interval", "p_value": "p"}


def read_results(path: Path, command: str, relied_on: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Read `results.json` or `matrix.json`, of this version or an older one.

    Args:
        path (`Path`):
            The file.
        command (`str`):
            What writes it.
        relied_on (`Callable`):
            Looks up all that the caller relies on.

    Raises:
        KitError: the file is missing or broken, or lacks what the caller relies on.
    """
    try:
        results = in_one_form(read_record(path))
        relied_on(results)
    except OSError as error:
        raise KitError(f"{path}: no results there; run {command} first") from error
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise KitError(f"{path}: broken, or no results of {command} ({error!r}); run it again to evaluate") from error
    return results


def decoding_in_words(decoding: Mapping[str, Any]) -> str:
    """How students wrote, as tables say it."""
    tokens = decoding["max_new_tokens"]
    if decoding["greedy"]:
        return f"greedy, at most {tokens} tokens"
    return (
        f"{decoding['samples']} drawn at temperature {decoding['temperature']:g} and searched together, at most "
        f"{tokens} tokens each"
    )


def in_one_form(results: Mapping[str, Any]) -> dict[str, Any]:
    """Results in the form of today, whichever version wrote them.

    Raises:
        KeyError, TypeError: they are no results.
    """
    if "systems" in results:
        return _of_an_older_evaluation(results)
    if results["rows"] and "own" not in results["rows"][0]:
        return _of_an_older_matrix(results)
    return dict(results)


def one_retriever(results: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
    """What was measured with one retriever: `systems` by name, each beside the plain query, baselines among them.

    Args:
        results (`Mapping`):
            Results in the form of today.
        name (`str`, *optional*):
            The retriever, as the results call it; by default the first of them.
    """
    retrievers = results["retrievers"]
    name = name or next(iter(retrievers))
    systems: dict[str, Row] = {}
    for row in results["rows"]:
        searched_by = retrievers[row["retriever"]]
        if row["retriever"] != name and searched_by["formation"] is not None:
            continue
        label = row["system"].removesuffix(f"/{name}")
        systems[PLAIN if label == NONE else label] = {
            **{key: value for key, value in row.items() if key not in ("system", "expander", "own")},
            **row["own"],
            "against": {other: found for other, found in row["against"].items() if other != results["reference"]},
            "retriever": searched_by["name"],
        }
    one = retrievers[name]
    asked = {"retriever": one["spec"], "formation": one["formation"], **results["settings"]}
    rest = {key: value for key, value in results.items() if key not in ("rows", "retrievers")}
    return {**rest, "settings": asked, "systems": systems, "retriever": one["name"], "formation": one["formation"]}


def rows_by_system(results: Mapping[str, Any]) -> dict[str, Row]:
    """System → its row, in table order."""
    return {row["system"]: row for row in results["rows"]}


def _of_an_older_evaluation(results: Mapping[str, Any]) -> dict[str, Any]:
    """One retriever; rows under the names of their systems, compared with the plain query in the row itself."""
    name, plain = results["settings"]["retriever"], results["systems"][PLAIN]["ndcg_at_10"]
    retrievers, baselines = {}, {}
    retrievers[name] = {
        "spec": name,
        "name": results.get("retriever", name),
        "formation": results.get("formation", results["settings"]["formation"]),
    }
    rows = []
    for label, row in results["systems"].items():
        own = {key: row[key] for key in COMPARED if key in row}
        own["relative"] = own["delta_ndcg_at_10"] / plain if plain else None
        is_baseline = "retriever" in row
        if is_baseline and label != name:
            baselines[label] = {"spec": label, "name": row["retriever"], "formation": None}
        rows.append(
            {
                **{key: value for key, value in row.items() if key not in COMPARED},
                "system": label,
                "expander": NONE if is_baseline or label == PLAIN else label,
                "retriever": label if is_baseline else name,
                "own": own,
                "against": {PLAIN: own, **row.get("against", {})},
            }
        )
    rest = {key: value for key, value in results.items() if key not in ("systems", "retriever", "formation")}
    against = list(dict.fromkeys(name for row in rows for name in row["against"] if name != PLAIN))
    of_all = {"rows": rows, "retrievers": {**retrievers, **baselines}, "reference": PLAIN, "against": against}
    return {**rest, **of_all}


def _of_an_older_matrix(results: Mapping[str, Any]) -> dict[str, Any]:
    """Names of their own for what a comparison says, and what expanders wrote apart from the rows."""
    identities, wrote = results.get("expanders", {}), results.get("writing", {})
    # Keys of the comparisons and the cost, which have other names today.
    gone = {OLDER.get(key, key) + suffix for key in COMPARED for suffix in ("", "_own")}
    gone |= {"formation", "generation_ms_per_query"}
    rows = []
    for row in results["rows"]:
        expander = row["expander"]
        identity = {"identity": identities[expander]} if identities.get(expander) else {}
        against = {name: _renamed(compared) for name, compared in row.get("against", {}).items()}
        rows.append(
            {
                **{key: value for key, value in row.items() if key not in gone},
                "system": f"{expander}/{row['retriever']}",
                "queries": results["queries"],
                "own": _renamed(row, "_own"),
                "against": {results["reference"]: _renamed(row), **against},
                "ms_per_query": row["generation_ms_per_query"],
                **wrote.get(expander, {}),
                **identity,
            }
        )
    rest = {key: value for key, value in results.items() if key not in ("expanders", "writing")}
    return {**rest, "rows": rows}


def _renamed(row: Row, suffix: str = "") -> Row:
    names = {key: OLDER.get(key, key) + suffix for key in COMPARED}
    return {key: row[name] for key, name in names.items() if name in row}

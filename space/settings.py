"""Reads and writes the settings of a rendered Space, as `space.json` keeps them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.grading.results_form import decoding_in_words


SETTINGS = "space.json"


@dataclass(frozen=True)
class System:
    """What the evaluation measured of one system.

    `ndcg_at_10`, `mrr_at_10`, `recall_at_100` are means between 0 and 1; `helped`, `hurt` and `unchanged` are shares
    of the queries, against the plain query; `tokens_per_query`, `ms_per_query` and `peak_memory_mib` are the costs of
    writing; `silent` and `echoes` are shares of the expansions: without a word beyond the query, and those of them
    that are not empty.
    """

    queries: int
    ndcg_at_10: float
    mrr_at_10: float
    recall_at_100: float
    helped: float
    hurt: float
    unchanged: float
    delta_ndcg_at_10: float
    delta_ci95: tuple[float, float]
    p_value: float
    tokens_per_query: float = 0.0
    ms_per_query: float = 0.0
    peak_memory_mib: float = 0.0
    silent: float | None = None
    echoes: float | None = None


@dataclass(frozen=True)
class SpaceSettings:
    """Everything the app needs to know; paths are relative to the rendered folder.

    Args:
        model (`str`), revision (`str`, *optional*):
            Hub id of the base model, and the commit that was measured if it came from the Hub.
        package (`str`, *optional*):
            The package the measured weights came from: used where it is installed, else `model`.
        weights (`str`):
            One sentence on the weights that were measured.
        adapter (`str`, *optional*):
            Folder or Hub id of the student's adapter; without one, the base model writes.
        student (`str`):
            The system of `measured` that this Space runs; it may be missing there.
        collection (`str`), retriever (`str`), prompt (`str`):
            Names as `builders` loads them.
        language (`str`):
            ISO 639-1 code of the collection.
        source (`str`), judgments (`str`):
            Where the documents come from, and how the judgments came about: a sentence each.
        formation (`str`), max_new_tokens (`int`):
            How query and expansion are searched, by its recorded name, and the token limit of an expansion.
        split (`str`), hardware (`str`):
            Which queries were measured, and on what machine.
        measured (`Mapping[str, System]`):
            System → what was measured, `plain` first.
        without_relevant (`int`, *optional*, defaults to 0):
            Judged queries of the split that were not measured, since no document is relevant to them.
        samples (`int`), temperature (`float`), top_k (`int`), *optional*:
            How many expansions of a query are searched together, and how several are drawn; one is greedy.
        by_retriever (`Mapping[str, Mapping[str, float]]`, *optional*):
            Retriever → system → nDCG@10, where more than one was measured.
        more_retrievers (`Mapping[str, Sequence[str]]`, *optional*):
            Others that were measured and can search here: name → what is loaded, and the formation.
    """

    model: str
    revision: str | None
    package: str | None
    weights: str
    adapter: str | None
    student: str
    collection: str
    language: str
    source: str
    judgments: str
    retriever: str
    prompt: str
    formation: str
    max_new_tokens: int
    split: str
    hardware: str
    measured: Mapping[str, System]
    without_relevant: int = 0
    samples: int = 1
    temperature: float = 1.0
    top_k: int = 50
    by_retriever: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    more_retrievers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """The queries that were measured, and how many could not be."""
        more = f" ({self.without_relevant} more have no relevant document)" if self.without_relevant else ""
        return f"{self.measured['plain'].queries} held-out {self.split} queries{more}"

    @property
    def written(self) -> str:
        """How expansions are written, in words."""
        drawn = {name: getattr(self, name) for name in ("samples", "temperature", "top_k", "max_new_tokens")}
        return decoding_in_words({"greedy": self.samples == 1, **drawn})

    @property
    def counts_silence(self) -> bool:
        """Whether the evaluation counted expansions without a new word; older ones did not."""
        return any(system.silent is not None for system in self.measured.values())

    @property
    def runs(self) -> System | None:
        """What was measured of the student that this Space runs, if it was measured."""
        return self.measured.get(self.student)

    def to_json(self, files: Mapping[str, str]) -> str:
        """The content of `space.json`; `files` are the sha256 of the others in the folder, by their names."""
        return json.dumps({**asdict(self), "files": files}, indent=2, ensure_ascii=False) + "\n"


def read_settings(folder: Path) -> SpaceSettings:
    """Read `space.json`.

    Raises:
        KitError: the folder is no rendered Space.
    """
    try:
        fields: dict[str, Any] = read_record(folder / SETTINGS)
        fields.pop("files", None)
        measured = {name: System(**row) for name, row in fields.pop("measured").items()}
        return SpaceSettings(**fields, measured=measured)
    except FileNotFoundError as error:
        raise KitError(f"{folder}: no {SETTINGS}, so this is no rendered Space; run python -m space first") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"{folder / SETTINGS}: broken; run python -m space again") from error

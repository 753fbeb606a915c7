"""What a pairing rule is: it scores the candidates of a query, and says what it needs beside them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from builders.artifacts.dataset_folder import Rows


@dataclass(kw_only=True)
class RuleOptions:
    """Command-line options of a rule; a subclass adds its fields, each with a default."""

    def check(self) -> None:
        """Refuse values that make no sense, before anything is read.

        Raises:
            KitError: they do.
        """

    def reads(self) -> list[str]:
        """Files and folders that the rule reads, so that none of them is replaced; by default all that could be."""
        return [value for value in vars(self).values() if isinstance(value, str)]


class Rule(ABC):
    """Scores the candidates of one query; the higher the better. The docstring's first line is shown by `--help`.

    Attributes:
        name (`str`):
            As `--rule` knows it. [`prepare`] may tell more in it: that is what rows and `build.json` record.
        margins (`tuple`):
            The smallest differences of scores for which a build reports what they would leave.
        grades_searches (`bool`):
            Whether it scores by the search alone, so that the plain query can be a candidate, too.
        Options (`type`, *optional*):
            A subclass of [`RuleOptions`], if it has any.
        settings (`dict`):
            All that decides the scores beside the candidates; a dataset with other settings is made anew.
        provenance (`dict`):
            What `build.json` records of it.
    """

    name: str
    margins: tuple[float, ...]
    grades_searches: ClassVar[bool] = True
    Options: ClassVar[type[RuleOptions] | None] = None
    settings: Mapping[str, Any] = {}
    provenance: Mapping[str, Any] = {}

    def prepare(self, options: Any, source: Path, expansions: Mapping[str, Any]) -> None:  # noqa: B027 (as [`read`])
        """Look up what the rule needs, and set `settings` and `provenance`; nothing heavy is loaded yet.

        Args:
            options ([`RuleOptions`], *optional*):
                Its own, checked.
            source (`Path`), expansions (`Mapping`):
                Folder of the candidates, and its `build.json`.

        Raises:
            KitError: what the rule needs cannot be had.
        """

    def read(self, queries: Mapping[str, Rows]) -> None:  # noqa: B027 (most rules need nothing)
        """See all candidates before the first is scored: here texts are encoded, each once.

        Args:
            queries (`Mapping`):
                Query id → its candidates, rows of config `raw`.

        Raises:
            KitError: what the rule needs does not fit the candidates.
        """

    @abstractmethod
    def scores(self, candidates: Sequence[dict[str, Any]]) -> list[float] | str:
        """The scores of candidates, rows of config `raw`, in their order; or why no pair is to be made of the query.

        Args:
            candidates (`Sequence`):
                All usable candidates of one query, no text twice.
        """

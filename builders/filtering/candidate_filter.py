"""Chooses of several expansions of a query the one to search with (generate-then-filter)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from builders.collections.collection import Query
from builders.errors import KitError
from builders.expanders.expander import Expansion


# One number or several, compared from the first on; higher is better.
Score = tuple[float, ...]


class Filter(ABC):
    """Something that picks one expansion of many.

    Attributes:
        identity (`str`):
            Which filter chose: a name, and what pins its weights.
    """

    identity: str

    def choose(self, queries: Sequence[Query], candidates: Sequence[Sequence[Expansion]]) -> list[int]:
        """The index of the best candidate of each query; of equal ones the first.

        Blank candidates expand nothing and are never chosen.

        Raises:
            KitError: a query has no candidate, or blank ones alone, or a score is not a number.
        """
        asked: list[tuple[Query, Expansion]] = []
        places: list[list[int]] = []
        for query, expansions in zip(queries, candidates, strict=True):
            written = [number for number, expansion in enumerate(expansions) if expansion.text.strip()]
            if not written:
                which = f"all {len(expansions)} candidates are blank" if expansions else "there is no candidate"
                raise KitError(f"query {query.id!r}: {which}, so a filter has nothing to choose; generate again")
            places.append(written)
            asked += [(query, expansions[number]) for number in written]
        scores = self.scores(asked) if asked else []
        for (query, _), score in zip(asked, scores, strict=True):
            if any(value != value for value in score):
                raise KitError(f"{self.identity}: the score of a candidate of query {query.id!r} is not a number")
        rest = iter(scores)
        chosen = []
        for written in places:
            scored = [next(rest) for _ in written]
            chosen.append(written[scored.index(max(scored))])
        return chosen

    @abstractmethod
    def scores(self, asked: Sequence[tuple[Query, Expansion]]) -> list[Score]:
        """How good each expansion is for its query; compared only among the expansions of one query."""

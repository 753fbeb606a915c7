"""Formation: how a query and its expansion become the one text that is searched.

Grading, evaluation and the Space all form their queries here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Formation:
    """`q × repeats + e`: the query repeated, then the expansion (query2doc, Wang et al. 2023, §3: 5 repeats).

    The repeats keep the few words of the query from drowning in the many of the expansion.
    """

    repeats: int = 5

    @property
    def name(self) -> str:
        """How provenance records it, e.g. `q*5+e`."""
        return f"q*{self.repeats}+e"

    def expanded(self, query: str, expansion: str) -> str:
        """The text to search. An empty expansion leaves the plain query, not a repeated one."""
        return " ".join([query] * self.repeats + [expansion]) if expansion.strip() else query

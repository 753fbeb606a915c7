"""AQE's rule: the candidate that brings the gold document nearer to the top is preferred (arXiv 2507.11042)."""

from collections.abc import Sequence
from typing import Any

from builders.pairing.rule import Rule


class GoldRank(Rule):
    """Scores a candidate by minus the rank of the gold document (AQE), one below the grading depth if not found.

    Margins are differences of ranks: 1 is one place.
    """

    name = "gold-rank"
    margins = (1.0, 5.0, 10.0, 20.0)

    def scores(self, candidates: Sequence[dict[str, Any]]) -> list[float]:
        """Minus the rank of the gold document."""
        return [-float(candidate["gold_rank"]) for candidate in candidates]

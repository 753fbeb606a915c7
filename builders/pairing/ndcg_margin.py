"""RFD's rule: the candidate whose retrieval has the higher nDCG@10 is preferred (arXiv 2603.13776)."""

from collections.abc import Sequence
from typing import Any

from builders.pairing.rule import Rule


class NdcgMargin(Rule):
    """Scores a candidate by the nDCG@10 of the query expanded with it (RFD). Margins lie between 0 and 1."""

    name = "ndcg-margin"
    margins = (0.0, 0.05, 0.1, 0.2)

    def scores(self, candidates: Sequence[dict[str, Any]]) -> list[float]:
        """nDCG@10 of each candidate's retrieval."""
        return [float(candidate["ndcg_at_10"]) for candidate in candidates]

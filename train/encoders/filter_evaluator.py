"""The picks: what a filter in training chooses for held-out queries, and what they retrieve."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from sentence_transformers.base.evaluation import BaseEvaluator

from builders.filtering.candidate_lists import CandidateList
from builders.filtering.cross_encoder import BATCH


class Picks(BaseEvaluator):
    """Mean ΔnDCG@10 of the candidate that the cross-encoder scores highest, beside that of any and of the best one.

    Args:
        lists (`Sequence`):
            The candidates of held-out queries.
    """

    def __init__(self, lists: Sequence[CandidateList]) -> None:
        super().__init__()
        self.primary_metric = "picked_delta"
        self._lists = lists

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """What sentence-transformers calls."""
        asked = [(one.query, candidate) for one in self._lists for candidate in one.candidates]
        scores = iter(model.predict(asked, batch_size=BATCH, show_progress_bar=False).tolist())
        picked = []
        for one in self._lists:
            own = [next(scores) for _ in one.candidates]
            picked.append(one.deltas[own.index(max(own))])
        return {
            "picked_delta": mean(picked),
            "mean_delta": mean(mean(one.deltas) for one in self._lists),
            "best_delta": mean(max(one.deltas) for one in self._lists),
        }

"""ExpandR's rule: prefer the candidate that is nearest to the gold document and to the self-reference answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from builders.pairing.text_vectors import TextVectors


if TYPE_CHECKING:
    import numpy as np

EFFECTIVENESS = ("candidate-rank", "corpus-rank")
# Cosines that agree to so many decimals are equal: the last bits depend on which texts were encoded together.
DECIMALS = 6


@dataclass
class ExpandrReward:
    """Scores a candidate by its reward (arXiv 2502.17057): r = w₁ / ρ⁺ + w₂ / ρᵃ, at most w₁ + w₂.

    ρ⁺, retrieval effectiveness, is with `candidate-rank` the candidate's rank among the candidates by the cosine of
    its vector and the gold document's; with `corpus-rank` the rank of the gold document for the query expanded with
    the candidate, as it was graded. ρᵃ, generation consistency, is the candidate's rank among the candidates by the
    cosine of its vector and the self-reference answer's. The candidates are the usable ones, each text once. Equal
    cosines share the better rank and the next one is left out (1, 2, 2, 4), so that equals get equal rewards.

    A query is kept only if for one candidate at least cos(e, d⁺) + cos(e, a) reaches `min_agreement`, whatever the
    weights and whatever ρ⁺ is. A term whose weight is 0 is not looked at: it counts 0 here too.

    Args:
        vectors ([`TextVectors`]):
            Vectors of all candidates, gold documents and answers.
        gold (`Mapping[str, str]`):
            Query id → text of its gold document, as retrievers index it.
        answers (`Mapping[str, str | None]`):
            Query id → its self-reference answer; `None` where that failed its output check.
        effectiveness (`str`):
            `candidate-rank` or `corpus-rank`.
        effectiveness_weight (`float`), consistency_weight (`float`):
            w₁ and w₂: 0 or more, not both 0.
        min_agreement (`float`):
            The least sum of two cosines; 0.6 in the paper's code.
    """

    vectors: TextVectors
    gold: Mapping[str, str]
    answers: Mapping[str, str | None]
    effectiveness: str
    effectiveness_weight: float
    consistency_weight: float
    min_agreement: float

    name: str = field(init=False)
    margins: tuple[float, ...] = field(default=(0.0, 0.25, 0.5, 1.0), init=False)

    def __post_init__(self) -> None:
        self.name = f"reward({self.effectiveness})"

    def scores(self, candidates: Sequence[dict[str, Any]]) -> list[float] | str:
        """The rewards; or that the query has no valid self-reference answer, or no candidate near enough."""
        import numpy as np

        query_id, texts = candidates[0]["query_id"], [candidate["candidate"] for candidate in candidates]
        agreement, rewards = np.zeros(len(texts)), np.zeros(len(texts))
        if self.consistency_weight:
            if query_id not in self.answers:
                return "no self-reference answer"
            answer = self.answers[query_id]
            if answer is None:
                return "self-reference answer failed its check"
            cosines = self._cosines(texts, answer)
            agreement += cosines
            rewards += self.consistency_weight / _ranks(cosines)
        if self.effectiveness_weight:
            cosines = self._cosines(texts, self.gold[query_id])
            agreement += cosines
            in_corpus = np.array([candidate["gold_rank"] for candidate in candidates], dtype=float)
            ranks = in_corpus if self.effectiveness == "corpus-rank" else _ranks(cosines)
            rewards += self.effectiveness_weight / ranks
        if agreement.max().round(DECIMALS) < self.min_agreement:
            return f"no candidate agrees by {self.min_agreement:g} with gold document and self-reference answer"
        return [float(reward) for reward in rewards]

    def _cosines(self, texts: Sequence[str], with_text: str) -> "np.ndarray":
        return self.vectors.cosines(texts, with_text).astype(float).round(DECIMALS)


def _ranks(cosines: "np.ndarray") -> "np.ndarray":
    from scipy.stats import rankdata

    return rankdata(-cosines, method="min")

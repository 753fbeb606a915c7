"""Joint training of expander and retriever in turns (ExpandR, made a loop)."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from builders.artifacts.model_folder import adapter_name
from builders.collections.collection import collection_provenance
from train.pipeline.driver import Record, Rounds, rows_of
from train.pipeline.rounds_arguments import AlternationArguments
from train.reports.rounds_tables import alternation_table


class JointTraining(Rounds):
    """Candidates → triplets → retriever → rewards → pairs → DPO, each half with the other's last state.

    Args:
        args ([`AlternationArguments`]):
            The recipe.

    Raises:
        KitError: see [`Rounds`].
    """

    script = "train/alternation.py"
    files = ("alternation.json", "alternation.md")
    table = staticmethod(alternation_table)

    def __init__(self, args: AlternationArguments) -> None:
        super().__init__(args, _dense(args.encoder))
        self.retriever = args.encoder
        self.results["collection"] = collection_provenance(self.collection)

    def folders(self) -> Mapping[str, Sequence[Path]]:
        """See [`Rounds.folders`]."""
        rounds = [self.out / f"round-{number}" for number in range(1, self.args.rounds + 1)]

        def each(*names: str) -> list[Path]:
            return [folder / name for folder in rounds for name in names]

        return {
            "generated": [*each("expansions", "retriever-expansions"), self.out / "references"],
            "datasets": each("triplets", "graded", "preferences"),
            "models": each("models/retriever", "models/expander"),
        }

    def first(self) -> Record:
        """See [`Rounds.first`]: the expander to begin with and the base encoder."""
        return {"round": 0, "expander": self.args.adapter, "retriever": self.args.encoder}

    def round(self, number: int) -> Record:
        """See [`Rounds.round`]."""
        args, folder = self.args, self.out / f"round-{number}"
        old_expander, old_retriever = self.expander, self.retriever
        expansions, preferences = folder / "expansions", folder / "preferences"
        entry = self._train_retriever(number, folder, expansions)
        retriever, expander = entry["retriever"], folder / "models/expander"
        if number == 1:
            told = ["--model", args.model, "--expansions", str(expansions)]
            self.stage(number, "references", self.out / "references", ["--config", args.references_recipe, *told])
        rewarded = expansions
        if args.regrade_recipe:
            rewarded = folder / "graded"
            told = ["--expansions", str(expansions), "--retriever", _dense(retriever)]
            self.stage(number, "regrade", rewarded, ["--config", args.regrade_recipe, *told])
        told = ["--expansions", str(rewarded), "--references", str(self.out / "references"), "--encoder", retriever]
        self.stage(number, "preferences", preferences, ["--config", args.preferences_recipe, *told])
        adapter = ["--adapter", str(old_expander)] if old_expander else []
        told = ["--preferences", str(preferences), "--model_name_or_path", args.model, *adapter]
        told += ["--seed", str(args.seed + number)]
        self.stage(number, "dpo", expander, ["--config", args.dpo_recipe, *told])
        entry["pairs"] = rows_of(preferences, "preference")
        entry["alone"]["expander"] = self._pair(number, expander, old_retriever)
        self.expander, self.retriever = expander, retriever
        return entry

    def _train_retriever(self, number: int, folder: Path, expansions: Path) -> Record:
        """The retriever's half of a round; returns the round's entry as far as it is known."""
        args, triplets, retriever = self.args, folder / "triplets", folder / "models/retriever"
        adapter = ["--adapter", str(self.expander)] if self.expander else []
        language = [] if args.language is None else ["--language", args.language]
        # The same seed in every round: its queries are those that the references answer.
        asked = ["--model", args.model, "--collection", args.collection, *language, *adapter, "--seed", str(args.seed)]
        self.stage(number, "expansions", expansions, ["--config", args.expansions_recipe, *asked])
        learned_from = expansions
        if args.retriever_expansions_recipe:
            learned_from = folder / "retriever-expansions"
            told = ["--config", args.retriever_expansions_recipe, *asked]
            self.stage(number, "retriever-expansions", learned_from, told)
        # A retriever that has learned a query finds its document without any expansion.
        unseen = ["--leave_out", str(expansions)] if args.regrade_recipe else []
        told = ["--config", args.triplets_recipe, "--expansions", str(learned_from), *unseen]
        self.stage(number, "triplets", triplets, told)
        trained_from = args.encoder if args.from_base_encoder else self.retriever
        told = ["--triplets", str(triplets), "--model", trained_from, "--seed", str(args.seed + number)]
        self.stage(number, "retriever", retriever, ["--config", args.retriever_recipe, *told])
        entry: Record = {
            "round": number,
            "expander": str(folder / "models/expander"),
            "retriever": str(retriever),
            "triplets": rows_of(triplets, "retriever"),
            "alone": {"retriever": self._pair(number, self.expander, str(retriever))},
        }
        self.underway(entry)
        return entry

    def measure(self, entry: Record) -> Record:
        """See [`Rounds.measure`]."""
        return self._pair(entry["round"], self.expander, self.retriever)

    def _pair(self, number: int, expander: Path | None, retriever: str) -> Record:
        grader = partial(self.grader_of, _dense(retriever))
        return self.figures(number, expander, self._short(expander), grader, f" with {self._short(retriever)}")

    def best(self, entry: Record) -> Record:
        """See [`Rounds.best`]."""
        adapter = None if entry["expander"] is None else adapter_name(entry["expander"])
        return {"best": {name: entry[name] for name in ("round", "expander", "retriever")} | {"adapter": adapter}}

    def _short(self, path: Path | str | None) -> str:
        """The round that made it, or `start`."""
        if path is None or not Path(path).is_relative_to(self.out):
            return "start"
        return Path(path).relative_to(self.out).parts[0]


def _dense(encoder: str) -> str:
    return f"dense:{encoder}"

"""On-policy rounds: a student's own candidates are graded and paired, DPO goes on from there, and again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from builders.artifacts.model_folder import adapter_name
from train.pipeline.driver import Record, Rounds, rows_of
from train.pipeline.rounds_arguments import RoundsArguments
from train.reports.rounds_tables import rounds_table


class OnPolicyRounds(Rounds):
    """Candidates → pairs → DPO, from the student that the round before left.

    Args:
        args ([`RoundsArguments`]):
            The recipe.

    Raises:
        KitError: see [`Rounds`]; or the adapter is missing.
    """

    script = "train/rounds.py"
    files = ("rounds.json", "rounds.md")
    table = staticmethod(rounds_table)

    def __init__(self, args: RoundsArguments) -> None:
        super().__init__(args, args.retriever)
        self.results |= {
            "best_adapter": "",
            "collection": self.collection.name,
            "retriever": self.grader.retriever.name,
            "formation": self.grader.formation.name,
            **({"without_relevant": without} if (without := self.collection.without_relevant) else {}),
        }

    def folders(self) -> Mapping[str, Sequence[Path]]:
        """See [`Rounds.folders`]."""
        numbers = range(1, self.args.rounds + 1)
        return {
            "generated": [self.out / f"round-{number}/expansions" for number in numbers],
            "datasets": [self.out / f"round-{number}/preferences" for number in numbers],
            "models": [self.out / f"models/round-{number}" for number in numbers],
        }

    def first(self) -> Record:
        """See [`Rounds.first`]."""
        return {"round": 0, "adapter": self.args.adapter, "pairs": 0}

    def round(self, number: int) -> Record:
        """See [`Rounds.round`]."""
        args, folder, student = self.args, self.out / f"round-{number}", self.out / f"models/round-{number}"
        seed = ["--seed", str(args.seed + number)]
        language = [] if args.language is None else ["--language", args.language]
        expansions, preferences = folder / "expansions", folder / "preferences"
        asked = [
            *("--expander", "local", "--model", args.model, "--adapter", str(self.expander)),
            *("--collection", args.collection, "--prompts", args.prompt, *language, "--num_validation", "0"),
            *_given(args, "num_train", "samples", "temperature", "top_k", "block", "max_new_tokens", "dtype"),
            *_given(args, "retriever", "formation"),
        ]
        self.stage(number, "expansions", expansions, [*asked, *seed])
        paired = _given(args, "rule", "min_margin", "pairs_per_query", "max_length_ratio", "with_plain")
        self.stage(number, "preferences", preferences, ["--expansions", str(expansions), *paired])
        trained = ["--config", args.dpo_recipe, "--model_name_or_path", args.model, "--adapter", str(self.expander)]
        self.stage(number, "dpo", student, [*trained, "--preferences", str(preferences), *seed])
        self.expander = student
        return {"round": number, "adapter": str(student), "pairs": rows_of(preferences, "preference")}

    def measure(self, entry: Record) -> Record:
        """See [`Rounds.measure`]."""
        adapter = Path(entry["adapter"])
        return self.figures(entry["round"], adapter, adapter.name, lambda: self.grader)

    def best(self, entry: Record) -> Record:
        """See [`Rounds.best`]."""
        return {"best": entry["adapter"], "best_adapter": adapter_name(entry["adapter"])}


def _given(args: RoundsArguments, *names: str) -> list[str]:
    """Settings that a stage has under the same name."""
    return [word for name in names for word in (f"--{name}", str(getattr(args, name)))]

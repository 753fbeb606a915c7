"""Training in rounds: stages, validation between them, early stopping, and a record that is written after each."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import BUILD
from builders.artifacts.files import atomic_write, dump_json
from builders.artifacts.locks import locked
from builders.artifacts.ownership import (
    ANSWERS,
    CHECKPOINTS,
    DATASET,
    MODEL,
    require_free,
    require_own,
    require_own_work,
)
from builders.artifacts.provenance import made_by
from builders.artifacts.records import read_record
from builders.cli import say
from builders.collections.load import load_collection
from builders.expanders.local import LocalExpander
from builders.grading.grader import Grader
from builders.processes import Processes
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from train.evaluation.generation import generate
from train.evaluation.held_out import HeldOutQueries
from train.memory import PeakMemory
from train.pipeline.rounds_arguments import AlternationArguments, RoundsArguments
from train.pipeline.stages import ROOT, Spent, recorded, run_stage


WORK = "validation.work"
# Stage → what is started, if it is no command of the builders'; and which of those are launched in several processes.
SCRIPTS = {"retriever": "train/retriever.py", "dpo": "train/dpo.py"}
LAUNCHED = ("expansions", "retriever-expansions", "references", *SCRIPTS)

Record = dict[str, Any]


class Rounds(ABC):
    """Goes from round to round, and keeps the record.

    Args:
        args ([`RoundsArguments`] or [`AlternationArguments`]):
            The recipe.
        retriever (`str`):
            What searches at the beginning.

    Attributes:
        results (`dict`): what the JSON file holds.

    Raises:
        KitError: an argument names nothing known, or something that is none of the kit's stands where a stage's result
            goes.
    """

    script: str
    files: tuple[str, str]  # JSON, Markdown
    table: Callable[[Record], str]  # The Markdown of the record.
    args: Any

    def __init__(self, args: RoundsArguments | AlternationArguments, retriever: str) -> None:
        self.args, self.out = args, Path(args.output_dir)
        # Before anything is generated: a stage that is refused later has cost the ones before it.
        require_free(self.out, self.files, WORK)
        for kind, folders in self.folders().items():
            for folder in folders:
                require_own(folder, MODEL if kind == "models" else DATASET, *args.reads())
                if kind != "datasets":
                    require_own_work(folder, CHECKPOINTS if kind == "models" else ANSWERS, *args.reads())
        args.check()
        # What cannot be had must cost no answers.
        self.expander: Path | None = None if args.adapter is None else Path(args.adapter)
        self.collection = load_collection(args.collection, args.language)
        self.held_out = HeldOutQueries(
            self.collection, args.num_validation, args.seed, args.prompt, args.max_new_tokens, retriever
        )
        LocalExpander(args.model, args.adapter, args.dtype)
        self.grader = self.grader_of(retriever)
        # The entry of a round that is not measured yet.
        self._underway: Record | None = None
        self._before = self._recorded()
        self.results: Record = {
            "best": None,
            "rounds": [],
            "stages": [],
            "settings": asdict(args),
            **made_by(f"python {self.script}", 1),
            "formation": args.formation,
        }

    @abstractmethod
    def folders(self) -> Mapping[str, Sequence[Path]]:
        """What all rounds make: `generated` datasets (with unfinished work), other `datasets`, and `models`."""

    @abstractmethod
    def first(self) -> Record:
        """The entry of round 0, without figures."""

    @abstractmethod
    def round(self, number: int) -> Record:
        """Run the stages of one round; returns its entry, without figures."""

    @abstractmethod
    def measure(self, entry: Record) -> Record:
        """The figures of a round, by the expander and the retriever that it left."""

    @abstractmethod
    def best(self, entry: Record) -> Record:
        """What the record says of the best round, by its entry."""

    def run(self) -> Record:
        """Run the rounds that are not done yet; returns what the JSON file holds at their end.

        Raises:
            KitError: a stage failed (it has said why), or somebody else works there.
        """
        rounds, patience = self.args.rounds, self.args.patience
        with locked(self.out / WORK, Processes(0, 1)):
            self._finish(self.first())
            for number in range(1, rounds + 1):
                say(f"round {number} of at most {rounds}")
                self._finish(self.round(number))
                if is_over(self.results["rounds"], patience):
                    break
        say(self.table(self.results))
        return self.results

    def underway(self, entry: Record) -> None:
        """Write what is known of a round by now: the next stages may take hours."""
        self._underway = entry
        self._write()

    def stage(self, number: int, name: str, folder: Path, settings: Sequence[str]) -> None:
        """Run one stage of a round, with the command line that it is given, and record what it took."""
        command = [str(ROOT / SCRIPTS[name])] if name in SCRIPTS else ["-m", "builders", name.split("-")[-1]]
        launcher = self.args.accelerate_config if name in LAUNCHED else None
        spent = run_stage([*command, *settings, "--output_dir", str(folder)], folder, launcher)
        self._record(number, name, folder, spent or self._before.get((number, name)) or recorded(folder))
        self._write()

    def grader_of(self, retriever: str) -> Grader:
        """What searches with a retriever, and judges.

        Raises:
            KitError: it cannot be had, or cannot be asked so.
        """
        found = load_retriever(retriever, self.collection)
        return Grader(self.collection, found, load_formulation(self.args.formation))

    def figures(
        self, number: int, expander: Path | None, writer_name: str, grader: Callable[[], Grader], searched_by: str = ""
    ) -> Record:
        """Of one expander with one retriever on the validation queries; what that took is recorded as a stage.

        Args:
            number (`int`):
                The round.
            expander (`Path`, *optional*), writer_name (`str`):
                Folder of the adapter, `None` for the base model, and what the record calls it.
            grader (`Callable`):
                Gives what searches and judges, once the expander has left the memory.
            searched_by (`str`, *optional*):
                What the record says of the retriever.
        """
        args, started = self.args, time.time()
        adapter = None if expander is None else str(expander)
        writer = LocalExpander(args.model, adapter, args.dtype, False, args.block)
        asked, folder = self.held_out, self.out / WORK
        with PeakMemory() as memory:
            name = f"validation of {writer_name}"
            found = generate(name, writer, asked.requests, asked.sampling, folder, Processes(0, 1))
            has_written = writer.engine.is_loaded  # Loaded with the first answer that was not there.
            del writer
            figures = asked.figures(grader(), {key: answers[0].text for key, answers in found.answers.items()})
        spent = Spent(round(time.time() - started, 1), round(memory.mebibytes))
        # Of a repeated command: what it took when the answers were not there yet.
        before = None if has_written else self._before.get((number, name + searched_by))
        self._record(number, name + searched_by, self.out, before or spent)
        return figures

    def _finish(self, entry: Record) -> None:
        """Measure a round, and write what is known by now."""
        entry |= self.measure(entry)
        self.results["rounds"].append(entry)
        self._underway = None
        best = best_round(self.results["rounds"])
        self.results |= self.best(dict(best))
        self._write()
        say(f"round {entry['round']}: validation nDCG@10 {entry['ndcg_at_10']:.4f}, best {best['ndcg_at_10']:.4f}")

    def _record(self, number: int, name: str, folder: Path, spent: Spent) -> None:
        self.results["stages"].append({"round": number, "stage": name, "folder": str(folder), **asdict(spent)})

    def _recorded(self) -> dict[tuple[int, str], Spent]:
        """What stages took in earlier runs of this command: those that are passed over now."""
        try:
            stages = read_record(self.out / self.files[0])["stages"]
            return {(one["round"], one["stage"]): Spent(one["seconds"], one["peak_mib"]) for one in stages}
        except (OSError, ValueError, KeyError):
            return {}

    def _write(self) -> None:
        found = {**self.results, "underway": self._underway}
        if found["rounds"]:
            atomic_write(self.out / self.files[1], self.table(found).encode())
            atomic_write(self.out / self.files[0], dump_json(found).encode())


def best_round(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The round with the highest validation nDCG@10, the earliest of equals; round 0 is the beginning."""
    return max(history, key=lambda entry: entry["ndcg_at_10"])


def is_over(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Early stopping: whether `patience` rounds came after the best one and none of them was better."""
    return bool(history[-1]["round"] - best_round(history)["round"] >= patience)


def rows_of(folder: Path, config: str) -> int:
    """Train rows of a dataset that a stage made."""
    return int(read_record(folder / BUILD)["rows"][config]["train"])

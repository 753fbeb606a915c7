"""The rounds of an alternation: what each stage is told, and what each round was worth."""

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.dataset_folder import BUILD
from builders.artifacts.files import atomic_write, dump_json
from builders.artifacts.model_folder import adapter_name
from builders.artifacts.ownership import (
    ANSWERS,
    CHECKPOINTS,
    DATASET,
    MODEL,
    require_free,
    require_own,
    require_own_work,
)
from builders.artifacts.provenance import code_version, versions
from builders.cli import say
from builders.collections.collection import collection_provenance
from builders.collections.load import load_collection
from builders.expanders.local import LocalExpander
from builders.grading.grader import Grader
from builders.retrievers.formulation import load_formation
from builders.retrievers.load import load_retriever
from train.memory import PeakMemory
from train.pipeline.early_stopping import best_round
from train.pipeline.held_out import HeldOut
from train.pipeline.stages import ROOT, Spent, recorded, run_stage
from train.reports.joint_training_table import alternation_table


if TYPE_CHECKING:
    from train.alternation import AlternationArguments

RESULTS = "alternation.json"
TABLE = "alternation.md"
WORK = "validation.work"


class AlternationRounds:
    """Goes from round to round, and keeps the record.

    Args:
        args (`AlternationArguments`):
            The recipe.

    Attributes:
        results (`dict`): what `alternation.json` holds.

    Raises:
        KitError: an argument names nothing known, or something that is none of the kit's stands where a stage's result
            goes.
    """

    def __init__(self, args: "AlternationArguments") -> None:
        self._args, self._out = args, Path(args.output_dir)
        self._require_own()
        self._collection = load_collection(args.collection, args.language)
        self._held_out = HeldOut(
            self._collection,
            args.num_validation,
            args.seed,
            args.prompt,
            args.max_new_tokens,
            _dense(args.encoder),
            self._out / WORK,
        )
        # What cannot be had must cost no answers.
        self._expander: Path | None = None if args.adapter is None else Path(args.adapter)
        LocalExpander(args.model, args.adapter)
        self._grader(args.encoder)
        self._retriever = args.encoder
        # The entry of a round whose pair is not measured yet.
        self._underway: dict[str, Any] | None = None
        self._before = self._recorded()
        self.results: dict[str, Any] = {
            "best": None,
            "rounds": [],
            "stages": [],
            "settings": asdict(args),
            "command": f"python train/alternation.py {shlex.join(sys.argv[1:])}",
            "code_version": code_version(),
            "versions": versions(),
            "collection": collection_provenance(self._collection),
            "formation": args.formation,
        }

    def _require_own(self) -> None:
        """Before anything is generated: a stage that is refused later has cost the ones before it."""
        read, out = (self._args.adapter, self._args.encoder), self._out
        require_free(out, (RESULTS, TABLE), WORK)
        folders = [out / f"round-{number}" for number in range(1, self._args.rounds + 1)]
        written = [folder / name for folder in folders for name in ("expansions", "retriever-expansions")]
        made = [folder / name for folder in folders for name in ("triplets", "graded", "preferences")]
        for folder in (*written, out / "references"):
            require_own_work(folder, ANSWERS, *read)
        for folder in (*written, out / "references", *made):
            require_own(folder, DATASET, *read)
        for folder in [folder / "models" / name for folder in folders for name in ("retriever", "expander")]:
            require_own(folder, MODEL, *read)
            require_own_work(folder, CHECKPOINTS, *read)

    def begin(self) -> None:
        """Round 0: the expander to begin with and the base encoder."""
        self._validate({"round": 0, "expander": self._args.adapter, "retriever": self._retriever})

    def go_on(self, number: int) -> None:
        """One round, from the candidates to the figures.

        Raises:
            KitError: a stage failed.
        """
        args, folder = self._args, self._out / f"round-{number}"
        old_expander, old_retriever = self._expander, self._retriever
        expansions, triplets, preferences = (folder / name for name in ("expansions", "triplets", "preferences"))
        references = self._out / "references"
        retriever, expander = folder / "models/retriever", folder / "models/expander"
        adapter = ["--adapter", str(old_expander)] if old_expander else []
        language = [] if args.language is None else ["--language", args.language]
        # The same seed in every round: its queries are those that the references answer.
        asked = ["--model", args.model, "--collection", args.collection, *language, *adapter, "--seed", str(args.seed)]
        self._stage(number, "expansions", expansions, args.expansions_recipe, True, asked)
        learned_from = expansions
        if args.retriever_expansions_recipe:
            learned_from = folder / "retriever-expansions"
            recipe = args.retriever_expansions_recipe
            self._stage(number, "retriever-expansions", learned_from, recipe, True, asked)
        # A retriever that has learned a query finds its document without any expansion.
        unseen = ["--leave_out", str(expansions)] if args.regrade_recipe else []
        told = ["--expansions", str(learned_from), *unseen]
        self._stage(number, "triplets", triplets, args.triplets_recipe, False, told)
        trained_from = args.encoder if args.from_base_encoder else old_retriever
        self._stage(
            *(number, "retriever", retriever, args.retriever_recipe, True),
            ["--triplets", str(triplets), "--model", trained_from, "--seed", str(args.seed + number)],
        )
        entry: dict[str, Any] = {
            "round": number,
            "expander": str(expander),
            "retriever": str(retriever),
            "triplets": _rows(triplets, "retriever"),
            "alone": {"retriever": self._figures(number, old_expander, str(retriever))},
        }
        self._underway = entry
        self._write()
        if number == 1:
            self._stage(
                *(number, "references", references, args.references_recipe, True),
                ["--model", args.model, "--expansions", str(expansions)],
            )
        rewarded = expansions
        if args.regrade_recipe:
            rewarded = folder / "graded"
            self._stage(
                *(number, "regrade", rewarded, args.regrade_recipe, False),
                ["--expansions", str(expansions), "--retriever", _dense(str(retriever))],
            )
        self._stage(
            *(number, "preferences", preferences, args.preferences_recipe, False),
            ["--expansions", str(rewarded), "--references", str(references), "--encoder", str(retriever)],
        )
        self._stage(
            *(number, "dpo", expander, args.dpo_recipe, True),
            ["--preferences", str(preferences), "--model_name_or_path", args.model, *adapter]
            + ["--seed", str(args.seed + number)],
        )
        entry["pairs"] = _rows(preferences, "preference")
        entry["alone"]["expander"] = self._figures(number, expander, old_retriever)
        self._expander, self._retriever = expander, str(retriever)
        self._validate(entry)

    def _validate(self, entry: dict[str, Any]) -> None:
        """Measure the round's pair and write what is known by now: the next stages may take hours."""
        entry |= self._figures(entry["round"], self._expander, self._retriever)
        self.results["rounds"].append(entry)
        self._underway = None
        best = best_round(self.results["rounds"])
        adapter = None if best["expander"] is None else adapter_name(best["expander"])
        self.results["best"] = {
            **{name: best[name] for name in ("round", "expander", "retriever")},
            "adapter": adapter,
        }
        self._write()
        say(f"round {entry['round']}: validation nDCG@10 {entry['ndcg_at_10']:.4f}, best {best['ndcg_at_10']:.4f}")

    def _figures(self, number: int, expander: Path | None, retriever: str) -> dict[str, Any]:
        """Of one expander with one retriever, and what that took."""
        args, started = self._args, time.time()
        adapter = None if expander is None else str(expander)
        writer = LocalExpander(args.model, adapter, args.dtype, False, args.block)
        with PeakMemory() as memory:
            answers = self._held_out.answers(self._short(expander), writer)
            has_written = "model" in vars(writer)  # Loaded with the first answer that was not there.
            del writer
            figures = self._held_out.figures(self._grader(retriever), answers)
        spent = Spent(round(time.time() - started, 1), round(memory.mebibytes))
        name = f"validation of {self._short(expander)} with {self._short(retriever)}"
        # Of a repeated command: what it took when the answers were not there yet.
        before = None if has_written else self._before.get((number, name))
        self._record(number, name, self._out, before or spent)
        return figures

    def _grader(self, encoder: str) -> Grader:
        retriever = load_retriever(_dense(encoder), self._collection)
        return Grader(self._collection, retriever, load_formation(self._args.formation))

    def _stage(self, number: int, name: str, folder: Path, recipe: str, launched: bool, settings: list[str]) -> None:
        script = {"retriever": "train/retriever.py", "dpo": "train/dpo.py"}.get(name)
        builder = name.removeprefix("retriever-")
        command = [str(ROOT / script)] if script else ["-m", "builders", builder]
        command += ["--config", recipe, "--output_dir", str(folder), *settings]
        spent = run_stage(command, folder, self._args.accelerate_config if launched else None)
        self._record(number, name, folder, spent or self._before.get((number, name)) or recorded(folder))
        self._write()

    def _short(self, path: Path | str | None) -> str:
        """The round that made it, or `start`."""
        if path is None or not Path(path).is_relative_to(self._out):
            return "start"
        return Path(path).relative_to(self._out).parts[0]

    def _record(self, number: int, name: str, folder: Path, spent: Spent) -> None:
        self.results["stages"].append({"round": number, "stage": name, "folder": str(folder), **asdict(spent)})

    def _recorded(self) -> dict[tuple[int, str], Spent]:
        """What stages took in earlier runs of this command: those that are passed over now."""
        try:
            stages: Sequence[dict[str, Any]] = json.loads((self._out / RESULTS).read_text())["stages"]
            return {(one["round"], one["stage"]): Spent(one["seconds"], one["peak_mib"]) for one in stages}
        except (OSError, ValueError, KeyError):
            return {}

    def _write(self) -> None:
        found = {**self.results, "underway": self._underway}
        atomic_write(self._out / TABLE, alternation_table(found).encode())
        atomic_write(self._out / RESULTS, dump_json(found).encode())


def _dense(encoder: str) -> str:
    return f"dense:{encoder}"


def _rows(folder: Path, config: str) -> int:
    return int(json.loads((folder / BUILD).read_text())["rows"][config]["train"])

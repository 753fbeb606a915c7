"""What the commands that have a model write answers share: options, settings and records of the generation."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from builders.artifacts.ownership import ANSWERS, DATASET, require_own, require_own_work
from builders.collections.collection import Collection, Query, collection_provenance
from builders.commands.build import NOT_SETTINGS, BuildOptions
from builders.expanders.expander import Sampling, joint_identity
from builders.expanders.generations import (
    Answers,
    Shown,
    cost,
    has_answers,
    joint_sampling,
    sweep,
    tokens,
    write_answers,
)
from builders.expanders.load import ExpanderOptions, load_expanders
from builders.processes import Processes
from builders.prompts.prompt import Exemplar, Prompt


# Expanders say themselves what changes an answer.
NOT_GENERATION_SETTINGS = NOT_SETTINGS | {one.name for one in fields(ExpanderOptions)}
# Choosing among few tokens is what makes sampling fast on a CPU; servers seldom know the setting.
LOCAL_TOP_K = 50


@dataclass(kw_only=True)
class GenerationOptions(ExpanderOptions, BuildOptions):
    """Who writes the answers, and how its words are chosen, but for the temperature."""

    top_p: float = field(default=1.0, metadata={"help": "Nucleus."})
    top_k: int | None = field(
        default=None, metadata={"help": "Most likely tokens to choose from; 0 is all (default: 50 if local, else 0)."}
    )
    max_new_tokens: int = field(default=32, metadata={"help": "Token limit of one answer."})
    seed: int = field(default=0, metadata={"help": "Seeds all that is drawn: queries, exemplars, answers."})

    def samplings(self, temperatures: Sequence[float]) -> list[Sampling]:
        """How the words are chosen, for each temperature."""
        top_k = self.top_k if self.top_k is not None else LOCAL_TOP_K if self.expander == "local" else 0
        return sweep(Sampling(0.0, self.top_p, top_k, self.max_new_tokens, self.seed), temperatures)

    def require_own(self, *reads: str | Path | None) -> Path:
        """Refuse an output folder that must not be replaced; returns the folder where answers are kept.

        Raises:
            KitError: one of the two holds something else, or something in it is read.
        """
        folder, read = Path(self.output_dir), (self.model, self.adapter, self.recorded, *reads)
        require_own(folder, DATASET, *read)
        return require_own_work(folder, ANSWERS, *read)


class GenerationRun:
    """The answers of one dataset: who writes them, in which ways, and what that took.

    Args:
        args ([`GenerationOptions`]), temperatures (`Sequence[float]`):
            The command's settings.
        collection ([`Collection`]):
            What is asked about.
        prompts (`Sequence[Prompt]`), student ([`Prompt`]):
            What is to be answered, and which of them the student will see.
        folder (`Path`):
            Where answers are kept: an interrupted command goes on from there.

    Raises:
        KitError: a setting names nothing known.
    """

    def __init__(
        self,
        args: GenerationOptions,
        temperatures: Sequence[float],
        collection: Collection,
        prompts: Sequence[Prompt],
        student: Prompt,
        folder: Path,
    ) -> None:
        self.expanders = load_expanders(args, collection, prompts, student, folder)
        self.samplings = args.samplings(temperatures)
        self.expander = self.expanders[0][1]
        self.prompts = [prompt for prompt, _ in self.expanders]
        self.identities = {prompt.id: one.identity for prompt, one in self.expanders}
        self._sampled = joint_sampling(self.expanders, self.samplings)
        self._collection, self._folder, self._seed = collection, folder, args.seed

    def settings(self) -> dict[str, Any]:
        """What the settings of the dataset say of its answers."""
        prices = self.expander.prices
        return {
            **asdict(self.samplings[0]),
            "expander": asdict(joint_identity(list(self.identities.values()))),
            "prices": None if prices is None else asdict(prices),
        }

    def write(
        self,
        queries: Sequence[Query],
        exemplars: Mapping[str, list[Exemplar]],
        shown: Shown,
        samples: int,
        processes: Processes,
    ) -> Answers:
        """The answers; see [`write_answers`]."""
        self._resumed = has_answers(self._folder)
        self.answers = write_answers(
            queries, self.expanders, exemplars, shown, samples, self.samplings, self._folder, processes
        )
        self._finished = time.time()
        return self.answers

    def record(self) -> dict[str, Any]:
        """What `build.json` says of the answers once they are written."""
        shared = ("id", "version", "condition", "sha256")
        return {
            "seed": self._seed,
            "collection": collection_provenance(self._collection),
            "expander": self.settings()["expander"],
            "prompts": [{name: getattr(prompt, name) for name in shared} for prompt in self.prompts],
            "sampling": self._sampled,
            "tokens": tokens(self.answers),
            "cost": cost(self.answers, self.expander.prices),
        }

    def timing(self, started: float) -> dict[str, Any]:
        """What `timing.json` says of them; `started` is when the command was."""
        timing: dict[str, Any] = {
            "generation_seconds": round(self._finished - started, 1),
            "resumed": self._resumed,  # Then the seconds are those of the last run.
        }
        spent = self.expander.spent
        if spent is not None:  # With what failed, was cut off or answered nothing: it differs from run to run.
            timing["spent"] = asdict(spent)
        return timing

    def bill(self) -> list[str]:
        """What was paid so far, to tell at the end."""
        spent, prices = self.expander.spent, self.expander.prices
        return [] if spent is None or prices is None else [f"  paid so far: {prices.bill(spent)}"]

"""What the commands that have a model write answers share: options, settings and records of the generation."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from builders.artifacts.ownership import ANSWERS, DATASET, require_own, require_own_work
from builders.collections.collection import Collection, Query, collection_provenance
from builders.commands.build import NOT_SETTINGS, BuildOptions
from builders.errors import KitError
from builders.expanders.expander import Sampling, joint_identity
from builders.expanders.generations import Answers, Shown, sweep, write_answers
from builders.expanders.load import RETRIEVER, ExpanderOptions, load_expanders
from builders.expanders.server.budget import Usage
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
        folder, read = Path(self.output_dir), (*self.read_from(), *reads)
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
        retriever (`str`, *optional*):
            What searches, for an expander that reads what a search finds.

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
        retriever: str = RETRIEVER,
    ) -> None:
        self.expanders = load_expanders(args, collection, prompts, student, folder, retriever, args.told())
        self.samplings = args.samplings(temperatures)
        self.expander = self.expanders[0][1]
        self.prompts = [prompt for prompt, _ in self.expanders]
        self.identities = {prompt.id: one.identity for prompt, one in self.expanders}
        self._sampled = self._joint_sampling()
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
        self._resumed = any(path.stat().st_size for path in self._folder.glob("*.jsonl"))
        self.answers = write_answers(
            queries, self.expanders, exemplars, shown, samples, self.samplings, self._folder, processes
        )
        self._finished = time.time()
        return self.answers

    def record(self) -> dict[str, Any]:
        """What `build.json` says of the answers once they are written."""
        written = [answer.expansion for some in self.answers.values() for answer in some]
        read, completion = sum(one.prompt_tokens for one in written), sum(one.completion_tokens for one in written)
        prices, paid = self.expander.prices, None
        if prices is not None:
            usage = Usage(read, completion + sum(one.reasoning_tokens for one in written))
            paid = {**asdict(usage), **asdict(prices), "usd": round(prices.cost(usage), 6)}
        shared = ("id", "version", "condition", "sha256")
        return {
            "seed": self._seed,
            "collection": collection_provenance(self._collection),
            "expander": self.settings()["expander"],
            "prompts": [{name: getattr(prompt, name) for name in shared} for prompt in self.prompts],
            "sampling": self._sampled,
            "tokens": {"prompt": read, "completion": completion},
            "cost": paid,  # `None` for an expander that nobody pays.
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

    def _joint_sampling(self) -> dict[str, Any] | None:
        """How all answers are sampled: a field that differs from answer to answer is a list.

        `None` where nobody knows, or where it is not the same under every prompt.
        """
        under = [[expander.sampled(sampling) for sampling in self.samplings] for _, expander in self.expanders]
        if len(self.samplings) > 1 and any(len(set(sampled)) == 1 for sampled in under):
            raise KitError("--temperature: these answers do not depend on it: give one temperature")
        known = [asdict(sampling) for sampling in under[0] if sampling is not None]
        if len(known) < len(self.samplings) or under.count(under[0]) < len(under):
            return None
        joint = {name: [one[name] for one in known] for name in known[0]}
        return {name: values if len(set(values)) > 1 else values[0] for name, values in joint.items()}

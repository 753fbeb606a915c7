"""Generations of an evaluation: what a model writes for a set of queries, kept answer by answer, and what it cost."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from builders.artifacts.files import atomic_write
from builders.artifacts.records import read_record
from builders.cli import say
from builders.expanders.expander import Expansion, Identity, Request, Sampling
from builders.expanders.generation_log import GenerationLog
from builders.expanders.local import LocalExpander
from builders.processes import Processes
from train.memory import PeakMemory


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds of generation (the model already loaded), queries answered, most memory in MiB.

    It is kept beside the answers, so that an interrupted evaluation still knows it.
    """

    seconds: float = 0.0
    queries: int = 0
    peak_mib: float = 0.0

    @classmethod
    def read(cls, log: Path) -> "Cost":
        """What earlier runs spent on the answers of this log; nothing when there were none."""
        try:
            return cls(**read_record(log.with_suffix(".cost.json")))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, log: Path) -> None:
        """Keep it beside the log."""
        atomic_write(log.with_suffix(".cost.json"), json.dumps(asdict(self)).encode())

    def plus(self, other: "Cost") -> "Cost":
        """Both together; of the memory the larger."""
        return Cost(self.seconds + other.seconds, self.queries + other.queries, max(self.peak_mib, other.peak_mib))


@dataclass(frozen=True)
class Generation:
    """What one model wrote.

    Args:
        identity ([`Identity`]):
            Who it is.
        answers (`Mapping`):
            Query id → its expansions.
        costs (`Sequence[Cost]`):
            The cost in each process.
    """

    identity: Identity
    answers: Mapping[str, Sequence[Expansion]]
    costs: Sequence[Cost]

    def cost(self) -> dict[str, Any]:
        """The cost of a query: tokens written and read, milliseconds of generation, and the peak of the memory.

        A prompt is read once for all of its answers.
        """
        seconds, queries = sum(cost.seconds for cost in self.costs), sum(cost.queries for cost in self.costs)
        answers = list(self.answers.values())
        return {
            "tokens_per_query": mean(sum(one.completion_tokens for one in found) for found in answers),
            "prompt_tokens_per_query": mean(found[0].prompt_tokens for found in answers),
            "ms_per_query": 1000 * seconds / max(1, queries),
            "peak_memory_mib": max(cost.peak_mib for cost in self.costs),
        }


def generate(
    name: str,
    expander: LocalExpander,
    requests: Sequence[Request],
    sampling: Sampling,
    folder: Path,
    processes: Processes,
) -> Generation:
    """Have every request answered, shared out among the processes block by block.

    Args:
        name (`str`):
            Of the system, for the person at the terminal.
        expander ([`LocalExpander`]):
            Loaded only when an answer is missing.
        requests (`Sequence[Request]`), sampling ([`Sampling`]):
            What is asked; the keys are query ids.
        folder (`Path`):
            Where answers are kept: an interrupted evaluation goes on from there.
        processes ([`Processes`]):
            Who shares the work; every one of them must call this.

    Returns:
        The whole generation, in every process.
    """
    from tqdm import tqdm

    log = GenerationLog(
        folder / f"process-{processes.index}-of-{processes.count}",
        {
            "expander": asdict(expander.identity),
            **expander.settings,
            "sampling": asdict(sampling),
            # Conversations, not only ids: a prompt may hold more than the query.
            "requests": hashlib.sha256(repr(requests).encode()).hexdigest(),
        },
    )
    mine = expander.share(requests, processes.index, processes.count)
    others = {request.key for request in requests} - mine
    fresh = len(mine - set(log.answers))
    say(f"{name}: {len(mine)} queries, {len(mine) - fresh} done before")
    before = cost = Cost.read(log.path)
    with PeakMemory() as memory, tqdm(total=len(mine), initial=len(mine) - fresh, unit="query", mininterval=0) as bar:
        if fresh:
            expander.load()
            started = time.perf_counter()
            asked = expander.expand(requests, sampling, others | set(log.answers))
            for number, (key, expansions) in enumerate(asked, start=1):
                log.append(key, expansions)
                # At once, so that a kill loses the cost of no answer.
                cost = before.plus(Cost(time.perf_counter() - started, number, memory.mebibytes))
                cost.write(log.path)
                bar.update()
    if fresh:
        cost = cost.plus(Cost(peak_mib=memory.mebibytes))
        cost.write(log.path)
    gathered = processes.gather([(key, log.answers[key]) for key in sorted(mine)])
    return Generation(expander.identity, dict(gathered), processes.gather([cost]))

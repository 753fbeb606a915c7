"""Have expanders answer the queries of a build: answers are kept as they come, the work is shared among processes."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from builders.cli import say
from builders.collections.collection import Query
from builders.errors import KitError
from builders.expanders.expander import Expander, Expansion, Identity, Request, Sampling
from builders.expanders.generation_log import GenerationLog
from builders.processes import Processes
from builders.prompts.exemplars import for_query
from builders.prompts.prompt import Exemplar, Prompt


@dataclass(frozen=True, slots=True)
class Answer:
    """One expansion, and how it was really sampled; `None` where nobody knows."""

    expansion: Expansion
    sampling: Sampling | None


# (Prompt id, query id) → answers.
Answers = dict[tuple[str, str], list[Answer]]
# Prompt id → query id → what a prompt with context shows of the collection.
Shown = Mapping[str, Mapping[str, str]]


def sweep(sampling: Sampling, temperatures: Sequence[float]) -> list[Sampling]:
    """The same sampling at several temperatures.

    The first keeps its seed. Each further one has a seed of its own, made of that seed and the temperature: with equal
    seeds, neighbouring temperatures would draw much the same words. A temperature added at the end changes no other.

    Raises:
        KitError: a temperature is no number, below 0, or stands there twice.
    """
    for temperature in temperatures:
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature < 100:
            raise KitError(f"--temperature {temperature!r}: give numbers, 0 (greedy) or more")
    if not temperatures or len(set(temperatures)) < len(temperatures):
        raise KitError(f"--temperature {list(temperatures)}: give one temperature, or several different ones")
    first, *others = map(float, temperatures)
    return [
        replace(sampling, temperature=first),
        *(replace(sampling, temperature=other, seed=_seed(sampling.seed, other)) for other in others),
    ]


def _seed(seed: int, temperature: float) -> int:
    """31 bits of the build's seed and a temperature."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{temperature}".encode()).digest()[:4], "big") >> 1


def write_answers(
    queries: Sequence[Query],
    expanders: Sequence[tuple[Prompt, Expander]],
    exemplars: Mapping[str, list[Exemplar]],
    shown: Shown,
    samples: int,
    samplings: Sequence[Sampling],
    folder: Path,
    processes: Processes,
) -> Answers:
    """Have every query answered under every prompt, in every way of sampling; answers are cut back to whole words.

    Args:
        queries (`Sequence[Query]`):
            The queries.
        expanders (`Sequence`):
            Pairs of a prompt and the expander that answers it.
        exemplars (`Mapping`):
            Prompt id → its drawn exemplars.
        shown (`Mapping`):
            Prompt id → query id → what a prompt with context shows of the collection.
        samples (`int`), samplings (`Sequence[Sampling]`):
            How many answers to each in each way, and how the model chooses its words.
        folder (`Path`):
            Where answers are kept: an interrupted command goes on from there.
        processes ([`Processes`]):
            Who shares the work; every one of them must call this.

    Returns:
        (Prompt id, query id) → answers in the order of the samplings, in every process.
    """
    answers: Answers = {(prompt.id, query.id): [] for prompt, _ in expanders for query in queries}
    for prompt, expander in expanders:
        drawn = exemplars[prompt.id]
        texts = shown[prompt.id]
        requests = {query.id: _requests(query, prompt, drawn, texts, samples, expander) for query in queries}
        asked = [request for some in requests.values() for request in some]
        mine = expander.share(asked, processes.index, processes.count)
        for sampling in samplings:
            if processes.is_main:
                at = f" at temperature {sampling.temperature:g}" if len(samplings) > 1 else ""
                say(f"{prompt.id}: {len(queries)} queries{'' if expander.free else f' × {samples} samples'}{at}")
            if expander.free:
                written = dict(expander.expand(asked, sampling, {request.key for request in asked} - mine))
            else:
                log = GenerationLog(
                    folder, _answer_settings(prompt, drawn, texts, samples, sampling, expander), processes.index
                )
                _write(expander, asked, mine, sampling, log, processes)
                written = log.answers
            gathered = dict[str, list[Expansion]](processes.gather([(key, written[key]) for key in sorted(mine)]))
            for query in queries:
                answers[prompt.id, query.id] += [
                    Answer(one.cleaned(), expander.sampled(sampling))
                    for request in requests[query.id]
                    for one in gathered[request.key]
                ]
    return answers


def stripped_counts(expansions: Iterable[Expansion]) -> dict[str, int]:
    """What was taken out of answers → out of how many."""
    kinds = Counter(kind for one in expansions for kind in one.stripped.split("+"))
    return {kind: number for kind, number in sorted(kinds.items()) if kind}


def answer_columns(prompt: Prompt, identity: Identity, answer: Answer, **more: Any) -> dict[str, Any]:
    """The columns of a dataset that tell how one answer was written; `more` stand where they always did."""
    expansion = answer.expansion
    return {
        "prompt_id": prompt.id,
        "prompt_version": prompt.version,
        "model_id": identity.model_id,
        "model_revision": identity.revision,
        "adapter": identity.adapter,
        "provider": identity.provider,
        **{one.name: getattr(answer.sampling, one.name, None) for one in fields(Sampling)},
        **more,
        "prompt_tokens": expansion.prompt_tokens,
        "completion_tokens": expansion.completion_tokens,
        "finish_reason": expansion.finish_reason,
    }


def _requests(
    query: Query,
    prompt: Prompt,
    exemplars: Sequence[Exemplar],
    texts: Mapping[str, str],
    samples: int,
    expander: Expander,
) -> list[Request]:
    messages = tuple(prompt.messages(query.text, for_query(exemplars, query.id), texts[query.id]))
    if expander.separate_samples:
        return [Request(f"{query.id}#{number}", messages, 1) for number in range(samples)]
    return [Request(query.id, messages, samples)]


def _answer_settings(
    prompt: Prompt,
    exemplars: Sequence[Exemplar],
    texts: Mapping[str, str],
    samples: int,
    sampling: Sampling,
    expander: Expander,
) -> dict[str, Any]:
    """All that answers depend on. Samples that are asked for one by one do not depend on how many there are."""
    return {
        "expander": asdict(expander.identity),
        **expander.settings,
        **asdict(sampling),
        "prompt": prompt.sha256,
        "exemplars": [asdict(exemplar) for exemplar in exemplars],
        **({"shown": dict(texts)} if any(texts.values()) else {}),
        **({} if expander.separate_samples else {"samples": samples}),
    }


def _write(
    expander: Expander,
    asked: Sequence[Request],
    mine: set[str],
    sampling: Sampling,
    log: GenerationLog,
    processes: Processes,
) -> None:
    from tqdm import tqdm

    done = ({request.key for request in asked} - mine) | set(log.answers)
    # Answers come in bursts, a block at a time; without mininterval=0 the bar would stop at the first of each.
    with (
        tqdm(
            total=len(mine),
            unit="request",
            initial=len(mine & done),
            mininterval=0,
            disable=not processes.is_main,
        ) as bar,
        closing(expander.expand(asked, sampling, done)) as expanded,
    ):
        for key, expansions in expanded:
            log.append(key, [expansion.whole() for expansion in expansions])
            bar.update()

"""The answers: what expanders write to the queries of a build, kept as it comes, shared out among processes."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from builders.collections.collection import Query
from builders.command import say
from builders.expanders.budget import Prices, Usage
from builders.expanders.expander import Expander, Expansion, Request, Sampling
from builders.expanders.generation_log import GenerationLog
from builders.processes import Processes
from builders.prompts.exemplars import for_query
from builders.prompts.prompt import Exemplar, Prompt


Answers = dict[tuple[str, str], list[Expansion]]


def write_answers(
    queries: Sequence[Query],
    expanders: Sequence[tuple[Prompt, Expander]],
    exemplars: Mapping[str, list[Exemplar]],
    shown: Mapping[str, Mapping[str, str]],
    samples: int,
    sampling: Sampling,
    folder: Path,
    processes: Processes,
) -> Answers:
    """Have every query answered under every prompt.

    Args:
        queries (`Sequence[Query]`):
            The queries.
        expanders (`Sequence`):
            Pairs of a prompt and the expander that answers it.
        exemplars (`Mapping`):
            Prompt id → its drawn exemplars.
        shown (`Mapping`):
            Prompt id → query id → what a grounded prompt shows of the collection.
        samples (`int`), sampling ([`Sampling`]):
            How many answers to each, and how the model chooses its words.
        folder (`Path`):
            Where answers are kept: an interrupted command goes on from there.
        processes ([`Processes`]):
            Who shares the work; every one of them must call this.

    Returns:
        (Prompt id, query id) → expansions, in every process.
    """
    answers: Answers = {}
    for prompt, expander in expanders:
        drawn = exemplars[prompt.id]
        texts = shown[prompt.id]
        requests = {query.id: _requests(query, prompt, drawn, texts, samples, expander) for query in queries}
        asked = [request for some in requests.values() for request in some]
        mine = expander.share(asked, processes.index, processes.count)
        if processes.is_main:
            say(f"{prompt.id}: {len(queries)} queries{'' if expander.free else f' × {samples} samples'}")
        if expander.free:
            written = dict(expander.expand(asked, sampling, {request.key for request in asked} - mine))
        else:
            log = GenerationLog(
                folder, _answer_settings(prompt, drawn, texts, samples, sampling, expander), processes.index
            )
            _write(expander, asked, mine, sampling, log, processes)
            written = log.answers
        gathered: dict[str, list[Expansion]] = dict(processes.gather([(key, written[key]) for key in sorted(mine)]))
        for query in queries:
            answers[prompt.id, query.id] = [one for request in requests[query.id] for one in gathered[request.key]]
    return answers


def cost(answers: Answers, prices: Prices | None) -> dict[str, Any] | None:
    """What answers were paid with, as `build.json` says it; `None` for an expander that nobody pays."""
    if prices is None:
        return None
    written = [expansion for expansions in answers.values() for expansion in expansions]
    usage = Usage(
        sum(expansion.prompt_tokens for expansion in written),
        sum(expansion.completion_tokens + expansion.reasoning_tokens for expansion in written),
    )
    return {**asdict(usage), **asdict(prices), "usd": round(prices.cost(usage), 6)}


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
            log.append(key, expansions)
            bar.update()

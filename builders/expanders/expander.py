"""The expander: query → expansions. A teacher and a student are the same kind of thing."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from builders.prompts.prompt import Message


FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampling:
    """How an expander chooses its words.

    Args:
        temperature (`float`):
            0 means greedy.
        top_p (`float`), top_k (`int`):
            Nucleus, and number of most likely tokens to choose from (0: all). Nucleus sampling sorts the vocabulary
            for every token; on a CPU `top_p=1` with a `top_k` is markedly faster.
        max_new_tokens (`int`):
            The token limit of one expansion.
        seed (`int`):
            The same seed on the same machine and versions gives the same expansions.
    """

    temperature: float
    top_p: float
    top_k: int
    max_new_tokens: int
    seed: int


GREEDY_SEED = 0


def greedy(max_new_tokens: int) -> Sampling:
    """One deterministic answer: how students are evaluated and used."""
    return Sampling(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=max_new_tokens, seed=GREEDY_SEED)


@dataclass(frozen=True, slots=True)
class Expansion:
    """One answer. Token counts are those of the expander's own tokenizer."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for `samples` answers to one conversation; `key` names the request among its fellows."""

    key: str
    messages: tuple[Message, ...]
    samples: int


@dataclass(frozen=True)
class Identity:
    """Which model wrote an expansion; recorded with every candidate.

    Args:
        model_id (`str`):
            Hub id of the base model.
        revision (`str`):
            Commit on the Hub, or what else pins the weights.
        weights (`str`):
            One sentence on where the weights really came from.
        provider (`str`):
            `local`, or who ran the model.
        adapter (`str`, *optional*):
            Folder name or Hub id of the LoRA adapter, with the hash of its weights.
    """

    model_id: str
    revision: str
    weights: str
    provider: str
    adapter: str | None = None


class Expander(Protocol):
    """Something that turns conversations into expansions."""

    identity: Identity

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Collection[str] = ()
    ) -> Iterator[tuple[str, list[Expansion]]]:
        """Answer every request whose key is not in `done`, in any order, as soon as each is ready.

        What is already done is passed rather than left out: an expander may compose its batches from the whole list,
        so that an interrupted run gives the same answers as an undisturbed one.

        Returns:
            Pairs (key, expansions), `samples` expansions each.
        """
        ...

"""What every expander does: query → expansions. A teacher and a student are the same kind of thing."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from builders.collections.collection import Collection as SearchedCollection
from builders.expanders.server.budget import Prices, Usage
from builders.prompts.answer_text import stripped, whole_words
from builders.prompts.prompt import Message, Prompt


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


def searched_together(max_new_tokens: int, temperature: float, top_k: int) -> Sampling:
    """How several answers are drawn that are searched together; always the same ones."""
    return Sampling(temperature, 1.0, top_k, max_new_tokens, GREEDY_SEED)


# Bytes a token, where a model's own count is not to be had. Close to what byte-level BPE gives English and Chinese.
BYTES_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, for texts whose model told nobody."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Expansion:
    """One answer. Token counts are those of the expander's own tokenizer.

    Args:
        text (`str`):
            The answer, white space collapsed.
        prompt_tokens (`int`), completion_tokens (`int`):
            Length of the conversation and of the answer.
        finish_reason (`"stop"` or `"length"`):
            Whether the model ended by itself or by the token limit.
        reasoning_tokens (`int`):
            What the model thought aloud beforehand; paid for, and no part of the text.
        stripped (`str`):
            What was taken out of the text, with `+` between: `label`, `reasoning`.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason
    reasoning_tokens: int = 0
    stripped: str = ""

    def cleaned(self) -> "Expansion":
        """The answer without labels and reasoning in its text; what is clean stays as it is."""
        text, kinds = stripped(self.text)
        if not kinds:
            return self
        return replace(self, text=text, stripped="+".join(sorted({*filter(None, self.stripped.split("+")), *kinds})))

    def whole(self) -> "Expansion":
        """The answer without the part of a word that the token limit left at its end."""
        return replace(self, text=whole_words(self.text)) if self.finish_reason == "length" else self


def joined(expansions: Sequence[Expansion]) -> Expansion:
    """All answers to a request as one, which is searched; a single one stays as it is."""
    if len(expansions) == 1:
        return expansions[0]
    texts = filter(None, (one.text for one in expansions))
    tokens = sum(one.completion_tokens for one in expansions)
    all_ended = all(one.finish_reason == "stop" for one in expansions)
    return Expansion(" ".join(texts), expansions[0].prompt_tokens, tokens, "stop" if all_ended else "length")


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
            Commit on the Hub, or what else pins the model: see [`Checkpoint`].
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


def joint_identity(identities: Sequence[Identity]) -> Identity:
    """Who wrote a dataset of one or several models; in that order, each once."""
    distinct = list(dict.fromkeys(identities))
    if len(distinct) == 1:
        return distinct[0]

    def joined(name: str) -> str:
        return " and ".join(dict.fromkeys(filter(None, (getattr(one, name) for one in distinct))))

    adapter = joined("adapter") or None
    return Identity(joined("model_id"), joined("revision"), joined("weights"), joined("provider"), adapter)


@dataclass(frozen=True)
class ExpanderInputs:
    """What an expander is made from.

    Args:
        model (`str`), model_revision (`str`, *optional*):
            Which model, for those that ask one.
        options:
            The expander's own settings, an instance of its `Options`.
        collection ([`Collection`]), retriever (`str`):
            What it is asked about, and the setting that names what searches it.
        prompts (`Sequence[Prompt]`), student ([`Prompt`]):
            What is to be answered, and which of them the student will see.
        folder (`Path`):
            Where an expander that is paid for keeps account.
        told (`Mapping`):
            All settings of the command that asks.
    """

    model: str
    model_revision: str | None
    options: Any
    collection: SearchedCollection
    retriever: str
    prompts: Sequence[Prompt]
    student: Prompt
    folder: Path
    told: Mapping[str, Any] = field(default_factory=dict)


class Expander(ABC):
    """Something that turns conversations into expansions.

    A kind of expander is a class of its own; one line in `builders.expanders.load.EXPANDERS` makes it known to every
    command.

    Attributes:
        name (`str`), help (`str`):
            What `--expander` calls the kind, and what it does in a few words.
        Options (`type`, *optional*):
            Dataclass of its own settings: each becomes an option of the commands.
        reads_prompt (`bool`):
            Whether it can answer a prompt; the others know only the query.
        identity ([`Identity`]):
            Which model answers.
        settings (`Mapping`):
            All that an answer depends on beside identity, request and sampling; plain JSON values.
        separate_samples (`bool`):
            Whether each sample is to be a request of its own, because each is paid for by itself. Otherwise the
            samples of one conversation come together.
        free (`bool`):
            Whether asking again costs nothing, so that answers need no generation log.
        prices ([`Prices`], *optional*):
            What tokens cost, where they are paid for.
        query_ids (`Collection[str]`, *optional*):
            The only queries that there are answers to, where not any query can be asked.
    """

    name: ClassVar[str] = ""
    help: ClassVar[str] = ""
    Options: ClassVar[Any] = None
    reads_prompt: ClassVar[bool] = False

    identity: Identity
    settings: Mapping[str, Any] = {}
    separate_samples: bool = False
    free: bool = False
    prices: Prices | None = None
    query_ids: Collection[str] | None = None

    @classmethod
    def make(cls, inputs: ExpanderInputs) -> "Sequence[tuple[Prompt, Expander]]":
        """Every prompt with the expander that answers it; all of one identity, unless they are a pool.

        A recording brings its own prompts; who reads none (a term regression, nobody) stands beside the student's.

        Raises:
            KitError: a setting makes no sense, or names nothing known.
        """
        raise NotImplementedError(f"{cls.__name__} is no kind of --expander")

    @property
    def spent(self) -> Usage | None:
        """All that was paid so far for this dataset, failed requests too; `None` where nothing is paid for."""
        return None

    def sampled(self, sampling: Sampling) -> Sampling | None:
        """How the answers to requests with this sampling are really sampled; `None` where nobody knows."""
        return sampling

    def share(self, requests: Sequence[Request], process: int, processes: int) -> set[str]:
        """Keys of the requests that fall to one of several processes: all to the first, unless a kind knows better."""
        return {request.key for request in requests} if process == 0 else set()

    @abstractmethod
    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Collection[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Answer every request whose key is not in `done`, in any order, as soon as each is ready.

        What is already done is passed rather than left out: an expander may compose its batches from the whole list,
        so that an interrupted run gives the same answers as an undisturbed one. Asking for the next pair says that
        the last one is safe: an expander that is paid for begins nothing new in its place before.

        Returns:
            Pairs (key, expansions), `samples` expansions each (recorded ones may be fewer).
        """

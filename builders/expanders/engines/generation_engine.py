"""What every engine of local generation does: token ids of prompts → token ids of answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, ClassVar

from builders.expanders.checkpoint import Checkpoint
from builders.expanders.expander import Sampling


# What `--dtype` says where the engine is to choose.
AUTO = "auto"


@dataclass(frozen=True)
class LocalModel:
    """What is to be run.

    Args:
        checkpoint ([`Checkpoint`]), adapter (`str`, *optional*):
            Base model, and folder or Hub id of a LoRA adapter of it.
        dtype (`str`):
            torch's name of the arithmetic, or `auto`.
        load_in_4bit (`bool`):
            NF4 with double quantization.
    """

    checkpoint: Checkpoint
    adapter: str | None
    dtype: str
    load_in_4bit: bool


class Engine(ABC):
    """Something that runs a language model on this machine.

    An engine is a class of its own; one line in `builders.expanders.engines.load.ENGINES` makes it known.

    Args:
        model ([`LocalModel`]):
            Loaded when the first answer is asked for.

    Attributes:
        name (`str`), help (`str`):
            What `--engine` calls it, and what it does in a few words.
        block (`int`):
            How many sequences it generates together where nobody says so.
    """

    name: ClassVar[str] = ""
    help: ClassVar[str] = ""
    block: ClassVar[int] = 32

    def __init__(self, model: LocalModel) -> None:
        self.local = model

    @classmethod
    @abstractmethod
    def refusal(cls, model: LocalModel) -> str | None:
        """Why it cannot run this model here, and what to do; `None` where it can."""

    @classmethod
    def suits(cls, model: LocalModel) -> bool:
        """Whether `auto` takes it: it can run the model, and no later engine would do better."""
        return cls.refusal(model) is None

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What answers depend on beside the model's identity and the sampling; plain JSON values."""

    @property
    @abstractmethod
    def end_tokens(self) -> AbstractSet[int]:
        """Ids of the tokens that end an answer, as far as the model says so."""

    @property
    @abstractmethod
    def is_loaded(self) -> bool:
        """Whether the model takes memory by now."""

    @abstractmethod
    def load(self) -> None:
        """Load the model, if it is not loaded.

        Raises:
            KitError: a package is missing, or the model cannot be loaded.
        """

    @abstractmethod
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samples: int,
        sampling: Sampling,
        ends: AbstractSet[int],
        seed: int,
    ) -> list[list[list[int]]]:
        """Go on from every prompt.

        Args:
            prompts (`Sequence`):
                Token ids of each.
            samples (`int`):
                Answers to each.
            sampling ([`Sampling`]):
                How the words are chosen; its own seed is in `seed`.
            ends (`Set[int]`):
                Tokens that end an answer.
            seed (`int`):
                Not negative. The same prompts, sampling and seed give the same answers, whatever went before.

        Returns:
            Prompt → sample → token ids, up to the first end token or further.
        """

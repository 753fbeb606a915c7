"""A prompt, as its versioned YAML file states it, and the messages it makes of a query."""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from builders.errors import KitError
from builders.prompts.output_check import OutputCheck


Condition = Literal["zero-shot", "few-shot"]


class Message(TypedDict):
    """One turn of a conversation, as chat templates take it."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A solved example for few-shot prompts."""

    query_id: str
    query: str
    expansion: str
    relevant_to: tuple[str, ...] = ()
    """Ids of the queries that the exemplar's document answers: they must not see it."""


@dataclass(frozen=True)
class Prompt:
    """What an expander is told.

    Args:
        id (`str`), version (`int`):
            Name the wording; the version changes with every change of the wording.
        language (`str`):
            ISO 639-1 code of the queries and of the answers: the collection's.
        condition (`"zero-shot"` or `"few-shot"`), task (`str`):
            What it is for.
        system (`str`), user (`str`):
            Templates; `{query}` stands for the query.
        exemplars (`int`):
            Number of solved examples shown before the query (0 for zero-shot).
        check ([`OutputCheck`]):
            What an answer must look like.
        sha256 (`str`):
            Of the file's bytes, so that provenance notices an edit without a new version.
        grounding (`str`, *optional*):
            Name of the context, what of the collection stands in place of `{grounding}`: one of
            `builders.prompts.context.load.CONTEXTS`.
    """

    id: str
    version: int
    language: str
    condition: Condition
    task: str
    system: str
    user: str
    exemplars: int
    check: OutputCheck
    sha256: str
    grounding: str | None = None

    def messages(self, query: str, exemplars: Sequence[Exemplar] = (), grounding: str = "") -> list[Message]:
        """The conversation for one query: system (unless empty), solved examples as earlier turns, then the query.

        Args:
            query (`str`), exemplars (`Sequence[Exemplar]`):
                What is asked, and the solved examples.
            grounding (`str`):
                What a grounded prompt shows of the collection.

        Raises:
            KitError: the query is empty, the number of exemplars is not the prompt's, or an ungrounded prompt is to
                show something.
        """
        if not query.strip():
            raise KitError("the query is empty: give it at least one word")
        if len(exemplars) != self.exemplars:
            raise KitError(f"prompt {self.id!r} shows {self.exemplars} exemplar(s), got {len(exemplars)}")
        if grounding and not self.grounding:
            raise KitError(f"prompt {self.id!r} has no place for a grounding")
        turns = [Message(role="system", content=self.system)] if self.system else []
        for exemplar in exemplars:
            turns.append(Message(role="user", content=self.user.replace("{query}", exemplar.query)))
            turns.append(Message(role="assistant", content=exemplar.expansion))
        asked = self.user.replace("{grounding}", grounding).replace("{query}", query.strip())
        turns.append(Message(role="user", content=asked.strip()))
        return turns


def refuse_gold(prompts: Iterable[Prompt]) -> None:
    """Refuse prompts that show the judged document: nobody may learn from them, or be measured with them.

    Raises:
        KitError: one does.
    """
    for prompt in prompts:
        if prompt.grounding == "gold":
            raise KitError(
                f"prompt {prompt.id!r} shows the judged document, which is the answer: it is for python -m builders "
                "references alone; give a prompt that can be asked about any query"
            )


def __getattr__(name: str) -> Any:
    """`load_prompt`, which published cards import from here."""
    if name == "load_prompt":
        return importlib.import_module("builders.prompts.load").load_prompt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

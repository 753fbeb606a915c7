"""Expands with what a prompt would show of the collection: feedback terms or passages, without any model."""

from collections.abc import Collection as Container
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import ClassVar

from builders.collections.collection import Collection
from builders.expanders.expander import (
    Expander,
    ExpanderInputs,
    Expansion,
    Identity,
    Request,
    Sampling,
    estimated_tokens,
)
from builders.prompts.context.load import load_grounding
from builders.prompts.prompt import Prompt


class ContextExpander(Expander):
    """Answers with the text that a prompt of one kind of context shows beside the query: what a model has to beat.

    Requests are answered by their keys, which are query ids; there is one answer to each, and nothing to sample.

    Args:
        collection ([`Collection`]):
            What is shown of.
        prompt ([`Prompt`]):
            Any; only its context is exchanged.
        retriever (`str`):
            What searches, where pages are shown that a search finds.

    Raises:
        KitError: the collection or the retriever cannot give it.
    """

    context: ClassVar[str]
    searches: ClassVar[bool] = False
    free = True

    @classmethod
    def make(cls, inputs: ExpanderInputs) -> list[tuple[Prompt, Expander]]:
        """See [`Expander.make`]."""
        return [(inputs.student, cls(inputs.collection, inputs.student, inputs.retriever))]

    def __init__(self, collection: Collection, prompt: Prompt, retriever: str) -> None:
        self._queries = collection.queries
        self._context = load_grounding(replace(prompt, grounding=self.context), collection, retriever)
        source = f"what {retriever} finds in" if self.searches else "the train judgments of"
        self.identity = Identity(self.name, "1", f"read from {source} {collection.name}", "local")
        self.settings = {"context": self.context, **({"context_retriever": retriever} if self.searches else {})}
        self.query_ids = collection.queries.keys()

    def sampled(self, sampling: Sampling) -> None:
        """There is nothing to sample."""

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Container[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Answer by the requests' keys; see [`Expander.expand`]."""
        asked = [request.key for request in requests if request.key not in done]
        shown = self._context.texts([self._queries[key] for key in asked])
        for key, text in zip(asked, (" ".join(text.split()) for text in shown), strict=True):
            yield key, [Expansion(text, 0, estimated_tokens(text), "stop")]


class FeedbackTermsExpander(ContextExpander):
    """Terms that documents judged relevant to similar train queries share (kNN feedback terms)."""

    name = "feedback-terms"
    help = "terms that the relevant documents of the most similar train queries share"
    context = "judged"


class NeighbourTermsExpander(ContextExpander):
    """Terms of the relevant documents of each similar train query by itself."""

    name = "neighbour-terms"
    help = "terms of the relevant documents of each similar train query by itself"
    context = "neighbours"


class PassagesExpander(ContextExpander):
    """How the pages begin that the plain query finds first (pseudo-relevance feedback)."""

    name = "prf-passages"
    help = "how the pages begin that the plain query finds first (pseudo-relevance feedback)"
    context = "passages"
    searches = True


class ShownTexts(Expander):
    """Answers with the last turn of the conversation as it stands: what a prompt of `{grounding}` alone shows."""

    free = True
    block = 64

    def __init__(self, name: str) -> None:
        self.identity = Identity(name, "1", "read from a collection", "local")

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Container[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """See [`Expander.expand`]."""
        for request in requests:
            if request.key not in done:
                text = " ".join(request.messages[-1]["content"].split())
                yield request.key, [Expansion(text, 0, estimated_tokens(text), "stop")]


# What needs no model and can be asked anything, by its name.
WITHOUT_MODEL: dict[str, type[ContextExpander]] = {
    kind.name: kind for kind in (FeedbackTermsExpander, NeighbourTermsExpander, PassagesExpander)
}

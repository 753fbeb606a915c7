"""Loads what a prompt shows of the collection; a further context is a class more in `CONTEXTS`."""

from collections.abc import Iterable, Sequence

from builders.collections.collection import Collection, Query
from builders.prompts.context.context import NoContext, PromptContext
from builders.prompts.context.feedback_terms import FeedbackTerms, NeighbourTerms
from builders.prompts.context.gold_document import GoldDocument
from builders.prompts.context.prf_passages import PrfPassages
from builders.prompts.context.regression_terms import RegressionTerms
from builders.prompts.prompt import Prompt, refuse_gold


CONTEXTS: tuple[type[PromptContext], ...] = (FeedbackTerms, RegressionTerms, NeighbourTerms, PrfPassages, GoldDocument)


def context_names() -> list[str]:
    """What prompt files may state as their `grounding`."""
    return [kind.name for kind in CONTEXTS]


def load_context(prompt: Prompt, collection: Collection, retriever: str) -> PromptContext:
    """What the prompt shows of the collection.

    Args:
        prompt ([`Prompt`]), collection ([`Collection`]):
            Which prompt, and of what.
        retriever (`str`):
            Setting that names what searches, for a prompt that shows what a search finds.

    Raises:
        KitError: the collection or the retriever cannot give it, or it is the judged document ([`GoldDocument`] is
            for self-reference answers alone).
    """
    refuse_gold([prompt])
    kind = next((kind for kind in CONTEXTS if kind.name == prompt.grounding), NoContext)
    return kind(collection, retriever)


# Published cards know it by this name.
load_grounding = load_context


def shown_texts(
    prompts: Iterable[Prompt], collection: Collection, retriever: str, queries: Sequence[Query]
) -> dict[str, dict[str, str]]:
    """What every prompt shows of the collection: prompt id → query id → text, empty for prompts that show nothing.

    Raises:
        KitError: see [`load_context`].
    """
    by_kind: dict[str | None, dict[str, str]] = {}
    shown = {}
    for prompt in prompts:
        if prompt.grounding not in by_kind:
            texts = load_context(prompt, collection, retriever).texts(queries)
            by_kind[prompt.grounding] = {query.id: text for query, text in zip(queries, texts, strict=True)}
        shown[prompt.id] = by_kind[prompt.grounding]
    return shown

"""From a prompt to what grounds it."""

from collections.abc import Iterable, Sequence

from builders.collections.collection import Collection, Query
from builders.prompts.context.context import Grounding, NoGrounding
from builders.prompts.context.feedback_terms import JudgedWords
from builders.prompts.context.passages import Passages
from builders.prompts.context.regression_terms import RegressionWords
from builders.prompts.load import refuse_gold
from builders.prompts.prompt import Prompt
from builders.retrievers.load import load_retriever


def load_grounding(prompt: Prompt, collection: Collection, retriever: str) -> Grounding:
    """What the prompt shows of the collection.

    Args:
        prompt ([`Prompt`]), collection ([`Collection`]):
            Which prompt, and of what.
        retriever (`str`):
            Setting that names what searches, for a prompt that shows what a search finds.

    Raises:
        KitError: the collection or the retriever cannot give it, or it is the judged document ([`Gold`] is for
            self-reference answers alone).
    """
    refuse_gold([prompt])
    if prompt.grounding in ("judged", "neighbours"):
        return JudgedWords(collection, together=prompt.grounding == "judged")
    if prompt.grounding == "regression":
        return RegressionWords(collection)
    if prompt.grounding == "passages":
        return Passages(collection, load_retriever(retriever, collection))
    return NoGrounding()


def shown_texts(
    prompts: Iterable[Prompt], collection: Collection, retriever: str, queries: Sequence[Query]
) -> dict[str, dict[str, str]]:
    """What every prompt shows of the collection: prompt id → query id → text, empty for prompts that show nothing.

    Raises:
        KitError: see [`load_grounding`].
    """
    by_kind: dict[str | None, dict[str, str]] = {}
    shown = {}
    for prompt in prompts:
        if prompt.grounding not in by_kind:
            texts = load_grounding(prompt, collection, retriever).texts(queries)
            by_kind[prompt.grounding] = {query.id: text for query, text in zip(queries, texts, strict=True)}
        shown[prompt.id] = by_kind[prompt.grounding]
    return shown

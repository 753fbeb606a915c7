"""Write the expansions of the systems that a Space shows: students, the base model, feedback terms, records alone."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar, cast

from builders.collections.collection import Collection, Query
from builders.errors import KitError
from builders.expanders.expander import Expansion
from builders.expanders.trained import QueryExpander
from builders.prompts.context.feedback_terms import FeedbackTerms


TERMS = "feedback terms"
# So many answers are kept: decoding is greedy, so that a query asked again is answered the same.
KEPT = 512

Work = TypeVar("Work", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Written:
    """One expansion: what it cost (`tokens`, `milliseconds`), and whether it was written now, then, or by hand."""

    text: str
    tokens: int
    milliseconds: float | None
    source: Literal["live", "recorded", "edited"]


class Writer(ABC):
    """Something that expands queries.

    Attributes:
        at_once (`bool`): whether it answers without a model, so that nobody has to wait in line.
    """

    at_once: ClassVar[bool] = False

    @abstractmethod
    def write(self, query: Query, collection: Callable[[], Collection]) -> Written:
        """Write an expansion.

        Raises:
            KitError: it cannot; said in one line.
        """

    def remembered(self, query: str) -> Written | None:
        """What it wrote for this query before."""
        return None

    def elsewhere(self) -> "Writer":
        """The same system for another collection, of which it knows nothing yet."""
        return self


class ModelWriter(Writer):
    """A language model, loaded when it is first asked. Its last answers are kept.

    Args:
        load (`Callable`):
            Loads it.
    """

    def __init__(self, load: Callable[[], QueryExpander]) -> None:
        self._load = load
        self._answer = _on_gpu(self._ask)
        self._model: QueryExpander | None = None
        self._refusal: str | None = None
        self._kept: dict[str, Written] = {}
        self._using = threading.Lock()

    @property
    def model(self) -> QueryExpander:
        """The model, ready to write.

        Raises:
            KitError: it cannot be loaded; the first refusal stands, so that nobody waits twice.
        """
        if self._refusal is not None:
            raise KitError(self._refusal)
        if self._model is None:
            try:
                self._model = self._load()
            except Exception as error:
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                self._refusal = f"The model cannot be loaded here ({reason})."
                raise KitError(self._refusal) from error
        return self._model

    def write(self, query: Query, collection: Callable[[], Collection]) -> Written:
        """See [`Writer.write`]."""
        with self._using:
            model = self.model
            shown = collection() if model.prompt.grounding else None
            started = time.perf_counter()
            (answer,) = self._answer(query, shown)
            written = Written(answer.text, answer.completion_tokens, 1000 * (time.perf_counter() - started), "live")
            self._kept[query.text] = written
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return written

    def _ask(self, query: Query, shown: Collection | None) -> list[Expansion]:
        return self.model.answers([query], shown)

    def remembered(self, query: str) -> Written | None:
        """See [`Writer.remembered`]."""
        return self._kept.get(query)

    def elsewhere(self) -> Writer:
        """See [`Writer.elsewhere`]: a prompt may show something of the collection."""
        other = ModelWriter(lambda: self.model.fresh())
        other._using = self._using
        return other


def _on_gpu(work: Work) -> Work:
    """What a Space on ZeroGPU lends a GPU to, each time it is called; elsewhere the same."""
    if not os.environ.get("SPACES_ZERO_GPU"):
        return work
    import spaces

    return cast(Work, spaces.GPU(work))


class TermsWriter(Writer):
    """Words of pages judged relevant to similar train queries: what a model has to beat."""

    at_once = True

    def __init__(self) -> None:
        self._terms: FeedbackTerms | None = None
        self._loading = threading.Lock()

    def write(self, query: Query, collection: Callable[[], Collection]) -> Written:
        """See [`Writer.write`]."""
        with self._loading:
            self._terms = self._terms or FeedbackTerms(collection())
        started = time.perf_counter()
        (text,) = self._terms.texts([replace(query, split="test")])
        return Written(" ".join(text.split()), len(text.split()), 1000 * (time.perf_counter() - started), "live")

    def elsewhere(self) -> Writer:
        """See [`Writer.elsewhere`]."""
        return TermsWriter()


class RecordedWriter(Writer):
    """A system that was measured and is not carried: it has answers to test queries alone."""

    at_once = True

    def write(self, query: Query, collection: Callable[[], Collection]) -> Written:
        """See [`Writer.write`]."""
        raise KitError("This system does not run here: it shows what was recorded for test queries.")

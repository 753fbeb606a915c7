"""Audits what stands behind a system's gain: copied documents, gold seen in training, new terms, answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from builders.collections.collection import Collection, Query
from builders.collections.files.accepted_answers import AnswerIndex, load_tokenizer
from builders.grading.comparison import difference_row, differences
from builders.measures.answer_accuracy import answer_rank, top_k_accuracy
from builders.measures.leakage import copies, share_of_gain
from builders.measures.new_terms import new_terms
from builders.prompts.script import segments
from builders.retrievers.retriever import LexicalRetriever, Retriever
from train.evaluation.systems import System


@dataclass(frozen=True)
class Audited:
    """What was found of one system, query by query.

    Args:
        new_terms (`Sequence`):
            The share of each expansion's terms that its query lacks, and how many different ones; 0 without expansion.
        copies (`Sequence[bool]`):
            Whether the expansion repeats a run of terms of a relevant document that its prompt does not hold.
        answer_ranks (`Sequence`, *optional*):
            The rank of the first passage with an accepted answer; of a collection with answers.
    """

    new_terms: Sequence[tuple[float, int]]
    copies: Sequence[bool]
    answer_ranks: Sequence[int | None] | None


class Audit:
    """Looks at all systems of an evaluation; reads the documents once.

    Args:
        collection ([`Collection`]):
            Documents, judgments, and perhaps answers.
        retriever ([`Retriever`]):
            Whose terms are counted; words, where it matches no terms.
        queries (`Sequence[Query]`), systems (`Sequence[System]`):
            What was asked, and what came of it.
        with_answers (`bool`):
            Whether to look for accepted answers in what was found.
    """

    def __init__(
        self,
        collection: Collection,
        retriever: Retriever,
        queries: Sequence[Query],
        systems: Sequence[System],
        with_answers: bool,
    ) -> None:
        self._queries = queries
        self._terms: Callable[[str], list[str]] = (
            retriever.terms if isinstance(retriever, LexicalRetriever) else segments
        )
        self._relevant = {query.id: collection.relevant(query.id) for query in queries}
        trained = {doc for query in collection.split("train") for doc in collection.relevant(query.id)}
        self.gold_seen = [not trained.isdisjoint(collection.gold(query.id)) for query in queries]
        wanted = {document for found in self._relevant.values() for document in found}
        self._documents = {key: self._terms(text) for key, text in collection.indexed_texts() if key in wanted}
        self._holding = _holding(collection, queries, systems) if with_answers else None

    def audited(self, system: System) -> Audited:
        """What is behind one system."""
        ranks = None
        if self._holding is not None:
            pairs = zip(self._queries, system.rankings, strict=True)
            ranks = [answer_rank(ranking, self._holding.get(query.id, ())) for query, ranking in pairs]
        if system.expanded is None:
            return Audited([(0.0, 0)] * len(self._queries), [False] * len(self._queries), ranks)
        new, copied = [], []
        triples = zip(self._queries, system.expanded.expansions, system.expanded.prompts, strict=True)
        for query, expansion, prompt in triples:
            terms = self._terms(expansion.text)
            new.append(new_terms(self._terms(query.text), terms))
            documents = (self._documents[key] for key in self._relevant[query.id] if key in self._documents)
            copied.append(copies(terms, documents, map(self._terms, prompt)))
        return Audited(new, copied, ranks)

    def row(self, system: System, plain: System, audited: Audited, seed: int) -> dict[str, Any]:
        """The audit's part of a system's row."""
        found: dict[str, Any] = {}
        if audited.answer_ranks is not None:
            found |= top_k_accuracy(audited.answer_ranks)
        if system.expanded is not None:
            found["new_terms"] = mean(share for share, _ in audited.new_terms)
            found["new_terms_per_query"] = mean(number for _, number in audited.new_terms)
        if system is not plain:
            found["leakage"] = self._leakage(system, plain, audited, seed)
        return found

    def _leakage(self, system: System, plain: System, audited: Audited, seed: int) -> dict[str, Any]:
        deltas = differences(system.grades, plain.grades)
        copied = None
        if system.expanded is not None:
            copied = {"queries": sum(audited.copies), "share_of_gain": share_of_gain(deltas, audited.copies)}
        base = [grade.ndcg_at_10 for grade in plain.grades]
        return {
            "copies": copied,
            "seen_gold": _part(base, deltas, self.gold_seen, seed),
            "unseen_gold": _part(base, deltas, [not seen for seen in self.gold_seen], seed),
        }


def _part(plain: Sequence[float], deltas: Sequence[float], chosen: Sequence[bool], seed: int) -> dict[str, Any]:
    own = [delta for delta, mark in zip(deltas, chosen, strict=True) if mark]
    if not own:
        return {"queries": 0}
    base = mean(value for value, mark in zip(plain, chosen, strict=True) if mark)
    return {"queries": len(own), "plain_ndcg_at_10": base, **difference_row(own, seed)}


def _holding(collection: Collection, queries: Sequence[Query], systems: Sequence[System]) -> Mapping[str, set[str]]:
    """Query id → the passages, of all that any system found, that hold an accepted answer: by pyserini's matching."""
    index = AnswerIndex({query.id: collection.answers.get(query.id, ()) for query in queries}, load_tokenizer())
    found = {document for system in systems for ranking in system.rankings for document in ranking}
    holding: dict[str, set[str]] = {}
    for document in collection.documents:
        if document.id in found:
            for query_id in index.matches(document.text):
                holding.setdefault(query_id, set()).add(document.id)
    return holding

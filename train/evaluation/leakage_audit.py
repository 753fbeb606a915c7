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
    """A system and what was found behind its gain, query by query.

    Args:
        system ([`System`]), plain ([`System`]):
            What was searched, and the query alone with the same retriever; of a baseline with the first retriever.
        gold_seen (`Sequence[bool]`):
            Whether a gold document is relevant to a train query, too.
        new_terms (`Sequence`):
            The share of each expansion's terms that its query lacks, and how many different ones; 0 without expansion.
        copies (`Sequence[bool]`):
            Whether the expansion repeats a run of terms of a relevant document that its prompt does not hold.
        answer_ranks (`Sequence`, *optional*):
            The rank of the first passage with an accepted answer; of a collection with answers.
    """

    system: System
    plain: System
    gold_seen: Sequence[bool]
    new_terms: Sequence[tuple[float, int]]
    copies: Sequence[bool]
    answer_ranks: Sequence[int | None] | None

    def row(self, seed: int) -> dict[str, Any]:
        """The audit's part of the system's row."""
        found: dict[str, Any] = {}
        if self.answer_ranks is not None:
            found |= top_k_accuracy(self.answer_ranks)
        copied = None
        deltas = differences(self.system.grades, self.plain.grades)
        if self.system.expanded is not None:
            found["new_terms"] = mean(share for share, _ in self.new_terms)
            found["new_terms_per_query"] = mean(number for _, number in self.new_terms)
            copied = {"queries": sum(self.copies), "share_of_gain": share_of_gain(deltas, self.copies)}
        if self.system is not self.plain:
            base = [grade.ndcg_at_10 for grade in self.plain.grades]
            found["leakage"] = {
                "copies": copied,
                "seen_gold": _part(base, deltas, self.gold_seen, seed),
                "unseen_gold": _part(base, deltas, [not seen for seen in self.gold_seen], seed),
            }
        return found


class Audit:
    """Looks at all systems of a retriever, the plain query first; reads the documents once.

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
        self._queries, self._plain = queries, systems[0]
        self._terms: Callable[[str], list[str]] = (
            retriever.terms if isinstance(retriever, LexicalRetriever) else segments
        )
        self._relevant = {query.id: collection.relevant(query.id) for query in queries}
        trained = {doc for query in collection.split("train") for doc in collection.relevant(query.id)}
        self._gold_seen = [not trained.isdisjoint(collection.gold(query.id)) for query in queries]
        wanted = {document for found in self._relevant.values() for document in found}
        self._documents = {key: self._terms(text) for key, text in collection.indexed_texts() if key in wanted}
        self._holding = _holding(collection, queries, systems) if with_answers else None

    def audited(self, system: System) -> Audited:
        """What is behind one system."""
        ranks = None
        if self._holding is not None:
            pairs = zip(self._queries, system.rankings, strict=True)
            ranks = [answer_rank(ranking, self._holding.get(query.id, ())) for query, ranking in pairs]
        new, copied = [(0.0, 0)] * len(self._queries), [False] * len(self._queries)
        if system.expanded is not None:
            triples = zip(self._queries, system.expanded.expansions, system.expanded.prompts, strict=True)
            for number, (query, expansion, prompt) in enumerate(triples):
                terms = self._terms(expansion.text)
                new[number] = new_terms(self._terms(query.text), terms)
                documents = (self._documents[key] for key in self._relevant[query.id] if key in self._documents)
                copied[number] = copies(terms, documents, map(self._terms, prompt))
        return Audited(system, self._plain, self._gold_seen, new, copied, ranks)


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

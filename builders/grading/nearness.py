"""Says how near an expansion that gains nothing is to the relevant document: a passage on the matter, or chatter."""

from collections.abc import Callable, Iterable
from typing import Any

from builders.collections.collection import Collection
from builders.errors import KitError
from builders.prompts.script import segments
from builders.retrievers.analysis.load import analyzer_for


# A candidate, a row of config `raw` → a number, 0 where it shares nothing with the relevant document.
Nearness = Callable[[dict[str, Any]], float]


def nearness_to_gold(collection: Collection, query_ids: Iterable[str]) -> Nearness:
    """The share that a candidate's new terms and the best-judged documents' have in common, as a cosine of sets.

    Terms of the query say nothing: a refusal repeats them as well. One pass over the documents.

    Args:
        collection ([`Collection`]):
            Whose judgments and documents.
        query_ids (`Iterable[str]`):
            The queries that will be asked about.
    """
    gold = {name: collection.gold(name) for name in query_ids}
    wanted = set().union(*gold.values())
    try:
        terms: Callable[[str], list[str]] = analyzer_for(collection.language)
    except KitError:
        terms = segments
    terms_of = {document: set(terms(text)) for document, text in collection.indexed_texts() if document in wanted}

    def nearness(row: dict[str, Any]) -> float:
        known = set(terms(row["query"]))
        said = set(terms(row["candidate"])) - known
        found = set().union(*(terms_of.get(document, ()) for document in gold[row["query_id"]])) - known
        return len(said & found) / (len(said) * len(found)) ** 0.5 if said and found else 0.0

    return nearness

"""Takes expansions apart into words that their writer was shown and words of its own, to search with each alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from builders.collections.collection import Query
from builders.prompts.script import segments
from builders.retrievers.retriever import LexicalRetriever, Retriever
from train.evaluation.systems import ExpandedQueries


OWN, SHOWN = "own words", "shown words"
PARTS = (OWN, SHOWN)


def part_name(system: str, part: str) -> str:
    """What the row of a part is called."""
    return f"{system}, {part}"


def word_parts(
    name: str, expanded: ExpandedQueries, queries: Sequence[Query], retriever: Retriever
) -> Mapping[str, ExpandedQueries]:
    """The two parts of a system's expansions, each as a system of its own.

    A word is shown if the retriever takes it for a term of the query, or of the conversation's last turn, which holds
    all that the prompt shows of the collection. Words are those between white space.

    Args:
        name (`str`), expanded ([`ExpandedQueries`]):
            The system, and what it wrote to each query.
        queries (`Sequence[Query]`):
            In the same order.
        retriever ([`Retriever`]):
            Whose terms decide which words are alike; of one that has none, the words themselves.

    Returns:
        Name of the row → expansions. Neither part costs anything.
    """
    terms = retriever.terms if isinstance(retriever, LexicalRetriever) else segments
    own, shown = [], []
    for query, prompt, expansion in zip(queries, expanded.prompts, expanded.expansions, strict=True):
        seen = {*terms(query.text), *terms(prompt[-1])}
        words = expansion.text.split()
        is_own = [not seen.issuperset(terms(word)) for word in words]
        own.append(replace(expansion, text=" ".join(w for w, mine in zip(words, is_own, strict=True) if mine)))
        shown.append(replace(expansion, text=" ".join(w for w, mine in zip(words, is_own, strict=True) if not mine)))
    facts = {"tokens_per_query": 0.0}
    return {
        part_name(name, part): ExpandedQueries(texts, expanded.prompts, facts, [0] * len(queries))
        for part, texts in ((OWN, own), (SHOWN, shown))
    }

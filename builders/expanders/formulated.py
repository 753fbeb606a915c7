"""Puts a query and its expansion together for a search engine: as words, as a Lucene query, as weighted terms."""

import re
from collections import Counter
from dataclasses import dataclass

from builders.errors import KitError
from builders.retrievers.formulation import Repeated, load_formulation, with_new_words


# What Lucene's query parser, and those of Elasticsearch and OpenSearch after it, read as syntax.
_SYNTAX = re.compile(r'([+\-=&|!(){}\[\]^"~*?:\\/])')
# These two cannot be escaped there.
_NEVER = re.compile(r"[<>]")
_OPERATORS = ("AND", "OR", "NOT", "TO")


@dataclass(frozen=True)
class FormulatedQuery:
    """A query, expanded, in the forms that engines take. All mean the same: the query's words weigh `repeats` times.

    Args:
        query (`str`), expansion (`str`):
            What is searched; an expansion without a word beyond the query leaves it as it is.
        repeats (`int`):
            How often the query counts beside its expansion.

    Example:

        >>> formulated = FormulatedQuery("fit a line?", "polyfit least squares", 5)
        >>> formulated.lucene
        '(fit a line\\\\?)^5 polyfit least squares'
        >>> formulated.terms[:4]
        [('fit', 5), ('a', 5), ('line?', 5), ('polyfit', 1)]
    """

    query: str
    expansion: str
    repeats: int = 5

    @property
    def text(self) -> str:
        """A bag of words: the query `repeats` times, then the expansion, as the kit itself searches."""
        return Repeated(self.repeats).text(self.query, [self.expansion])

    @property
    def lucene(self) -> str:
        """A query string for Lucene's classic parser, and `query_string` of Elasticsearch and OpenSearch."""
        query = _escaped(self.query)
        expansion = _escaped(" ".join(with_new_words(self.query, [self.expansion])))
        return f"({query})^{self.repeats} {expansion}" if query and expansion else query or expansion

    @property
    def terms(self) -> list[tuple[str, int]]:
        """Words with their weights, each once, in the order of the text; the engine's own analyzer comes after."""
        return list(Counter(self.text.split()).items())


def formulate_query(query: str, expansion: str, formulation: str) -> FormulatedQuery:
    """Put a query and its expansion together.

    Raises:
        KitError: the formulation is no single text: only `q*5+e`, with any number of repeats, is one everywhere.
    """
    how = load_formulation(formulation)
    if not isinstance(how, Repeated):
        raise KitError(f"formulation {formulation!r} is no text that any engine takes: give formulation='q*5+e'")
    return FormulatedQuery(" ".join(query.split()), " ".join(expansion.split()), how.repeats)


def _escaped(text: str) -> str:
    words = _SYNTAX.sub(r"\\\1", _NEVER.sub(" ", text)).split()
    return " ".join(f"\\{word}" if word in _OPERATORS else word for word in words)

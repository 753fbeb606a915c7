"""Compares two searches: what moved, what matched, and which passage of a document shows it."""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from builders.retrievers.retriever import Hit


SHOWN = 10
SNIPPET_WORDS = 34

Terms = Callable[[str], list[str]]
Mark = Literal["plain", "query", "expansion"]

# Markup of documentation (``code``, :py:func:`name`, underlines) that only gets in the way of reading a passage.
_MARKUP = re.compile(r":[\w:+-]+:(?=`)|`+|(?<!\S)(?:-{3,}|={3,}|~{3,}|\^{3,})(?!\S)")
# A word as shown: letters and digits, joined by what joins names in code.
_WORD = re.compile(r"\w+(?:[.'’-]\w+)*")


@dataclass(frozen=True, slots=True)
class Move:
    """Where a document stands in one ranking, and where in the other (`None`: not among its hits). Ranks from 1."""

    document_id: str
    rank: int
    other: int | None

    @property
    def label(self) -> str:
        """`▲3`: three places higher than in the other ranking, `▼2`: two lower, `=`: the same, `new`: not there."""
        if self.other is None:
            return "new"
        if self.other == self.rank:
            return "="
        return f"▲{self.other - self.rank}" if self.other > self.rank else f"▼{self.rank - self.other}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a snippet, and what it matched."""

    text: str
    mark: Mark


def moves(ranking: Sequence[Hit], other: Sequence[Hit], shown: int = SHOWN) -> list[Move]:
    """The first `shown` documents of a ranking, each with its rank in the other one."""
    ranks = {hit.document_id: rank for rank, hit in enumerate(other, start=1)}
    return [
        Move(hit.document_id, rank, ranks.get(hit.document_id)) for rank, hit in enumerate(ranking[:shown], start=1)
    ]


def matched_terms(query: str, expansion: str, terms: Terms) -> Mapping[str, Mark]:
    """Analysed term → whose it is. A term of both is the query's: only what the expansion added counts as its own."""
    added: dict[str, Mark] = dict.fromkeys(terms(expansion), "expansion")
    return added | dict.fromkeys(terms(query), "query")


def snippet(text: str, owners: Mapping[str, Mark], terms: Terms, words: int = SNIPPET_WORDS) -> list[Piece]:
    """The passage of a document with the most distinct matched terms, cut into pieces.

    Args:
        text (`str`):
            The document.
        owners (`Mapping[str, Mark]`):
            From [`matched_terms`].
        terms (`Callable`):
            The retriever's analysis: a word is marked when its analysed form matched, so that inflected forms are.
        words (`int`, *optional*, defaults to 34):
            Length of the passage.

    Returns:
        Pieces whose texts joined give the passage, without markup and extra white space, with `…` where it was cut.
    """
    chunks = _MARKUP.sub("", text).split()
    found = [_matches(chunk, owners, terms) for chunk in chunks]
    start = _best_start([set().union(*(terms_ for _, terms_ in words_)) for words_ in found], words)
    pieces = [Piece("… ", "plain")] if start else []
    for number in range(start, min(start + words, len(chunks))):
        pieces += _cut(chunks[number], [word for word, _ in found[number]], owners, terms)
        pieces.append(Piece(" ", "plain"))
    if start + words < len(chunks):
        pieces.append(Piece("…", "plain"))
    return _joined(pieces)


def _matches(chunk: str, owners: Mapping[str, Mark], terms: Terms) -> list[tuple[str, set[str]]]:
    """The words of a chunk that matched, each with the terms that did."""
    words = [(word, {term for term in terms(word) if term in owners}) for word in _WORD.findall(chunk)]
    return [(word, matched) for word, matched in words if matched]


def _best_start(matched: Sequence[AbstractSet[str]], words: int) -> int:
    """First of the windows with the most distinct terms; windows start at a match, with a little room before it."""
    best, best_count = 0, len(set().union(*matched[:words]))
    for number, terms in enumerate(matched):
        if not terms:
            continue
        start = max(0, min(number - 2, len(matched) - words))
        count = len(set().union(*matched[start : start + words]))
        if count > best_count:
            best, best_count = start, count
    return best


def _cut(chunk: str, words: Sequence[str], owners: Mapping[str, Mark], terms: Terms) -> list[Piece]:
    pieces, position = [], 0
    for word in words:
        at = chunk.index(word, position)
        # A word of several terms (`least-squares`) is the expansion's only if no term of it is the query's.
        marks = {owners[term] for term in terms(word) if term in owners}
        pieces += [Piece(chunk[position:at], "plain"), Piece(word, "query" if "query" in marks else "expansion")]
        position = at + len(word)
    return [*pieces, Piece(chunk[position:], "plain")]


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours of the same kind made one; empty ones left out."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].mark == piece.mark == "plain":
            joined[-1] = Piece(joined[-1].text + piece.text, "plain")
        elif piece.text:
            joined.append(piece)
    return joined

"""Searches one query as it is and with each expansion, ready to be shown or sent as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from builders.errors import KitError
from builders.expanders.formulated import formulate_query
from space.corpus import Corpus, Ranking
from space.search import Mark, Move, Piece, matched_terms, moves, snippet
from space.writers import Written


# Of a document so much is shown when it is opened.
TEXT_CHARACTERS = 1200
SHOWN_TERMS = 12


@dataclass(frozen=True, slots=True)
class Shown(Move):
    """One document of a side, with what moved it: its ranks are those here and on the other side.

    `relevance` is its judgment for this query (0 where there is none), `gold` whether no other judgment is higher,
    `terms` are words of the document that matched, `text` is its beginning, `url` its address on the web.
    """

    title: str
    relevance: int
    gold: bool
    snippet: list[Piece]
    score: float = 0.0
    terms: tuple[str, ...] = ()
    text: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One ranking: its first ten documents, nDCG@10 of a judged query, and the time of the search.

    `rank` is that of the best page judged relevant (`None`: not among the first 100, or nothing is judged).
    """

    hits: list[Shown]
    ndcg_at_10: float | None
    milliseconds: float
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """What one system adds: its expansion and what that finds, or one line why there is none yet, or none at all.

    `lucene` is the query for an engine that reads Lucene's syntax, where the formation has one; `runs` whether a model
    of this system can be asked here.
    """

    system: str
    written: Written | None = None
    side: Side | None = None
    notice: str = ""
    waits: bool = False
    lucene: str = ""
    runs: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """The plain query beside each system; `split` is the split of a judged query, else `None`."""

    query: str
    split: str | None
    plain: Side
    columns: Sequence[Column] = ()


@dataclass(frozen=True)
class Answer:
    """A comparison with one system as the API sends it: JSON, also where it is written as text."""

    query: str
    judged_in_split: str | None
    expansion: str | None
    expansion_tokens: int | None
    expansion_milliseconds: float | None
    expansion_source: str | None
    note: str | None
    plain: dict[str, Any]
    expanded: dict[str, Any] | None

    def __str__(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def compare(corpus: Corpus, query: str, columns: Sequence[Column] = (), by: str = "") -> Comparison:
    """Search with the plain query, and with every expansion that is there; `by` names the retriever.

    Raises:
        KitError: the collection or the retriever cannot be loaded.
    """
    judged = corpus.judged(query)
    plain = corpus.search(query, by=by)
    found = [corpus.search(query, column.written.text, by) if column.written else None for column in columns]
    filled = [
        replace(
            column,
            side=_side(corpus, query, column.written.text, ranking, plain, by),
            lucene=_lucene(corpus, query, column.written.text, by),
        )
        if column.written and ranking
        else column
        for column, ranking in zip(columns, found, strict=True)
    ]
    # Where a page of the plain ranking went is said of the first column.
    other = next((ranking for ranking in found if ranking), plain)
    return Comparison(query, judged.split if judged else None, _side(corpus, query, "", plain, other, by), filled)


def _side(corpus: Corpus, query: str, expansion: str, ranking: Ranking, other: Ranking, by: str) -> Side:
    terms = corpus.terms(by)
    owners: Mapping[str, Mark] = matched_terms(query, expansion, terms)
    judged = corpus.judged(query)
    relevant = corpus.collection.relevant(judged.id) if judged else {}
    best = max(relevant.values(), default=0)
    moved = moves(ranking.hits, other.hits)
    documents = corpus.documents([move.document_id for move in moved])
    scores = {hit.document_id: hit.score for hit in ranking.hits}
    ranks = {hit.document_id: rank for rank, hit in enumerate(ranking.hits, start=1)}
    hits = []
    for move in moved:
        text = documents[move.document_id].text
        relevance = relevant.get(move.document_id, 0)
        matched = dict.fromkeys(term for term in terms(text) if term in owners)
        hits.append(
            Shown(
                move.document_id,
                move.rank,
                move.other,
                title=documents[move.document_id].title or move.document_id,
                relevance=relevance,
                gold=bool(relevant) and relevance == best,
                snippet=snippet(text, owners, terms),
                score=scores[move.document_id],
                terms=tuple(matched)[:SHOWN_TERMS],
                text=text[:TEXT_CHARACTERS] + ("…" if len(text) > TEXT_CHARACTERS else ""),
                url=documents[move.document_id].url,
            )
        )
    gold = [ranks[name] for name, relevance in relevant.items() if relevance == best and name in ranks]
    return Side(hits, ranking.ndcg_at_10, ranking.milliseconds, min(gold, default=None))


def _lucene(corpus: Corpus, query: str, expansion: str, by: str) -> str:
    try:
        return formulate_query(query, expansion, corpus.formation(by)).lucene
    except KitError:  # Vectors have no syntax.
        return ""


def as_answer(comparison: Comparison) -> Answer:
    """A comparison with one system as the API sends it; snippets are plain text."""
    (column,) = comparison.columns
    written = column.written
    return Answer(
        query=comparison.query,
        judged_in_split=comparison.split,
        expansion=written.text if written else None,
        expansion_tokens=written.tokens if written else None,
        expansion_milliseconds=_rounded(written.milliseconds if written else None, 1),
        expansion_source=written.source if written else None,
        note=column.notice or None,
        plain=_side_json(comparison.plain),
        expanded=_side_json(column.side) if column.side else None,
    )


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "ndcg_at_10": _rounded(side.ndcg_at_10, 4),
        "rank_of_the_page_looked_for": side.rank,
        "milliseconds": _rounded(side.milliseconds, 1),
        "hits": [
            {
                "rank": hit.rank,
                "id": hit.document_id,
                "title": hit.title,
                "score": _rounded(hit.score, 4),
                "snippet": "".join(piece.text for piece in hit.snippet),
                "rank_on_the_other_side": hit.other,
                "move": hit.label,
                "relevance": hit.relevance,
            }
            for hit in side.hits
        ],
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)

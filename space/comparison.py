"""Searches one query as it is and with an expansion, ready to be shown or sent as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from space.engine import Engine, Ranking, Written
from space.search import Mark, Move, Piece, matched_terms, moves, snippet


@dataclass(frozen=True, slots=True)
class Shown(Move):
    """One document of a side, with what moved it: its ranks are those here and on the other side.

    `relevance` is its judgment for this query (0 where there is none), `gold` whether no other judgment is higher.
    """

    title: str
    relevance: int
    gold: bool
    snippet: list[Piece]


@dataclass(frozen=True, slots=True)
class Side:
    """One ranking: its first ten documents, nDCG@10 of a judged query, and the time of the search."""

    hits: list[Shown]
    ndcg_at_10: float | None
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides; `written` and `expanded` are missing as long as the student has not answered.

    `split` is the split of a judged query, else `None`.
    """

    query: str
    split: str | None
    plain: Side
    written: Written | None
    expanded: Side | None


def compare(engine: Engine, query: str, written: Written | None) -> Comparison:
    """Search both ways.

    Raises:
        KitError: the collection or the retriever cannot be loaded.
    """
    judged = engine.judged(query)
    split = judged.split if judged else None
    plain = engine.search(query)
    by_query = matched_terms(query, "", engine.terms)
    if written is None:
        return Comparison(query, split, _side(engine, query, plain, None, by_query), None, None)
    expanded = engine.search(query, written.text)
    by_both = matched_terms(query, written.text, engine.terms)
    return Comparison(
        query,
        split,
        _side(engine, query, plain, expanded, by_query),
        written,
        _side(engine, query, expanded, plain, by_both),
    )


def _side(engine: Engine, query: str, ranking: Ranking, other: Ranking | None, owners: Mapping[str, Mark]) -> Side:
    judged = engine.judged(query)
    relevant = engine.collection.relevant(judged.id) if judged else {}
    best = max(relevant.values(), default=0)
    # Without another ranking nothing has moved.
    moved = moves(ranking.hits, other.hits if other else ranking.hits)
    documents = engine.documents([move.document_id for move in moved])
    hits = [
        Shown(
            move.document_id,
            move.rank,
            move.other,
            title=documents[move.document_id].title or move.document_id,
            relevance=relevant.get(move.document_id, 0),
            gold=bool(relevant) and relevant.get(move.document_id, 0) == best,
            snippet=snippet(documents[move.document_id].text, owners, engine.terms),
        )
        for move in moved
    ]
    return Side(hits, ranking.ndcg_at_10, ranking.milliseconds)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as the API sends it; snippets are plain text."""
    written, expanded = comparison.written, comparison.expanded
    return {
        "query": comparison.query,
        "judged_in_split": comparison.split,
        "expansion": written.text if written else None,
        "expansion_tokens": written.tokens if written else None,
        "expansion_milliseconds": _rounded(written.milliseconds if written else None, 1),
        "expansion_source": written.source if written else None,
        "plain": _side_json(comparison.plain),
        "expanded": _side_json(expanded) if expanded else None,
    }


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "ndcg_at_10": _rounded(side.ndcg_at_10, 4),
        "milliseconds": _rounded(side.milliseconds, 1),
        "hits": [
            {
                "rank": hit.rank,
                "id": hit.document_id,
                "title": hit.title,
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

"""Makes the HTML that the app shows. Every text from a user, a model or a document is escaped here."""

from html import escape

from builders.retrievers.formulation import with_new_words
from space.comparison import Comparison, Shown, Side
from space.engine import Written
from space.recorded import SAME
from space.search import SHOWN, Piece


_CLASS = {"query": "qe-q", "expansion": "qe-e"}


def comparison_html(comparison: Comparison, notice: str | None = None) -> str:
    """Both rankings side by side.

    Args:
        comparison ([`Comparison`]):
            What to show; without an expansion the right side says that one is being written.
        notice (`str`, *optional*):
            One line shown instead of the right side, when there will be no expansion.
    """
    return (
        f'<div class="qe">{_verdict(comparison)}<div class="qe-sides">'
        f"{_plain(comparison)}{_expanded(comparison, notice)}</div></div>"
    )


def notice_html(text: str) -> str:
    """One line where the results would stand."""
    return f'<div class="qe"><p class="qe-notice">{escape(text)}</p></div>'


def _verdict(comparison: Comparison) -> str:
    """One line: what the expansion did to nDCG@10, and how to read the marks."""
    before = comparison.plain.ndcg_at_10
    after = comparison.expanded.ndcg_at_10 if comparison.expanded else None
    marks = (
        '<b class="qe-q">word</b> matches the query<mark class="qe-e">word</mark> matches only thanks to the expansion'
    )
    if before is None:
        chips = '<span class="qe-chip">your own query: nobody judged its results, so there is no score</span>'
    else:
        marks += '<span class="qe-star">★</span> the page looked for<span class="qe-star">☆</span> a related page'
        chips = _score_chip(before, after)
    if comparison.split == "train":
        chips += '<span class="qe-chip qe-down">from the training split: the student may have seen it</span>'
    return f'<div class="qe-verdict">{chips}<span class="qe-legend">{marks}</span></div>'


def _score_chip(before: float, after: float | None) -> str:
    if after is None:
        return f'<span class="qe-chip">nDCG@10 {before:.2f}</span>'
    kind, word = "same", "unchanged"
    if abs(after - before) > SAME:
        kind, word = ("up", "helped") if after > before else ("down", "hurt")
    return f'<span class="qe-chip qe-{kind}">{word}: nDCG@10 {before:.2f} → {after:.2f}</span>'


def _plain(comparison: Comparison) -> str:
    side = comparison.plain
    moved = "to" if comparison.expanded else ""
    return (
        '<section class="qe-side"><header><h3>Plain query</h3>'
        f'<p class="qe-text">{escape(comparison.query)}</p><p class="qe-cost">{_scored(side)}</p></header>'
        f"{_hits(side, moved)}</section>"
    )


def _expanded(comparison: Comparison, notice: str | None) -> str:
    heading = "<h3>Query + expansion</h3>"
    if comparison.written is None or comparison.expanded is None:
        text = escape(notice) if notice else "The model is writing …"
        state = "qe-notice" if notice else "qe-notice qe-busy"
        return f'<section class="qe-side"><header>{heading}</header><p class="{state}">{text}</p></section>'
    text = escape(comparison.written.text)
    if not with_new_words(comparison.query, [comparison.written.text]):
        wrote = "no new word" if text else "nothing"
        text = f"{text} <i>(the model wrote {wrote}: the plain query is searched)</i>".strip()
    return (
        f'<section class="qe-side qe-new"><header>{heading}'
        f'<p class="qe-text"><span class="qe-plus">+</span> {text}</p>'
        f'<p class="qe-cost">{_cost(comparison.written)} · {_scored(comparison.expanded)}</p></header>'
        f"{_hits(comparison.expanded, 'from')}</section>"
    )


def _cost(written: Written) -> str:
    if written.milliseconds is None:
        return f"{written.tokens} tokens, <b>recorded</b> by the evaluation"
    return f"{written.tokens} tokens in {written.milliseconds:,.0f} ms"


def _scored(side: Side) -> str:
    score = "" if side.ndcg_at_10 is None else f" · nDCG@10 {side.ndcg_at_10:.2f}"
    return f"searched in {side.milliseconds:.0f} ms{score}"


def _hits(side: Side, moved: str) -> str:
    if not side.hits:
        return '<p class="qe-notice">No document shares a word with this.</p>'
    return f'<ol class="qe-hits">{"".join(_hit(hit, moved) for hit in side.hits)}</ol>'


def _hit(hit: Shown, moved: str) -> str:
    star = ""
    if hit.relevance:
        title = "the page looked for" if hit.gold else "judged related"
        star = f'<span class="qe-star" title="{title}">{"★" if hit.gold else "☆"}</span>'
    state = " qe-gold" if hit.gold else ""
    return (
        f'<li class="qe-hit{state}"><span class="qe-rank">{hit.rank}</span><div><p class="qe-name">'
        f"<code>{escape(hit.title)}</code>{star}{_move(hit, moved)}</p>"
        f'<p class="qe-snippet">{"".join(_piece(piece) for piece in hit.snippet)}</p></div></li>'
    )


def _move(hit: Shown, moved: str) -> str:
    """On the right: how far a document rose or fell. On the left: where it went, if it left the first ten."""
    if moved == "from" and hit.label != "=":
        kind = "down" if hit.label.startswith("▼") else "up"
        title = "not in the plain query's first 100" if hit.other is None else f"rank {hit.other} for the plain query"
        return f'<span class="qe-move qe-{kind}" title="{title}">{hit.label}</span>'
    if moved == "to" and (hit.other is None or hit.other > SHOWN):
        where = "after 100" if hit.other is None else f"to {hit.other}"
        return f'<span class="qe-move qe-down" title="rank with the expansion">{where}</span>'
    return ""


def _piece(piece: Piece) -> str:
    text = escape(piece.text)
    if piece.mark == "plain":
        return text
    tag = "mark" if piece.mark == "expansion" else "b"
    return f'<{tag} class="{_CLASS[piece.mark]}">{text}</{tag}>'

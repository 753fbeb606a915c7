"""Makes the HTML that the app shows. Every text from a user, a model or a document is escaped here."""

from collections.abc import Sequence
from html import escape

from builders.retrievers.formulation import with_new_words
from space.comparison import Column, Comparison, Shown, Side
from space.recorded import SAME
from space.search import SHOWN, Piece
from space.serving.feedback import VOTES
from space.writers import Written


_CLASS = {"query": "qe-q", "expansion": "qe-e"}
_BUTTON = '<button type="button" class="qe-button"'


def comparison_html(comparison: Comparison, number: int = 0, consent: str = "") -> str:
    """All rankings side by side.

    Args:
        comparison ([`Comparison`]):
            What to show.
        number (`int`, *optional*):
            Which of the page's requests it answers.
        consent (`str`, *optional*):
            What a visitor who says which ranking is better agrees to; without it nobody is asked.
    """
    columns = comparison.columns
    names = ["plain query", *(column.system for column in columns)]
    return (
        f'<div class="qe" data-number="{number:d}">{_verdict(comparison)}{consent and _line(consent)}'
        f"{_switch(names)}"
        f'<div class="qe-sides" style="--qe-columns:{len(names)}">{_plain(comparison)}'
        f"{''.join(_column(comparison, column, bool(consent)) for column in columns)}</div></div>"
    )


def notice_html(text: str, number: int = 0) -> str:
    """One line where the results would stand."""
    return f'<div class="qe" data-number="{number:d}"><p class="qe-notice" role="status">{escape(text)}</p></div>'


def _verdict(comparison: Comparison) -> str:
    """What each expansion did to the page looked for, then to nDCG@10, and how to read the marks."""
    marks = '<b class="qe-q">word</b> matches the query '
    marks += '<mark class="qe-e">word</mark> matches only thanks to the expansion'
    judged = comparison.plain.ndcg_at_10 is not None
    if judged:
        marks += ' <span class="qe-star">★</span> the page looked for <span class="qe-star">☆</span> a related page'
        chips = "".join(
            _chip(column, comparison.plain, len(comparison.columns) > 1)
            for column in comparison.columns
            if column.side
        )
        chips = chips or f'<span class="qe-chip">the page looked for: {_rank(comparison.plain.rank)}</span>'
    else:
        chips = '<span class="qe-chip">your own query: nobody judged its results, so there is no score</span>'
    if comparison.split == "train":
        chips += '<span class="qe-chip qe-down">from the training split: the student may have seen it</span>'
    link = f'{_BUTTON} data-do="link">Copy link</button>{_BUTTON} data-do="curl">Copy as curl</button>'
    return (
        f'<div class="qe-verdict"><span role="status" class="qe-chips">{chips}</span>{link}'
        f'<span class="qe-legend">{marks}</span></div>'
    )


def _chip(column: Column, plain: Side, named: bool) -> str:
    side = column.side
    if side is None or plain.ndcg_at_10 is None or side.ndcg_at_10 is None:
        return ""
    change = side.ndcg_at_10 - plain.ndcg_at_10
    kind, word = "same", "unchanged"
    if abs(change) > SAME:
        kind, word = ("up", "helped") if change > 0 else ("down", "hurt")
    name = f"{escape(column.system)}, " if named else ""
    return (
        f'<span class="qe-chip qe-{kind}">{name}the page looked for: {_rank(plain.rank)} → {_rank(side.rank)} · '
        f"{word}: nDCG@10 {plain.ndcg_at_10:.2f} → {side.ndcg_at_10:.2f}</span>"
    )


def _rank(rank: int | None) -> str:
    return "after 100" if rank is None else str(rank)


def _switch(names: Sequence[str]) -> str:
    """On a phone one column is shown at a time."""
    if len(names) == 1:
        return ""
    buttons = "".join(
        f'{_BUTTON} data-show="{number}" aria-pressed="false">{escape(name)}</button>'
        for number, name in enumerate(names)
    )
    return f'<div class="qe-switch" role="group" aria-label="Ranking shown">{buttons}</div>'


def _plain(comparison: Comparison) -> str:
    moved = "to" if any(column.side for column in comparison.columns) else ""
    return (
        '<section class="qe-side" aria-label="Plain query"><header><h2>Plain query</h2>'
        f'<p class="qe-text">{escape(comparison.query)}</p><p class="qe-cost">{_scored(comparison.plain)}</p></header>'
        f"{_hits(comparison.plain, moved)}</section>"
    )


def _column(comparison: Comparison, column: Column, votes: bool) -> str:
    name = escape(column.system)
    heading = f"<h2>Query + {name}</h2>"
    if column.written is None or column.side is None:
        cancel = f' {_BUTTON} data-do="cancel">Cancel</button>' if column.waits else ""
        live = f' {_BUTTON} data-do="live">Run live</button>' if column.runs and not column.waits else ""
        state = "qe-notice qe-busy" if column.waits else "qe-notice"
        return (
            f'<section class="qe-side" aria-label="Query + {name}"><header>{heading}</header>'
            f'<div><p role="status" class="{state}">{escape(column.notice)}</p>'
            f'<p class="qe-do">{cancel}{live}</p></div></section>'
        )
    return (
        f'<section class="qe-side qe-new" aria-label="Query + {name}"><header>{heading}'
        f"{_words(comparison.query, column, column.written)}"
        f'<p class="qe-cost">{_cost(column.written)} · {_scored(column.side)}</p>'
        f"{_votes(name) if votes else ''}</header>"
        f"{_hits(column.side, 'from')}</section>"
    )


def _words(query: str, column: Column, written: Written) -> str:
    """The expansion, as a field to change."""
    name, text, lucene = escape(column.system), escape(written.text), column.lucene
    note = ""
    if not with_new_words(query, [written.text]):
        wrote = "no new word" if text else "nothing"
        note = f'<p class="qe-cost"><i>{wrote} beyond the query: the plain query is searched</i></p>'
    buttons = ""
    if lucene:
        buttons = f' {_BUTTON} data-do="lucene" data-text="{escape(lucene)}">Copy as Lucene</button>'
    if written.source == "edited":
        buttons += f' {_BUTTON} data-do="reset" data-system="{name}">Reset</button>'
    elif written.source == "recorded" and column.runs:
        buttons += f' {_BUTTON} data-do="live">Run live</button>'
    return (
        f'<label class="qe-field"><span class="qe-plus" aria-hidden="true">+</span>'
        f'<textarea class="qe-words" rows="3" data-system="{name}" maxlength="4000" '
        f'aria-label="Words of {name}: change them, then Enter" spellcheck="false">{text}</textarea>'
        f'</label>{note}<p class="qe-do">{_BUTTON} data-do="copy" '
        f'data-system="{name}">Copy words</button>{buttons}</p>'
    )


def _line(text: str) -> str:
    return f'<p class="qe-legend">{escape(text)}</p>'


def _votes(name: str) -> str:
    buttons = " ".join(
        f'{_BUTTON} data-do="vote" data-system="{name}" data-vote="{vote}">{vote.capitalize()}</button>'
        for vote in VOTES
    )
    return f'<p class="qe-do qe-cost">Against the plain one: {buttons}</p>'


def _cost(written: Written) -> str:
    if written.source == "edited":
        return "<b>edited</b>"
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
        what = "the page looked for" if hit.gold else "judged related"
        star = f'<span class="qe-star" role="img" aria-label="{what}" title="{what}">{"★" if hit.gold else "☆"}</span>'
    state = " qe-gold" if hit.gold else ""
    title = f"<code>{escape(hit.title)}</code>"
    if hit.url.startswith(("http://", "https://")):
        title = f'<a href="{escape(hit.url)}" target="_blank" rel="noopener noreferrer nofollow">{title}</a>'
    terms = ", ".join(escape(term) for term in hit.terms)
    return (
        f'<li class="qe-hit{state}"><span class="qe-rank">{hit.rank}</span><div><p class="qe-name">'
        f"{title}{star}{_move(hit, moved)}</p>"
        f'<details><summary class="qe-snippet">{"".join(_piece(piece) for piece in hit.snippet)}</summary>'
        f'<p class="qe-cost">score {hit.score:.3f}{f" · terms that matched: {terms}" if terms else ""}</p>'
        f'<p class="qe-full">{escape(hit.text)}</p></details></div></li>'
    )


def _move(hit: Shown, moved: str) -> str:
    """Beside an expansion: how far a document rose or fell. On the plain side: where it went, if it left the ten."""
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

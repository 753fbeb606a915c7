"""Makes a card of every preference pair."""

from html import escape

from space.pairs import Candidates, Pair, Pairs, rules


def pairs_html(pairs: Pairs) -> str:
    """Filters and cards of the pairs, the largest margin first."""
    shown = pairs.shown
    options = "".join(f'<option value="{escape(rule.casefold())}">{escape(rule)}</option>' for rule in rules(shown))
    cut = f" The {len(shown)} with the largest margins are shown." if len(shown) < pairs.total else ""
    cards = "".join(_card(pair, pairs.candidates.get(pair.query)) for pair in shown)
    return (
        f'<div class="qe qe-about"><h2>Preference pairs</h2><p>{pairs.total} pairs: two expansions of one query, '
        f"of which the chosen one found more.{cut}</p>"
        '<p class="qe-do"><label>Search <input type="search" class="qe-filter" data-filter="text"></label>'
        '<label>Margin at least <input type="number" class="qe-filter" data-filter="margin" min="0" step="0.05">'
        '</label><label>Rule <select class="qe-filter" data-filter="rule"><option value="">all</option>'
        f"{options}</select></label>"
        f'<span role="status" class="qe-count">{len(shown)} pairs</span></p>'
        f'<ul class="qe-pairs">{cards}</ul></div>'
    )


def _card(pair: Pair, candidates: Candidates | None) -> str:
    return (
        f'<li class="qe-pair" data-text="{escape(pair.query.casefold())}" data-margin="{pair.margin:.6f}" '
        f'data-rule="{escape(pair.rule.casefold())}"><p class="qe-text"><b>{escape(pair.query)}</b></p>'
        f'<p class="qe-cost">{escape(pair.split)} · {escape(pair.rule)} · margin {pair.margin:.3f}</p><dl>'
        f'<dt class="qe-chip qe-up">chosen {pair.chosen_score:.3f}</dt><dd>{escape(pair.chosen)}</dd>'
        f'<dt class="qe-chip qe-down">rejected {pair.rejected_score:.3f}</dt><dd>{escape(pair.rejected)}</dd></dl>'
        f"{_candidates_html(candidates) if candidates else ''}</li>"
    )


def _candidates_html(candidates: Candidates) -> str:
    best, more = candidates.best, candidates.total - len(candidates.best)
    cut = f", the best {len(best)}" if more else ""
    rows = "".join(f"<li>{score:.3f} · {escape(text)}</li>" for score, text in best)
    return f"<details><summary>{candidates.total} candidates by nDCG@10{cut}</summary><ol>{rows}</ol></details>"

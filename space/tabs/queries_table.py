"""Makes a plot, a table and a file of all measured queries: what each system changed."""

import csv
import io
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from space.recorded import PLAIN, Recorded


SIGNS = {"helped": "▲", "hurt": "▼", "unchanged": "="}
# Size of the plot, in its own units.
WIDTH, HEIGHT = 600, 90


def queries_html(recorded: Sequence[Recorded], student: str, opens: bool = True) -> str:
    """Plot, filters, table and file of a student's measured queries; `opens`: whether a click searches for one."""
    known = [item for item in recorded if student in item.answers]
    if not known:
        return '<div class="qe"><p class="qe-notice">Nothing was recorded of the system of this Space.</p></div>'
    known.sort(key=lambda item: (-item.delta(student), item.query_id))
    systems = list(dict.fromkeys([student, *(name for item in known for name in item.answers if name != PLAIN)]))
    kinds = "".join(f'<option value="{kind}">{sign} {kind}</option>' for kind, sign in SIGNS.items())
    seen = ""
    if any(item.seen is not None for item in known):
        seen = (
            '<label>Page looked for <select class="qe-filter" data-filter="seen"><option value="">all</option>'
            '<option value="yes">seen in training</option><option value="no">not seen</option></select></label>'
        )
    table = quote(queries_csv(known, systems))
    return (
        f'<div class="qe qe-about"><h2>What {escape(student)} changed of nDCG@10, query by query</h2>'
        f'{_plot(known, student)}<p class="qe-do">'
        '<label>Search <input type="search" class="qe-filter" data-filter="text"></label>'
        f'<label>Change <select class="qe-filter" data-filter="kind"><option value="">all</option>{kinds}</select>'
        "</label>"
        f'{seen}<a class="qe-button" download="queries.csv" href="data:text/csv;charset=utf-8,{table}">CSV</a>'
        f'<span role="status" class="qe-count">{len(known)} queries</span></p>'
        '<div class="qe-scroll" role="region" aria-label="Test queries" tabindex="0">'
        f"{_table(known, systems, opens)}</div></div>"
    )


def queries_csv(recorded: Sequence[Recorded], systems: Sequence[str]) -> str:
    """One line a query: nDCG@10 and rank of the page looked for, plain and of each system."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    each = [f"{name} {what}" for name in systems for what in ("nDCG@10", "rank")]
    lines.writerow(["query id", "query", "seen in training", "plain nDCG@10", "plain rank", *each])
    for item in recorded:
        plain = item.answers[PLAIN]
        cells = [item.query_id, item.query, _yes(item.seen), plain.ndcg_at_10, plain.rank]
        for name in systems:
            found = item.answers.get(name)
            cells += [found.ndcg_at_10, found.rank] if found else ["", ""]
        # What a spreadsheet would run as a formula is text.
        lines.writerow([f"'{cell}" if str(cell).startswith(("=", "+", "@")) else cell for cell in cells])
    return written.getvalue()


def _plot(recorded: Sequence[Recorded], student: str) -> str:
    """A bar a query, largest gain first."""
    step, middle = WIDTH / len(recorded), HEIGHT / 2
    bars = []
    for place, item in enumerate(recorded):
        delta = item.delta(student)
        if delta:
            top, state = (middle - middle * delta, "up") if delta > 0 else (middle, "down")
            wide, high = max(step - 0.5, 0.5), max(middle * abs(delta), 0.5)
            place_and_size = f'x="{place * step:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}"'
            bars.append(f'<rect class="qe-bar-{state}" {place_and_size}/>')
    kinds: list[str] = [item.kind(student) for item in recorded]
    told = ", ".join(f"{kinds.count(kind)} {kind}" for kind in SIGNS)
    return (
        f'<svg class="qe-plot" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" '
        f'aria-label="Sorted change of nDCG@10: {told}"><path d="M0 {middle}H{WIDTH}"/>{"".join(bars)}</svg>'
        f"<p>Each bar is a query, from +1 to −1: {told}.</p>"
    )


def _table(recorded: Sequence[Recorded], systems: Sequence[str], opens: bool) -> str:
    names = ["query", "plain", *(f"Δ {name}" for name in systems), "page looked for", "seen"]
    head = "".join(
        f'<th scope="col"><button type="button" class="qe-sort" data-column="{number}">{escape(name)}</button></th>'
        for number, name in enumerate(names)
    )
    rows = "".join(_row(item, systems, opens) for item in recorded)
    return f'<table class="qe-queries"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(item: Recorded, systems: Sequence[str], opens: bool) -> str:
    student, plain = systems[0], item.answers[PLAIN]
    kind, after = item.kind(student), item.answers[student].rank
    shown = f"{SIGNS[kind]} {escape(item.query)}"
    if opens:
        button = f'<button type="button" class="qe-open" data-do="ask" data-query="{escape(item.query)}">'
        shown = f"{button}{shown}</button>"
    cells = [
        _cell(item.query.casefold(), shown),
        _cell(plain.ndcg_at_10, f"{plain.ndcg_at_10:.2f}"),
        *(_change(item, name) for name in systems),
        _cell((plain.rank or 101) - (after or 101), f"{_rank(plain.rank)} → {_rank(after)}"),
        _cell(_yes(item.seen), _yes(item.seen)),
    ]
    return (
        f'<tr data-kind="{kind}" data-seen="{_yes(item.seen)}" data-text="{escape(item.query.casefold())}">'
        f"{''.join(cells)}</tr>"
    )


def _change(item: Recorded, name: str) -> str:
    if name not in item.answers:
        return _cell("", "")
    delta = item.delta(name)
    return _cell(delta, f"{delta:+.2f}" if delta else "0")


def _cell(value: object, shown: str) -> str:
    return f'<td data-value="{escape(str(value))}">{shown}</td>'


def _rank(rank: int | None) -> str:
    return "&gt;100" if rank is None else str(rank)


def _yes(seen: bool | None) -> str:
    return "" if seen is None else "yes" if seen else "no"

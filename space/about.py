"""Says what was measured and what to trust, in words and as a table: made from the results alone."""

from html import escape

from builders.collections.pydocs.libraries import documented, is_pydocs
from builders.grading.comparison import p_cell
from space.settings import SpaceSettings, System
from space.tabs.costs_plot import costs_html


TITLE = "Query expansion, side by side"
SILENCE = "No new word: the share that says nothing beyond the query, which then is searched alone; echoes repeat it."


OTHERS = "Measured were other weights than run here, which may write other words: see what to trust."


def head_html(settings: SpaceSettings, runs_others: bool = False) -> str:
    """Title, two sentences, and one line of measurements; `runs_others`: other weights run than were measured."""
    trained = "" if settings.student == "base" else ", trained to do so by what retrieval gained,"
    return (
        f'<div class="qe-head"><h1>{TITLE}</h1><p class="qe-lead">A small language model '
        f"(<b>{escape(_short(settings.model))}</b>){trained} adds words that the right page probably contains, "
        f"and {engine(settings)} searches with them. Searched are {escape(_searched(settings))}.</p>"
        f'<p class="qe-banner">{escape(banner(settings))}{f" {OTHERS}" if runs_others else ""}</p></div>'
    )


def banner(settings: SpaceSettings) -> str:
    """One line of what was measured, harm included."""
    plain, runs = settings.measured["plain"], settings.runs
    base = settings.measured.get("base")
    line = f"Measured on {settings.asked}, mean nDCG@10: plain {plain.ndcg_at_10:.3f}"
    if base is not None and settings.student != "base":
        line += f" · base model {base.ndcg_at_10:.3f}"
    if runs is None:
        return f"{line}. The student of this Space was not among the systems measured."
    what = "base model, running here," if settings.student == "base" else "student"
    return (
        f"{line} · {what} {runs.ndcg_at_10:.3f} "
        f"(helped {_percent(runs.helped)}, hurt {_percent(runs.hurt)}, unchanged {_percent(runs.unchanged)})."
    )


def engine(settings: SpaceSettings) -> str:
    """What searches, in the middle of a sentence."""
    if settings.retriever.startswith("hybrid("):
        return "BM25 and a dense retriever" if "bm25s" in settings.retriever else "a hybrid of dense retrievers"
    return "BM25" if settings.retriever == "bm25s" else "a dense retriever"


def about_html(settings: SpaceSettings, runs_others: bool = False) -> str:
    """What was measured, as a table, and what to trust of it; `runs_others` as for [`head_html`]."""
    rows = "".join(_row(name, system, settings) for name, system in settings.measured.items())
    head = "<th>system</th><th>nDCG@10</th><th>MRR@10</th><th>Recall@100</th><th>Δ nDCG@10 (95 % interval)</th>"
    head += "<th>helped · unchanged · hurt</th><th>tokens</th><th>ms</th><th>MiB</th>"
    head += "<th>no new word</th><th>echoes</th>" if settings.counts_silence else ""
    notes = "".join(f"<li>{note}</li>" for note in _notes(settings, runs_others))
    return (
        f'<div class="qe-about"><h2>Measured on {escape(settings.asked)}</h2>'
        f"{_scrolled(head, rows, 'Systems')}<p>nDCG@10: 1 when the best pages stand first, 0 when none is among the "
        "first ten. Helped, unchanged, hurt: share of the queries whose nDCG@10 rose, stayed or fell against "
        "<code>plain</code>, the query alone. Tokens, milliseconds and memory: writing one expansion, several "
        f"together, on {escape(settings.hardware)}.{f' {SILENCE}' if settings.counts_silence else ''} "
        f"The tinted row is what this page is about.</p>{costs_html(settings)}{_retrievers_html(settings)}"
        f"<h2>What to trust</h2><ul>{notes}</ul></div>"
    )


def _retrievers_html(settings: SpaceSettings) -> str:
    """nDCG@10 of every system with every retriever, where more than one was measured."""
    found = settings.by_retriever
    if not found:
        return ""
    names = list(dict.fromkeys(name for systems in found.values() for name in systems))
    head = "<th>retriever</th>" + "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><td>{escape(retriever)}</td>"
        + "".join(f"<td>{systems[name]:.3f}</td>" if name in systems else "<td></td>" for name in names)
        + "</tr>"
        for retriever, systems in found.items()
    )
    return f"<h2>Systems and retrievers, nDCG@10</h2>{_scrolled(head, rows, 'Systems and retrievers')}"


def _scrolled(head: str, rows: str, name: str) -> str:
    return (
        f'<div class="qe-scroll" role="region" aria-label="{name}" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(name: str, system: System, settings: SpaceSettings) -> str:
    low, high = system.delta_ci95
    first = name == "plain"
    delta = "" if first else f"{system.delta_ndcg_at_10:+.3f} ({low:+.3f} … {high:+.3f})"
    bar = (
        f'<span class="qe-bar"><i class="qe-bar-up" style="width:{100 * system.helped:.1f}%"></i>'
        f'<i class="qe-bar-same" style="width:{100 * system.unchanged:.1f}%"></i>'
        f'<i class="qe-bar-down" style="width:{100 * system.hurt:.1f}%"></i></span> '
        f"{_percent(system.helped)} · {_percent(system.unchanged)} · {_percent(system.hurt)}"
    )
    cells = (
        escape(name),
        *(f"{value:.3f}" for value in (system.ndcg_at_10, system.mrr_at_10, system.recall_at_100)),
        delta,
        "" if first else bar,
        "" if first else f"{system.tokens_per_query:.0f}",
        "" if first else f"{system.ms_per_query:,.0f}",
        "" if first or not system.peak_memory_mib else f"{system.peak_memory_mib:,.0f}",
        *(_silence(system) if settings.counts_silence else ()),
    )
    this = ' class="qe-this"' if name == settings.student else ""
    return f"<tr{this}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _silence(system: System) -> list[str]:
    return ["" if share is None else f"{100 * share:.1f} %" for share in (system.silent, system.echoes)]


def _notes(settings: SpaceSettings, runs_others: bool) -> list[str]:
    notes = []
    if settings.runs is not None:
        notes.append(escape(significance(settings.runs)))
    notes += [
        f"Judgments: {escape(settings.judgments)} A page that nobody judged counts as wrong, even where it is a good "
        "answer.",
        "The examples are the largest gains, the largest losses and one without a change. They are extremes, not "
        "averages: the table above has the averages.",
        f"{_phrased(settings)}No number here says how well the student does on queries of your own.",
        "An expansion is a guess at wording. It may be false; read it as search words, not as an answer.",
        "Marked words show what matched. They do not prove that a document moved because of them.",
    ]
    if runs_others:
        notes.append(
            f"Measured with {escape(settings.weights)}. That package is not installed here: this Space runs the full "
            f"weights of <code>{escape(settings.model)}</code>, and may write other words."
        )
    return notes


def _phrased(settings: SpaceSettings) -> str:
    if not is_pydocs(settings.collection):
        return ""
    return "The measured queries are summary lines of docstrings, phrased like the pages. "


def significance(system: System) -> str:
    """Whether the difference from the plain query can be told from chance."""
    low, high = system.delta_ci95
    shown = p_cell(system.p_value)
    shown = shown if shown.startswith("<") else f"= {shown}"
    over = f"Over these {system.queries} queries the student"
    interval = f"95 % interval {low:+.3f} to {high:+.3f}, p {shown}"
    span = f"{system.delta_ndcg_at_10:+.3f} nDCG@10 ({interval})"
    # Interval and test may disagree: a difference is claimed only where both show one.
    if (low > 0 or high < 0) and system.p_value < 0.05:
        return f"{over} is {'better' if low > 0 else 'worse'} than the plain query: {span}."
    return f"{over} cannot be told from the plain query: {span}."


def _searched(settings: SpaceSettings) -> str:
    if is_pydocs(settings.collection):
        return f"the reference pages of {documented(settings.collection)}"
    return f"the documents of {settings.collection.rsplit('/', 1)[-1]}"


def _short(model: str) -> str:
    return model.rsplit("/", 1)[-1]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""Lays out the tab where queries are typed, their expansions edited, and the rankings compared."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from builders.collections.pydocs.libraries import is_pydocs
from space.engine import MAX_CHARACTERS, Engine
from space.serving.answering import MOST_COLUMNS, answers, keep_vote
from space.serving.own_documents import OwnDocuments, switched_on
from space.tabs.queries_table import SIGNS


SCRIPTS = [Path(__file__).resolve().parent.parent / name for name in ("page.js", "table.js")]
# A query that no page of an English collection shares a word with: the inverse of a matrix.
CHINESE = "求矩阵的逆"


class Visitor:
    """What one open page asked last. Its answers look here whether they are still wanted."""

    def __init__(self) -> None:
        self.asked: object = None


def search_tab(engine: Engine, page: gr.Blocks, own: gr.State) -> None:
    """Add the tab to the page that is being laid out; `own` are the visitor's documents."""
    chosen = [engine.student]
    with gr.Tab("Search", id="search") as tab:
        with gr.Row(equal_height=True):
            query = gr.Textbox(
                label="Search query",
                show_label=False,
                placeholder="What should the function do?",
                max_length=MAX_CHARACTERS,
                max_lines=1,
                scale=9,
                min_width=180,
                autofocus=True,
                container=False,
                elem_id="qe-query",
            )
            button = gr.Button("Search", variant="primary", scale=1, min_width=110)
        gr.HTML(_examples_html(engine), elem_classes="qe-flush")
        systems, retriever, documents = _choices(engine, chosen)
        result = gr.HTML(
            elem_classes="qe-flush",
            elem_id="qe-result",
            js_on_load="\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS),
            opening=engine.examples[0].query if engine.examples else "",
            systems=chosen,
            by=engine.settings.retriever,
            queries=list(engine.recorded),
        )
        # Inside: what stands between tabs counts as one, and gradio then draws another twice.
        _answer_what_is_asked(engine, result, own)
        _keep_votes(engine, result)
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(None, None, None, js="() => { window.qe?.open('search'); }", **private)
    parts = [query, systems, retriever, documents]
    ready = "while (!window.qe) await new Promise((go) => setTimeout(go, 20));"
    page.load(None, None, parts, js=f"async () => {{ {ready} return window.qe.start(); }}", **private)
    ask = "(query, systems, by, own) => { window.qe.ask({ query, systems, by, own: own === 'own' }); }"
    gr.on([button.click, query.submit], None, parts, None, js=ask, **private)
    result.undo(None, None, parts, js="() => window.qe.start()", **private)
    # What is chosen in a list is asked with the query that was asked, not with one half typed.
    retriever.input(None, retriever, None, js="(by) => { window.qe.ask({ by }); }", **private)
    systems.input(None, systems, None, js="(systems) => { window.qe.ask({ systems }); }", **private)
    documents.input(None, documents, None, js="(own) => { window.qe.ask({ own: own === 'own' }); }", **private)


def _choices(engine: Engine, chosen: list[str]) -> tuple[gr.CheckboxGroup, gr.Radio, gr.Radio]:
    """Which systems are shown, what searches, and in what."""
    beside = f"Beside the plain query (the first {MOST_COLUMNS} are shown)"
    systems = gr.CheckboxGroup(list(engine.systems), value=chosen, label=beside)
    several = len(engine.retrievers) > 1
    # An empty row would take room.
    with gr.Row(visible=several or switched_on()):
        retriever = gr.Radio(
            list(engine.retrievers), value=engine.settings.retriever, label="Searched by", visible=several
        )
        documents = gr.Radio(
            [("Documents of this Space", "here"), ("Your own", "own")],
            value="here",
            label="Searched in",
            visible=switched_on(),
        )
    return systems, retriever, documents


def _answer_what_is_asked(engine: Engine, result: gr.HTML, own: gr.State) -> None:
    """The steps of one answer, as long as the visitor asked for nothing else."""

    async def asked(visitor: Visitor, own: OwnDocuments | None, event: gr.EventData) -> AsyncGenerator[Any]:
        visitor.asked = mine = object()
        async with aclosing(answers(engine, event._data, lambda: visitor.asked is mine, own)) as steps:
            async for html in steps:
                yield gr.skip() if html is None else html
        # Gradio sends the last value once more when it ends, and by then the page may show what was asked since.
        yield gr.skip()

    result.submit(
        asked,
        [gr.State(Visitor()), own],
        result,
        api_visibility="private",
        show_progress="hidden",
        # A second one starts at once, and the first one sees it.
        trigger_mode="multiple",
        concurrency_limit=None,
    )


def _keep_votes(engine: Engine, result: gr.HTML) -> None:
    def voted(event: gr.EventData) -> None:
        keep_vote(engine, event._data)

    result.like(voted, None, None, api_visibility="private", show_progress="hidden")


def _examples_html(engine: Engine) -> str:
    """Test queries to begin with, gains and losses alike; and what is to be known of the first."""
    chips = [
        f'<button type="button" class="qe-button" data-do="ask" data-query="{escape(item.query)}">'
        f"{SIGNS[item.kind(engine.student)]} {escape(item.query)}</button>"
        for item in engine.examples
    ]
    if is_pydocs(engine.settings.collection):
        chips.append(
            f'<button type="button" class="qe-button" data-do="ask" data-query="{CHINESE}" lang="zh">'
            f"{CHINESE}</button>"
        )
    if engine.recorded:
        chips.append('<button type="button" class="qe-button" data-do="random">Random test query</button>')
    if not chips:
        return ""
    note = "Test queries, when measured: ▲ helped, ▼ hurt, = unchanged."
    if engine.examples and not engine.examples[0].opens(engine.student):
        note += " In none of them did the page looked for rise by two ranks or more."
    return f'<div class="qe"><p class="qe-cost">{note}</p><p class="qe-do qe-examples">{" ".join(chips)}</p></div>'

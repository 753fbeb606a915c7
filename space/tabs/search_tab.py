"""Lays out the tab where queries are typed, their expansions edited, and the rankings compared."""

from collections.abc import AsyncGenerator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from builders.collections.pydocs.libraries import is_pydocs
from space.engine import MAX_CHARACTERS, Engine
from space.serving.answering import MOST_COLUMNS, answers


SCRIPT = Path(__file__).resolve().parent.parent / "page.js"
SIGNS = {"helped": "▲", "hurt": "▼", "unchanged": "="}
# A query that no page of an English collection shares a word with: the inverse of a matrix.
CHINESE = "求矩阵的逆"


class Visitor:
    """What one open page asked last. Its answers look here whether they are still wanted."""

    def __init__(self) -> None:
        self.asked: object = None


async def answer(engine: Engine, visitor: Visitor, data: Any) -> AsyncGenerator[Any]:
    """The steps of one answer, as long as the visitor asked for nothing else."""
    visitor.asked = mine = object()
    async for html in answers(engine, data, lambda: visitor.asked is mine):
        yield gr.skip() if html is None else html


def search_tab(engine: Engine, page: gr.Blocks, tabs: gr.Tabs) -> None:
    """Add the tab to the page that is being laid out."""

    async def asked(visitor: Visitor, event: gr.EventData) -> AsyncGenerator[Any]:
        async for step in answer(engine, visitor, event._data):
            yield step

    opening = engine.examples[0] if engine.examples else None
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
        systems = gr.CheckboxGroup(
            list(engine.systems),
            value=chosen,
            label=f"Beside the plain query (the first {MOST_COLUMNS} are shown)",
            elem_id="qe-systems",
        )
        result = gr.HTML(
            elem_classes="qe-flush",
            elem_id="qe-result",
            js_on_load=SCRIPT.read_text(encoding="utf-8"),
            opening=opening.query if opening else "",
            systems=chosen,
            queries=list(engine.recorded),
        )
    visitor = gr.State(Visitor())
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    result.submit(asked, visitor, result, **private, trigger_mode="multiple", concurrency_limit=None)
    shown: list[Any] = [query, systems, tabs]
    result.undo(None, None, shown, js="() => window.qe.start()", **private)
    start = (
        "async () => { while (!window.qe) await new Promise((go) => setTimeout(go, 20)); return window.qe.start(); }"
    )
    page.load(None, None, shown, js=start, **private)
    gr.on(
        [button.click, query.submit],
        None,
        [query, systems],
        None,
        js="(query, systems) => { window.qe.ask({ query, systems }); }",
        **private,
    )
    systems.input(None, systems, None, js="(systems) => { window.qe.ask({ systems }); }", **private)
    tab.select(None, None, None, js="() => { window.qe?.open('search'); }", **private)


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

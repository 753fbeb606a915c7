"""Lays out the tab of all measured queries."""

from typing import Any

import gradio as gr

from space.engine import Engine
from space.tabs.queries_table import queries_html


def queries_tab(engine: Engine) -> None:
    """Add the tab to the page that is being laid out."""
    with gr.Tab("Test queries", id="queries") as tab:
        gr.HTML(queries_html(list(engine.recorded.values()), engine.student), elem_classes="qe-flush")
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(None, None, None, js="() => { window.qe?.open('queries'); }", **private)

"""Lays out the tab of the preference pairs, where the Space was rendered with some."""

from typing import Any

import gradio as gr

from space.engine import Engine
from space.tabs.pairs_cards import pairs_html


def pairs_tab(engine: Engine) -> None:
    """Add the tab to the page that is being laid out."""
    if engine.pairs is None:
        return
    with gr.Tab("Pairs", id="pairs") as tab:
        gr.HTML(pairs_html(engine.pairs), elem_classes="qe-flush")
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(None, None, None, js="() => { window.qe?.open('pairs'); }", **private)

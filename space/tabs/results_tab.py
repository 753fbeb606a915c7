"""Lays out the tab of what was measured and what it costs, and how the same is had from code."""

from html import escape
from typing import Any

import gradio as gr

from space.about import about_html
from space.engine import Engine


CODE = """\
from gradio_client import Client

client = Client("owner/this-space")            # or the address this page is served at
client.predict("fit a straight line through points", api_name="/expand")   # → the expansion
client.predict("fit a straight line through points", api_name="/search")   # → both rankings
"""


def results_tab(engine: Engine) -> None:
    """Add the tab to the page that is being laid out."""
    with gr.Tab("Results and cost", id="results") as tab:
        gr.HTML(about_html(engine.settings, engine.runs_others) + _code_html(), elem_classes="qe-flush")
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(None, None, None, js="() => { window.qe?.open('results'); }", **private)


def _code_html() -> str:
    return (
        '<div class="qe-about"><h2>From code</h2><p>The same as an API, and as tools for assistants (MCP) where that '
        f'is installed.</p><pre class="qe-scroll" tabindex="0">{escape(CODE)}</pre></div>'
    )

"""Lays out the whole page over an engine, and serves it."""

from pathlib import Path
from typing import Any

import gradio as gr

from space.about import TITLE, head_html
from space.engine import Engine
from space.serving.api import Api, mcp_works
from space.serving.door import MOST_FILE_BYTES, Door
from space.serving.own_documents import switched_on
from space.tabs.data_tab import data_tab
from space.tabs.pairs_tab import pairs_tab
from space.tabs.queries_tab import queries_tab
from space.tabs.results_tab import results_tab
from space.tabs.search_tab import search_tab


STYLE = Path(__file__).resolve().parent.parent / "style.css"
# Fonts of the visitor's machine: nothing is fetched from elsewhere.
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
THEME = gr.themes.Default(
    primary_hue="indigo", neutral_hue="slate", font=FONT, font_mono=("ui-monospace", "Menlo", "Consolas", "monospace")
).set(
    # Dark enough for white letters.
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
)


def build(engine: Engine) -> gr.Blocks:
    """Lay out the page over an engine. Nothing is loaded until somebody searches."""
    api = Api(engine)
    # Files that were sent and never indexed are deleted after ten minutes.
    with gr.Blocks(title=TITLE, delete_cache=(600, 600)) as page:
        own = gr.State(None)
        gr.HTML(head_html(engine.settings, engine.runs_others), elem_classes="qe-flush")
        with gr.Tabs(selected="search", overflow_behavior="wrap"):
            search_tab(engine, page, own)
            queries_tab(engine)
            pairs_tab(engine)
            results_tab(engine)
            if switched_on():
                data_tab(engine, own)
        # They wait in the engine's own line; outside of gradio's, tools get what the function returns.
        gr.api(api.expand, api_name="expand", queue=False)
        gr.api(api.search, api_name="search", queue=False)
    return page


def serve(page: gr.Blocks, **how: Any) -> None:
    """Serve a page that was laid out; `how` are further settings of `gradio.Blocks.launch`."""
    # A middleware as starlette unpacks it: class, arguments, named arguments.
    door: dict[str, Any] = {"middleware": [(Door, (), {"takes_files": switched_on()})]}
    shown: dict[str, Any] = {"theme": THEME, "css_paths": [STYLE], "footer_links": ["api"]}
    how = {"max_file_size": MOST_FILE_BYTES, **how}
    page.queue().launch(**shown, mcp_server=mcp_works(), app_kwargs=door, **how)

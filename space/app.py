"""Lets people type a query, or pick one, and see and change what each expansion does to a search.

This file is the `app.py` of a rendered Space. In the repository, `python space/app.py` shows the Space that
`python -m space` rendered last to its default place.
"""

import sys
from pathlib import Path
from typing import Any


HERE = Path(__file__).resolve().parent
RENDERED = (HERE / "space.json").is_file()
if not RENDERED:
    # Run as a script, this folder would stand in the way of the packages beside it.
    sys.path[:1] = [str(HERE.parent)]

import gradio as gr  # noqa: E402

import space  # noqa: E402
from builders.errors import KitError  # noqa: E402
from space.about import TITLE, head_html  # noqa: E402
from space.engine import Engine  # noqa: E402
from space.serving.api import Api, mcp_works  # noqa: E402
from space.serving.door import Door  # noqa: E402
from space.tabs.results_tab import results_tab  # noqa: E402
from space.tabs.search_tab import search_tab  # noqa: E402


STYLE = Path(space.__file__).with_name("style.css")
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
    with gr.Blocks(title=TITLE) as page:
        gr.HTML(head_html(engine.settings, engine.runs_others), elem_classes="qe-flush")
        with gr.Tabs(selected="search", overflow_behavior="wrap") as tabs:
            search_tab(engine, page, tabs)
            results_tab(engine)
        # They wait in the engine's own line; outside of gradio's, tools get what the function returns.
        gr.api(api.expand, api_name="expand", queue=False)
        gr.api(api.search, api_name="search", queue=False)
    return page


try:
    ENGINE = Engine(HERE if RENDERED else HERE.parent / "out" / "demo" / "space")
except KitError as mendable:
    if __name__ != "__main__":
        raise
    sys.stderr.write(f"error: {mendable}\n")
    sys.exit(2)
demo = build(ENGINE)


def serve(page: gr.Blocks) -> None:
    """Serve a page that was laid out."""
    # A middleware as starlette unpacks it: class, arguments, named arguments.
    door: dict[str, Any] = {"middleware": [(Door, (), {})]}
    shown: dict[str, Any] = {"theme": THEME, "css_paths": [STYLE], "footer_links": ["api"]}
    page.queue().launch(**shown, mcp_server=mcp_works(), app_kwargs=door)


def main() -> None:
    """Serve the page; load in the background what the first search needs."""
    import threading

    threading.Thread(target=ENGINE.warm, daemon=True).start()
    serve(demo)


if __name__ == "__main__":
    main()

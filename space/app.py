"""Lets people type a query, or pick one, and see what the student's expansion changes.

This file is the `app.py` of a rendered Space. In the repository, `python space/app.py` shows the Space that
`python -m space` rendered last to its default place.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
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
from space.about import TITLE, about_html, head_html  # noqa: E402
from space.comparison import as_json, compare  # noqa: E402
from space.engine import MAX_CHARACTERS, Engine  # noqa: E402
from space.present import comparison_html, notice_html  # noqa: E402


SIGNS = {"helped": "▲", "hurt": "▼", "unchanged": "="}
STYLE = Path(space.__file__).with_name("style.css")
# Fonts of the visitor's machine: nothing is fetched from elsewhere.
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
THEME = gr.themes.Default(
    primary_hue="indigo", neutral_hue="slate", font=FONT, font_mono=("ui-monospace", "Menlo", "Consolas", "monospace")
)
CODE = """\
from gradio_client import Client

client = Client("owner/this-space")            # or the address this page is served at
client.predict("fit a straight line through points", api_name="/expand")   # → the expansion
client.predict("fit a straight line through points", api_name="/search")   # → both rankings
"""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Show what can be mended as one line."""
    try:
        yield
    except KitError as error:
        raise gr.Error(escape(str(error)), print_exception=False) from error


class App:
    """The functions behind the page and the API."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def expand(self, query: str) -> str:
        """Write the words that the page answering a search query would probably contain.

        Args:
            query: What somebody searches for, at most 300 words.
        """
        with clear_errors():
            return self.engine.expand(self.engine.check(query)).text

    def search(self, query: str) -> dict[str, Any]:
        """Search with a query as it is and with the student's expansion, and return both rankings side by side.

        Args:
            query: What somebody searches for, at most 300 words.
        """
        with clear_errors():
            checked = self.engine.check(query)
            return as_json(compare(self.engine, checked, self.engine.expand(checked)))

    def show_plain(self, query: str) -> str:
        """The left side at once; the right side says that it is being written."""
        with clear_errors():
            return comparison_html(compare(self.engine, self.engine.check(query), None))

    def show_both(self, query: str) -> str:
        """Both sides, or one line why there is no right side."""
        with clear_errors():
            checked = self.engine.check(query)
            try:
                return comparison_html(compare(self.engine, checked, self.engine.expand(checked)))
            except KitError as error:
                return comparison_html(compare(self.engine, checked, None), notice=str(error))

    def open(self, request: gr.Request) -> tuple[str, str]:
        """What a visitor sees first: the query in the address (`?q=…`), else a recorded one, without the model."""
        query = _asked(request)
        recorded = None
        if not query:
            query = next(iter(self.engine.recorded), "")
            recorded = self.engine.recall(query)
        try:
            if not query:
                return "", notice_html("Type what a function should do, and press Enter.")
            return query, comparison_html(compare(self.engine, self.engine.check(query), recorded))
        except KitError as error:
            return query, notice_html(str(error))

    def open_asked(self, query: str, request: gr.Request) -> Any:
        """The right side for a query that stood in the address."""
        return self.show_both(query) if _asked(request) else gr.skip()


def _asked(request: gr.Request) -> str:
    return str(request.query_params.get("q", "")).strip()


def build(engine: Engine) -> gr.Blocks:
    """Lay out the page over an engine. Nothing is loaded until somebody searches."""
    app = App(engine)
    choices = [(f"{SIGNS[item.kind]}  {item.query}", item.query) for item in engine.recorded.values()]
    invitation = ("or pick a test query whose right page is known (when measured: ▲ helped, ▼ hurt, = unchanged)", "")
    with gr.Blocks(title=TITLE) as page:
        gr.HTML(head_html(engine.settings), elem_classes="qe-flush")
        with gr.Tab("Search"):
            with gr.Row(equal_height=True):
                query = gr.Textbox(
                    show_label=False,
                    placeholder="What should the function do?",
                    max_length=MAX_CHARACTERS,
                    max_lines=1,
                    scale=9,
                    autofocus=True,
                    container=False,
                )
                button = gr.Button("Search", variant="primary", scale=1, min_width=110)
            picked = gr.Dropdown(
                [invitation, *choices],
                value="",
                label="Test queries",
                show_label=False,
                container=False,
                visible=bool(choices),
            )
            result = gr.HTML(elem_classes="qe-flush")
        with gr.Tab("What was measured, what to trust"):
            gr.HTML(about_html(engine.settings), elem_classes="qe-flush")
            gr.Markdown(
                "### From code\nThe same as an API, and as tools for assistants (MCP) where that is installed."
            )
            gr.Code(CODE, language="python", interactive=False, show_label=False)

        private: dict[str, Any] = {"api_visibility": "private"}
        # One expansion at a time: the machine's cores are shared by everybody who asks.
        student: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "student"}
        hidden: dict[str, Any] = {**private, "show_progress": "hidden"}
        picked.input(lambda chosen: chosen or gr.skip(), picked, query, **hidden).then(
            app.show_plain, query, result, **hidden
        ).success(app.show_both, query, result, **hidden, **student)
        gr.on([button.click, query.submit], app.show_plain, query, result, **hidden).success(
            app.show_both, query, result, **hidden, **student
        )
        # A query of one's own is none of the list.
        query.input(None, None, picked, js="() => ''", **hidden)
        page.load(app.open, None, [query, result], **hidden).then(app.open_asked, query, result, **hidden, **student)
        gr.api(app.expand, api_name="expand", **student)
        gr.api(app.search, api_name="search", **student)
    return page


class NoUploads:
    """Closes the route by which gradio takes files of any size: nothing here reads one.

    Args:
        app (`Callable`):
            The server behind it (ASGI).
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 404 before a byte of the body is read; let everything else pass."""
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith("/upload"):
            await send({"type": "http.response.start", "status": 404, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body", "body": b"this app takes no files"})
        else:
            await self.app(scope, receive, send)


def mcp_works() -> bool:
    """Whether everything that `gradio[mcp]` asks for is installed."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("gradio") or ()]
    try:
        return all(
            version(item.name) in item.specifier
            for item in wanted
            if item.marker and not item.marker.evaluate({"extra": ""}) and item.marker.evaluate({"extra": "mcp"})
        )
    except PackageNotFoundError:
        return False


try:
    ENGINE = Engine(HERE if RENDERED else HERE.parent / "out" / "demo" / "space")
except KitError as mendable:
    if __name__ != "__main__":
        raise
    sys.stderr.write(f"error: {mendable}\n")
    sys.exit(2)
demo = build(ENGINE)


def main() -> None:
    """Serve the page; load in the background what the first search needs."""
    import threading

    threading.Thread(target=ENGINE.warm, daemon=True).start()
    # A middleware as starlette unpacks it: class, arguments, named arguments.
    door: dict[str, Any] = {"middleware": [(NoUploads, (), {})]}
    page: dict[str, Any] = {"theme": THEME, "css_paths": [STYLE], "footer_links": ["api"]}
    demo.queue(max_size=32).launch(**page, mcp_server=mcp_works(), app_kwargs=door)


if __name__ == "__main__":
    main()

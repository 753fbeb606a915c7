"""Lays out the tab where visitors add documents of their own, which Search then searches."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from builders.collections.collection import Collection
from builders.errors import KitError
from space.engine import Engine
from space.serving.door import MOST_FILE_BYTES
from space.serving.own_documents import (
    FORMS,
    KEPT_MINUTES,
    MOST_DOCUMENTS,
    OwnDocuments,
    read_file,
    read_hub,
)


def data_tab(engine: Engine, own: gr.State) -> None:
    """Add the tab to the page that is being laid out; `own` are the visitor's documents."""
    with gr.Tab("Your data", id="data") as tab:
        gr.HTML(_told_html(), elem_classes="qe-flush")
        file = gr.File(label="JSONL or CSV", file_types=list(FORMS), height=140, elem_id="qe-file")
        with gr.Row(equal_height=True):
            label = "Or a public dataset of the Hub in BEIR's form"
            name = gr.Textbox(label=label, placeholder="mteb/nfcorpus", scale=9, min_width=240)
            button = gr.Button("Index", scale=1, min_width=110)
        told = gr.HTML(elem_classes="qe-flush", elem_id="qe-own", min_height=60)

    def index(read: Callable[[], Collection], before: OwnDocuments | None, progress: gr.Progress) -> list[Any]:
        try:
            progress(0, desc="reading")
            collection = read()
            found = OwnDocuments(engine, collection, lambda names: progress.tqdm(names, desc="indexing"))
        except KitError as error:
            line = f'<p class="qe-chip qe-down" role="alert">{escape(str(error))}</p>'
            return [f'<div class="qe">{line}</div>', before, None]
        if before is not None:
            before.forget()
        return [_indexed_html(collection), found, None]

    # What builders tell a terminal by tqdm is shown, too.
    def of_file(path: str, before: OwnDocuments | None, progress: Any = gr.Progress(track_tqdm=True)) -> list[Any]:  # noqa: B008
        return index(lambda: read_file(Path(path)), before, progress)

    def of_hub(name: str, before: OwnDocuments | None, progress: Any = gr.Progress(track_tqdm=True)) -> list[Any]:  # noqa: B008
        return index(lambda: read_hub(name), before, progress)

    private: dict[str, Any] = {"api_visibility": "private"}
    file.upload(of_file, [file, own], [told, own, file], show_progress_on=told, **private)
    gr.on([button.click, name.submit], of_hub, [name, own], [told, own, file], show_progress_on=told, **private)
    hidden = {"show_progress": "hidden", **private}
    tab.select(None, None, None, js="() => { window.qe?.open('data'); }", **hidden)


def _told_html() -> str:
    forms = "JSONL or CSV, one document a line, with <code>id</code>, <code>text</code>, and perhaps "
    forms += "<code>title</code> and <code>url</code>"
    return (
        '<div class="qe qe-about"><h2>Search documents of your own</h2>'
        "<p>They are searched by the same systems, side by side in Search. "
        f"{forms}: at most {MOST_FILE_BYTES >> 20} MB and {MOST_DOCUMENTS:,} documents.</p>"
        f"<p>Only this page searches them. They are forgotten after {KEPT_MINUTES} minutes.</p></div>"
    )


def _indexed_html(collection: Collection) -> str:
    name = collection.name.rpartition(" ")[0]
    judged = sum(len(collection.split(split)) for split in ("train", "validation", "test"))
    queries = f" and {judged:,} judged queries" if judged else ""
    # The language is said anyway.
    remarks = "".join(f"<p>{escape(line)}</p>" for line in collection.remarks if "--language" not in line)
    return (
        f'<div class="qe qe-about"><p role="status"><b>{escape(name)}</b>: {len(list(collection.documents)):,} '
        f"documents{queries}, read as texts in the language <code>{escape(collection.language)}</code>.</p>{remarks}"
        '<p class="qe-do"><button type="button" class="qe-button" data-do="own">Search them</button></p></div>'
    )

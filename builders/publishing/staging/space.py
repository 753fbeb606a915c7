"""The rendered Space: an app that runs from its folder alone."""

import json
from pathlib import Path

from builders.artifacts.dataset_folder import CARD
from builders.errors import KitError
from builders.publishing.card_merge import read_card
from builders.publishing.staging.staged import Rendered, files_below, refuse_dirty


SPACE = "space.json"
APP = "app.py"


def open_space(folder: Path) -> Rendered:
    """Check a Space folder.

    Raises:
        KitError: it is unfinished, or its card does not make it a Gradio Space.
    """
    again = "render it again: python -m space --results RESULTS --render_only"
    try:
        settings = json.loads((folder / SPACE).read_text())
        data = read_card((folder / CARD).read_text(), str(folder / CARD)).data
    except (OSError, ValueError) as error:
        raise KitError(f"{folder}: {SPACE} or {CARD} is missing or broken; {again}") from error
    refuse_dirty(folder, settings)
    app = data.get("app_file", APP)
    if data.get("sdk") != "gradio":
        raise KitError(f"{folder / CARD}: its sdk is {data.get('sdk')!r}, not gradio; {again}")
    if not isinstance(app, str) or not (folder / app).is_file():
        raise KitError(f"{folder}: {app} is missing; {again}")
    inside = files_below(folder)
    # What Python and Gradio leave behind when the app has run in the folder.
    left_out = tuple(
        name for name in inside if any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))
    )
    return Rendered(
        folder=folder,
        kind="space",
        repo_type="space",
        files={name: path for name, path in inside.items() if name not in left_out},
        version="",
        rows={},
        left_out=left_out,
    )

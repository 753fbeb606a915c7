"""Check a Space's folder before it is published: an app that runs from its folder alone."""

from pathlib import Path

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import require_files
from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.publishing.staging.staged_folder import StagedFolder, read_card_data, stage


SPACE = "space.json"
APP = "app.py"
AGAIN = "render it again: python -m space --results RESULTS --render_only"


def open_space(folder: Path) -> StagedFolder:
    """Check a Space folder.

    Raises:
        KitError: it is unfinished or edited, or its card does not make it a Gradio Space.
    """
    data = read_card_data(folder, f"{CARD} is missing", AGAIN)
    try:
        settings = read_record(folder / SPACE)
        if not isinstance(settings, dict) or not settings:
            raise ValueError("no settings")
    except (OSError, ValueError) as error:
        raise KitError(f"{folder}: {SPACE} is missing or broken; {AGAIN}") from error
    # Earlier Spaces vouch for nothing.
    vouched = require_files(folder, settings["files"], SPACE, AGAIN) | {SPACE, CARD} if "files" in settings else None
    staged = stage(folder, "space", "space", settings, vouched.__contains__ if vouched else _goes_up)
    app = data.get("app_file", APP)
    if data.get("sdk") != "gradio":
        raise KitError(f"{folder / CARD}: its sdk is {data.get('sdk')!r}, not gradio; {AGAIN}")
    if not isinstance(app, str) or not (folder / app).is_file():
        raise KitError(f"{folder}: {app} is missing; {AGAIN}")
    return staged


def _goes_up(name: str) -> bool:
    """Whether a file is published: not what Python and Gradio leave when the app has run in the folder."""
    return not any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))

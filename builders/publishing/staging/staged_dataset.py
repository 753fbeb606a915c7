"""Check a dataset's folder before it is published: every file that `build.json` vouches for, and the card."""

from pathlib import Path

from builders.artifacts.dataset_folder import BUILD, CARD, TIMING, open_dataset, read_build
from builders.errors import KitError
from builders.publishing.staging.staged_folder import StagedFolder, read_card_data, stage


KINDS = ("expansions", "references", "preferences", "triplets")
AGAIN = "make the folder again"


def open_staged_dataset(folder: Path) -> StagedFolder:
    """Check a dataset folder.

    Raises:
        KitError: it is unfinished or edited, was made by edited code, or its card does not name its configs.
    """
    build = read_build(folder)
    if build is None or build.get("kind") not in KINDS:
        raise KitError(f"{folder}: {BUILD} is broken, or of no kind that the kit makes; {AGAIN}")
    open_dataset(folder, build["kind"])
    names = {*build["files"], BUILD, CARD, TIMING}
    rows = {config: sum(splits.values()) for config, splits in build["rows"].items()}
    staged = stage(folder, build["kind"], "dataset", build, names.__contains__, rows)
    data = read_card_data(folder, f"{CARD} is missing, so the build is unfinished", AGAIN)
    if not rows or not all(rows.values()):
        raise KitError(f"{folder}: a config has no rows; {AGAIN}")
    named = {config.get("config_name") for config in data.get("configs") or [] if isinstance(config, dict)}
    if named != set(rows):
        raise KitError(f"{folder / CARD}: does not name the configs {', '.join(rows)}; {AGAIN}")
    return staged

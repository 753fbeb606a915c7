"""The rendered dataset: every file that `build.json` vouches for, and the card."""

from pathlib import Path

from builders.artifacts.dataset_folder import BUILD, CARD, TIMING, open_dataset, read_build
from builders.errors import KitError
from builders.publishing.card_merge import read_card
from builders.publishing.staging.staged import Rendered, files_below, refuse_dirty


KINDS = ("expansions", "references", "preferences", "triplets")


def open_rendered_dataset(folder: Path) -> Rendered:
    """Check a dataset folder.

    Raises:
        KitError: it is unfinished or edited, was made by edited code, or its card does not name its configs.
    """
    build = read_build(folder)
    if build is None or build.get("kind") not in KINDS:
        raise KitError(f"{folder}: {BUILD} is broken, or of no kind that the kit makes; make the folder again")
    open_dataset(folder, build["kind"])
    refuse_dirty(folder, build)
    if not (folder / CARD).is_file():
        raise KitError(f"{folder}: {CARD} is missing, so the build is unfinished; make the folder again")
    rows = {config: sum(splits.values()) for config, splits in build["rows"].items()}
    if not rows or not all(rows.values()):
        raise KitError(f"{folder}: a config has no rows; make the folder again")
    card = read_card((folder / CARD).read_text(), f"{folder / CARD}")
    named = {config.get("config_name") for config in card.data.get("configs") or [] if isinstance(config, dict)}
    if named != set(rows):
        raise KitError(f"{folder / CARD}: does not name the configs {', '.join(rows)}; make the folder again")
    inside = files_below(folder)
    names = {*build["files"], BUILD, CARD, *({TIMING} & set(inside))}
    return Rendered(
        folder=folder,
        kind=build["kind"],
        repo_type="dataset",
        files={name: folder / name for name in sorted(names)},
        version=build.get("code_version", ""),
        rows=rows,
        left_out=tuple(sorted(set(inside) - names)),
    )

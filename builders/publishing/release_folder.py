"""Fill the folder of a release with copies of its folders, and write what their cards say of the release.

The originals stay as they are.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builders.artifacts.files import atomic_folder, dump_json
from builders.artifacts.markdown import code, text
from builders.artifacts.ownership import RELEASE, require_own
from builders.cli import console_command
from builders.errors import KitError
from builders.publishing.card_merge import CLOSE, Card, with_data
from builders.publishing.release_items import ReleaseItem
from builders.publishing.staging.load import open_staged


REPORT = "release.json"
# Bytes from which on a file is linked instead of copied: no card is that large.
LINKED = 2**20
SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


@dataclass(frozen=True)
class Given:
    """A folder of the recipe.

    Args:
        option (`str`):
            Where it is given: `--datasets`, `--adapters`, `--retrievers` or `--space`.
        folder (`Path`), repo_id (`str`):
            What goes where.
    """

    option: str
    folder: Path
    repo_id: str

    @property
    def name(self) -> str:
        """Its name in the release folder: the same, for it belongs to an adapter's identity."""
        return self.folder.absolute().name


def read_given(option: str, text: str, owner: str) -> Given:
    """Read `FOLDER=NAME`.

    Raises:
        KitError: it is something else, or there is no such folder.
    """
    folder, _, name = text.rpartition("=")
    if not folder or not name or "/" in name:
        raise KitError(f"{option} {text!r}: give FOLDER=NAME, NAME being the repository's without its owner")
    if not Path(folder).is_dir():
        made = f"; {console_command()} space --results {Path(folder).parent} --render_only true makes it"
        raise KitError(f"{option} {folder}: no such folder{made if option == '--space' else ''}")
    return Given(option, Path(folder), f"{owner}/{name}")


def render_release(
    output: Path, given: Sequence[Given], results: str | None, matrix: str | None, licence: str
) -> None:
    """Fill the release folder, whole or not at all.

    Args:
        output (`Path`):
            Replaced if it holds a release.
        given (`Sequence[Given]`):
            What to copy.
        results (`str`, *optional*), matrix (`str`, *optional*):
            Folder of the evaluation of the adapters, and `matrix.json` that measured the retrievers: the cards of
            these models are written from it anew, with their repositories' names.
        licence (`str`):
            Licence of the models, for these cards.

    Raises:
        KitError: the release folder holds something else, two folders or repositories have one name, a folder is not
            fit to be published, or the results are not those of the models.
    """
    _check_output(output, given)
    for values in ([item.name for item in given], [item.repo_id for item in given]):
        double = next((value for value in values if values.count(value) > 1), None)
        if double is not None:
            raise KitError(f"{double}: twice in the release; its folders and repositories need names of their own")
    sources = {"--adapters": results and ("--results", f"{results}/results.json")}
    sources["--retrievers"] = matrix and ("--matrix", matrix)
    measured = {option: source for option, source in sources.items() if source}
    for item in given:
        if item.option not in measured:
            open_staged(item.folder)
    with atomic_folder(output, RELEASE) as work:
        for item in given:
            try:
                shutil.copytree(item.folder, work / item.name, copy_function=_link_or_copy)
            except shutil.Error as error:
                # All that went wrong with its files, as (from, to, why).
                why = error.args[0][0][-1]
                raise KitError(
                    f"{item.folder}: cannot be copied into {output}: {why}; mend that, then release"
                ) from error
        _write_cards(given, work, measured, licence)
        if (output / REPORT).is_file():
            shutil.copy(output / REPORT, work / REPORT)
        else:
            (work / REPORT).write_text(dump_json({"complete": False}))


def _check_output(output: Path, given: Sequence[Given]) -> None:
    here = output.resolve()
    for item in given:
        folder = item.folder.resolve()
        if here == folder or here in folder.parents or folder in here.parents:
            raise KitError(
                f"--output_dir {output}: is replaced as a whole, so it cannot hold {item.folder} or lie in it"
            )
    require_own(output, RELEASE)


def _link_or_copy(source: str, target: str) -> None:
    if os.path.getsize(source) >= LINKED:
        try:
            os.link(source, target)
            return
        except OSError:
            # Another disk, or one that knows no links.
            pass
    shutil.copy2(source, target)


def _write_cards(given: Sequence[Given], work: Path, measured: Mapping[str, tuple[str, str]], licence: str) -> None:
    """Have the models' cards written by their own command: the builders do not know that room."""
    models: list[Given] = []
    arguments: list[str] = []
    for option, source in measured.items():
        found = [item for item in given if item.option == option]
        if found:
            arguments += [option, *(str(work / item.name) for item in found), *source]
            models += found
    if not models:
        return
    arguments += ["--repo_ids", *(item.repo_id for item in models), "--license", licence]
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    done = subprocess.run(
        [sys.executable, "-m", "model_cards", *arguments],
        env={**environment, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        line = said[-1].removeprefix("error: ")
        for item in models:
            line = line.replace(str(work / item.name), str(item.folder))
        raise KitError(f"model cards: {line}")


def released_card(
    item: ReleaseItem, items: Sequence[ReleaseItem], tag: str, commits: Mapping[str, str], collection: str
) -> Card:
    """The card of an item with a section that names all others of its release, each at its exact revision.

    Args:
        item (`ReleaseItem`), items (`Sequence[ReleaseItem]`):
            The item, and all of the release in their order.
        tag (`str`):
            The tag that all of them get. Tags are never moved, so it is exact even where the commit is yet to be made.
        commits (`Mapping[str, str]`):
            Repository → commit of what is published before it.
        collection (`str`):
            Title of the collection; may be empty.
    """

    def revision(other: ReleaseItem) -> str:
        return code(tag) + (f", commit `{commits[other.id]}`" if other.id in commits else "")

    def link(other: ReleaseItem) -> str:
        return f"[{other.id}]({other.repository.url})"

    data, models = (
        ", ".join(f"{link(source)} ({revision(source)})" for source in item.sources if _is_model(source) == wanted)
        for wanted in (False, True)
    )
    lines = [f"## Release {tag}", ""]
    made = _made(item, data, models)
    if made:
        lines += [made, ""]
    if item.base:
        lines += [f"Base model: {item.base}.", ""]
    lines += ["| part | repository | revision |", "| --- | --- | --- |"]
    for other in items:
        here = " (this one)" if other is item else ""
        lines.append(f"| {other.staged.kind}{here} | {link(other)} | {revision(other)} |")
    together = f"The collection *{text(collection)}* holds them all. " if collection else ""
    lines += ["", f"{together}A tag of a release is never moved."]
    generated = item.card.generated.removesuffix(CLOSE).rstrip()
    return _linked(replace(item.card, generated="\n".join([generated, "", *lines, "", CLOSE])), item)


def _is_model(item: ReleaseItem) -> bool:
    return item.staged.repo_type == "model"


def _made(item: ReleaseItem, data: str, models: str) -> str:
    """One sentence on what it was made from; empty where the release does not hold that."""
    if item.staged.kind == "space":
        return f"Runs {models}." if models else ""
    if item.staged.repo_type == "dataset":
        return f"Made from {data}." if data else ""
    if data:
        return f"Trained on {data}{f', going on with {models}' if models else ''}."
    return f"Goes on with {models}." if models else ""


def _linked(card: Card, item: ReleaseItem) -> Card:
    """The front matter with the repositories that the Hub shows as this one's data and models."""
    if item.staged.repo_type == "dataset":
        return card
    data = dict(card.data)
    linked = {"datasets": [source for source in item.origins() if not _is_model(source)]}
    # A model's own is its base, and the card says so already.
    if item.staged.kind == "space":
        linked["models"] = [source for source in item.sources if _is_model(source)]
    for key, others in linked.items():
        named = data.get(key) or []
        named = [named] if isinstance(named, str) else list(named)
        if others:
            data[key] = [*named, *(other.id for other in others if other.id not in named)]
    return with_data(card, data)

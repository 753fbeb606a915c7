"""The release folder: copies of the folders of a release, whose cards may be written while the originals stay."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.artifacts.files import atomic_folder, dump_json
from builders.artifacts.ownership import RELEASE, require_own
from builders.errors import KitError
from builders.publishing.release_report import REPORT
from builders.publishing.staging.load import open_rendered


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


@dataclass(frozen=True)
class Evaluations:
    """What the models' cards are written from anew, with their repositories' names.

    Args:
        results (`str`, *optional*):
            Folder of the evaluation of the adapters.
        matrix (`str`, *optional*):
            `matrix.json` that measured the retrievers.
        licence (`str`):
            Licence of the models, for these cards.
    """

    results: str | None
    matrix: str | None
    licence: str

    def carded(self, given: Sequence[Given]) -> list[Given]:
        """The models whose cards are written anew: adapters, then retrievers."""
        options = {"--adapters": self.results, "--retrievers": self.matrix}
        return [item for option, source in options.items() if source for item in given if item.option == option]


def read_given(option: str, text: str, owner: str) -> Given:
    """Read `FOLDER=NAME`.

    Raises:
        KitError: it is something else, or there is no such folder.
    """
    folder, _, name = text.rpartition("=")
    if not folder or not name or "/" in name:
        raise KitError(f"{option} {text!r}: give FOLDER=NAME, NAME being the repository's without its owner")
    if not Path(folder).is_dir():
        raise KitError(f"{option} {folder}: no such folder")
    return Given(option, Path(folder), f"{owner}/{name}")


def render_release(output: Path, given: Sequence[Given], evaluations: Evaluations) -> None:
    """Fill the release folder, whole or not at all.

    Args:
        output (`Path`):
            Replaced if it holds a release.
        given (`Sequence[Given]`):
            What to copy.
        evaluations ([`Evaluations`]):
            What cards are written from anew.

    Raises:
        KitError: the release folder holds something else, two folders or repositories have one name, a folder is not
            fit to be published, or the results are not those of the models.
    """
    _check_output(output, given)
    for values in ([item.name for item in given], [item.repo_id for item in given]):
        double = next((value for value in values if values.count(value) > 1), None)
        if double is not None:
            raise KitError(f"{double}: twice in the release; its folders and repositories need names of their own")
    carded = evaluations.carded(given)
    for item in given:
        if item not in carded:
            open_rendered(item.folder)
    with atomic_folder(output, RELEASE) as work:
        for item in given:
            shutil.copytree(item.folder, work / item.name, copy_function=_link_or_copy)
        if carded:
            _write_cards(carded, work, evaluations)
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


def _write_cards(models: Sequence[Given], work: Path, evaluations: Evaluations) -> None:
    """Have the cards written by their own command: the builders do not know that room."""
    folders = {
        option: [str(work / item.name) for item in models if item.option == option]
        for option in ("--adapters", "--retrievers")
    }
    options = {
        **folders,
        "--results": [str(Path(evaluations.results or "") / "results.json")] if folders["--adapters"] else [],
        "--matrix": [str(evaluations.matrix)] if folders["--retrievers"] else [],
        "--repo_ids": [item.repo_id for item in models],
        "--license": [evaluations.licence],
    }
    arguments = [word for name, values in options.items() if values for word in (name, *values)]
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    done = subprocess.run(
        [sys.executable, "-m", "model_cards", *arguments],
        env={**environment, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        originals = {str(work / item.name): str(item.folder) for item in models}
        line = said[-1].removeprefix("error: ")
        for copy, original in originals.items():
            line = line.replace(copy, original)
        raise KitError(f"model cards: {line}")

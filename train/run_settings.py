"""Read the settings of a training run, and keep the folder where an interrupted run is taken up again."""

import importlib.util
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_folder, dump_json
from builders.artifacts.ownership import CHECKPOINTS, MODEL, require_own, require_own_work
from builders.artifacts.provenance import earlier_settings
from builders.artifacts.swap import discard
from builders.cli import parse, say
from builders.errors import KitError
from builders.masking import masked
from builders.recipe_file import read_recipe


# Where a run happens and what it prints; nothing that the adapter depends on.
INCIDENTAL = {
    "output_dir",
    "logging_steps",
    "logging_first_step",
    "disable_tqdm",
    "report_to",
    "run_name",
    "save_steps",
    "save_total_limit",
    "project",
    "trackio_space_id",
    "hub_private_repo",
}


def parse_training(own: type, types: Callable[[], Sequence[type]], prog: str, description: str) -> tuple[Any, ...]:
    """Read recipe and command line of a training; `--help` shows the kit's own options, and at once.

    Args:
        own (`type`):
            Dataclass of the kit's own options.
        types (`Callable`):
            Gives all dataclasses, those of the libraries among them, which take seconds to import.
        prog (`str`), description (`str`):
            What `--help` says.

    Raises:
        KitError: the recipe cannot be read, or holds a key that no dataclass knows.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        parse(own, ["--help"], prog, description)
    return parse(tuple(types()), None, prog, "")


def check_trackers(report_to: str | list[str] | None) -> None:
    """Raise KitError where the recipe asks for Trackio and it is not installed."""
    if "trackio" in (report_to or ()) and importlib.util.find_spec("trackio") is None:
        raise KitError("report_to: trackio is missing: pip install 'query-expansion-kit[train]', or say none")


def given(argv: Sequence[str]) -> set[str]:
    """Names of the settings that the recipe or the command line gives a value; all others stand at their defaults."""
    names = {argument[2:].split("=")[0].replace("-", "_") for argument in argv if argument.startswith("--")}
    names |= {name.removeprefix("no_") for name in names}  # As `--no_keep_best` gives `keep_best` a value.
    if "config" in names:
        names |= set(read_recipe(argv[list(argv).index("--config") + 1]))
    return names - {"config"} - INCIDENTAL


def chosen(config: Any, names: set[str]) -> dict[str, Any]:
    """The values of those fields of a settings dataclass that were given one, JSON-able, in alphabetical order."""
    told = (str, int, float, bool, list, dict, type(None))
    values = {field.name: getattr(config, field.name) for field in fields(config) if field.name in names}
    return dict(masked({name: one if isinstance(one, told) else str(one) for name, one in sorted(values.items())}))


def require_own_folders(output_dir: Path, *reads: str | Path | None) -> None:
    """Refuse, before anything is trained, an output folder or its `.work` that a training must not replace.

    Args:
        output_dir (`Path`):
            Where the trained model goes.
        reads (`str` or `Path`):
            What it is trained from.

    Raises:
        KitError: one holds something that is none of the kit's, or something that is read.
    """
    require_own(output_dir, MODEL, *reads)
    require_own_work(output_dir, CHECKPOINTS, *reads)


def work_folder(output_dir: Path, settings: dict[str, Any]) -> Path:
    """`<output_dir>.work`, where checkpoints lie until the run is finished.

    Checkpoints of a run with other settings are of no use to this one and are removed.

    Raises:
        KitError: it holds something that is none of the kit's.
    """
    folder = require_own_work(output_dir, CHECKPOINTS)
    note = folder / "settings.json"
    text = dump_json(settings)
    if note.exists() and note.read_text(encoding="utf-8") in (text, dump_json(earlier_settings(settings))):
        return folder
    if note.exists():
        say(f"{folder}: checkpoints of other settings, starting anew")
    with atomic_folder(folder, CHECKPOINTS) as fresh:
        (fresh / note.name).write_text(text, encoding="utf-8")
    return folder


def leave_work(output_dir: Path, settings: dict[str, Any]) -> None:
    """Remove the checkpoints of a training that is done, which was killed before it did so; name those of others."""
    folder = output_dir.with_name(f"{output_dir.name}.work")
    if not CHECKPOINTS.is_made(folder):
        return
    if (folder / "settings.json").read_text(encoding="utf-8") == dump_json(settings):
        discard(folder)
    else:
        say(f"{folder}: holds checkpoints of other settings, of a training that did not end; remove it if none will")


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint of an interrupted run; half-written and broken ones are removed."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        try:
            step = int(checkpoint.name.removeprefix("checkpoint-"))
            _check(checkpoint)
            whole.append((step, checkpoint))
        except Exception as error:  # safetensors raises a class of its own for a truncated file
            say(f"{checkpoint}: cut off or broken, left out ({str(error).splitlines()[0]})")
            shutil.rmtree(checkpoint, ignore_errors=True)
    return str(max(whole)[1]) if whole else None


def is_last(checkpoint: str) -> bool:
    """Whether nothing is left to train after a checkpoint."""
    state = json.loads((Path(checkpoint) / "trainer_state.json").read_text(encoding="utf-8"))
    return bool(state["global_step"] >= state["max_steps"])


def _check(checkpoint: Path) -> None:
    """Raise unless every file that a resumed run reads is whole."""
    from safetensors import safe_open

    # The trainer's state is the last file that the Trainer writes.
    json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    for weights in checkpoint.rglob("*.safetensors"):
        with safe_open(weights, "np"):  # Its header promises the file's length.
            pass
    for state in checkpoint.glob("*.pt*"):
        if not zipfile.is_zipfile(state):  # torch.save writes the directory of the archive at its end.
            raise ValueError(f"{state.name} is cut off")

"""Which folders a command may replace, remove or go on in: empty ones, and those that hold a record of the kit's."""

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.artifacts.records import read_record
from builders.artifacts.swap import recover
from builders.errors import KitError


# As `GenerationLog` has named its files in all versions; the ledger of what was paid for lies beside them.
_LOG = re.compile(r"[0-9a-f]{16}(-\d+)?\.jsonl|spending\.jsonl")
_LOG_KEYS = ({"key", "answers"}, {"request", "prompt_tokens"})
_PROCESS = re.compile(r"process-\d+-of-\d+")
# Names that a refusal shows of what it found.
_SHOWN = 3


@dataclass(frozen=True)
class Kind:
    """What a folder can be.

    Args:
        name (`str`):
            As a refusal calls it.
        is_made (`Callable`):
            Whether a folder is one that the kit made, in this version or an earlier one.
    """

    name: str
    is_made: Callable[[Path], bool]


def require_own(folder: Path, kind: Kind, *reads: str | Path | None) -> None:
    """Refuse a folder that must not be replaced as a whole. Commands ask before they generate, train or pay.

    Args:
        folder (`Path`):
            What a command is about to make.
        kind ([`Kind`]):
            What it makes; only a folder of that kind may stand there.
        reads (`str` or `Path`):
            What it is made from. Names that are no path on this machine are passed over.

    Raises:
        KitError: something else stands there, or something in it is read.
    """
    if folder.name in ("", ".."):
        raise KitError(f"--output_dir {folder}: is replaced as a whole: give a folder with a name of its own")
    _require(folder, kind, f"--output_dir {folder}", "give an empty or a new folder", reads)


def require_own_work(output: Path, kind: Kind, *reads: str | Path | None) -> Path:
    """The folder `<output>.work`, where unfinished work is kept until `output` is complete.

    Raises:
        KitError: something else stands there, or something in it is read.
    """
    folder = output.with_name(f"{output.name}.work")
    _require(folder, kind, str(folder), "unfinished work is kept there: give another --output_dir", reads)
    return folder


def paths(*names: str | None) -> list[str]:
    """Those names of prompts or collections that are paths; `pydocs` is none, whatever folder is called so."""
    return [name for name in names if name and ("/" in name or os.sep in name or Path(name).is_file())]


def require_free(folder: Path, files: Sequence[str], work: str) -> None:
    """Refuse a folder of results where somebody else's file would be written over. Anything else may lie there.

    Args:
        folder (`Path`):
            Where the results go.
        files (`Sequence[str]`):
            What they are written to.
        work (`str`):
            The folder in it that keeps unfinished work.

    Raises:
        KitError: such a file, or what stands in the place of that folder, is none of the kit's.
    """
    where = f"--output_dir {folder}"
    _require(folder / work, ANSWERS, where, "unfinished work is kept there: give another folder", ())
    there = [name for name in files if (folder / name).exists()]
    records = [name for name in there if name in _RESULTS]
    ours = RESULTS.is_made(folder) and all(_is_record(folder / name) for name in records)
    # Begun by the kit, a folder may hold what an interrupted command has left.
    if there and not ours and not _stands(folder / work):
        raise _foreign(where, there, RESULTS, "they would be written over: give another folder")


def _require(folder: Path, kind: Kind, where: str, advice: str, reads: Iterable[str | Path | None]) -> None:
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise KitError(f"{where}: {place} is a file: give a folder")
            break
    target = Path(os.path.realpath(folder))
    if target.is_symlink():
        raise KitError(f"{where}: a link that leads to itself: give a folder")
    recover(target)
    for read in reads:
        path = Path(os.path.expanduser(read or ""))
        if read and path.exists() and target in (path.resolve(), *path.resolve().parents):
            raise KitError(f"{where}: would be replaced, and {read} is read from it: give another folder")
    if _stands(folder) and not kind.is_made(folder):
        raise _foreign(where, sorted(path.name for path in folder.iterdir()), kind, advice)


def _stands(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir())


def _foreign(where: str, names: Sequence[str], kind: Kind, advice: str) -> KitError:
    shown = ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])])
    return KitError(f"{where}: holds files that are no {kind.name} of this kit ({shown}): {advice}")


def _has(path: Path, keys: Sequence[str]) -> bool:
    """Whether a file is a JSON object with these keys."""
    try:
        record = read_record(path)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and all(key in record for key in keys)


def _is_record(path: Path) -> bool:
    return any(_has(path, keys) for keys in _RESULTS[path.name])


def _recorded(name: str, **records: Sequence[str]) -> Kind:
    """A kind that is known by one of these JSON files at its top, and the keys in it."""
    return Kind(name, lambda folder: any(_has(folder / f"{stem}.json", keys) for stem, keys in records.items()))


def _holds_answers(folder: Path) -> bool:
    """Whether a folder holds answers, each process's own in a folder of its own or not."""
    return any(
        (_PROCESS.fullmatch(path.name) and (not _stands(path) or _holds_answers(path)))
        if path.is_dir()
        else (_LOG.fullmatch(path.name) and _is_log(path))
        for path in folder.iterdir()
    )


def _is_log(path: Path) -> bool:
    """Whether a file's first line is one of a log; a kill may have left none that is whole."""
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return not line or line.startswith((b'{"key": ', b'{"request": '))
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and any(keys <= set(row) for keys in _LOG_KEYS)


# The file that stands for all of a command's results → keys in it, of this version or an older one.
_RESULTS = {
    "results.json": (("rows", "settings"), ("systems", "settings")),
    "matrix.json": (("retrievers", "settings"),),
    "rounds.json": (("rounds", "settings"),),
    "alternation.json": (("rounds", "settings"),),
}
RESULTS = Kind("results", lambda folder: any(_is_record(folder / name) for name in _RESULTS))
# Of a folder whose record is broken, the timing still tells.
DATASET = _recorded("dataset", build=("kind", "schema_version"), timing=("finished", "total_seconds"))
MODEL = _recorded("trained model", training=("kind", "base"), timing=("finished", "seconds", "hardware"))
EXPORT = _recorded("export", export=("kind", "base", "files"))
SPACE = _recorded("rendered Space", space=("model", "measured", "collection"))
RELEASE = _recorded("release", release=("complete",))
CHECKPOINTS = _recorded("unfinished training", settings=("stage", "base", "data"))
ANSWERS = Kind("unfinished work", _holds_answers)

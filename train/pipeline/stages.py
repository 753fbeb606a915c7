"""Runs stages, the kit's own commands, each in a process of its own, and measures what they take."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from builders.artifacts.dataset_folder import TIMING
from builders.errors import KitError
from train.pipeline.shown_output import ShownOutput


ROOT = Path(__file__).resolve().parent.parent.parent
# Between two looks at a stage's memory.
SECONDS = 0.2
# That a stage may take to end when it is told to.
GRACE = 10


@dataclass(frozen=True)
class Spent:
    """What a stage took: seconds, and the most memory of all its processes together, in MiB, where it is known."""

    seconds: float
    peak_mib: float | None


def run_stage(
    command: Sequence[str],
    folder: Path,
    accelerate_config: str | None = None,
    shown: ShownOutput | None = None,
    environment: Mapping[str, str] | None = None,
) -> Spent | None:
    """Run a stage; it says itself what it does, and passes over what is done.

    Args:
        command (`Sequence[str]`):
            What Python is given.
        folder (`Path`):
            Where its result comes to lie.
        accelerate_config (`str`, *optional*):
            How it is launched, if it is.
        shown ([`ShownOutput`], *optional*):
            What shows its output; by default all of it goes where this process's goes.
        environment (`Mapping`, *optional*):
            Variables beside those of this process.

    Returns:
        What it took; `None` where its result was there already.

    Raises:
        KitError: it failed (it has said why).
    """
    launcher = ["-m", "accelerate.commands.launch", "--quiet", "--config_file", str(accelerate_config)]
    before, started, peak = _timing(folder), time.time(), 0.0
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    # The launcher takes `-m` for itself where what it starts is a module.
    process = subprocess.Popen(
        [sys.executable, *(launcher if accelerate_config else []), *command],
        # What they print and read is UTF-8, also where the system's own encoding is another.
        env={**os.environ, "PYTHONUTF8": "1", **(environment or {}), "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE if shown else None,
        stderr=subprocess.STDOUT if shown else None,
    )
    reader = shown.read(process.stdout) if shown and process.stdout else None
    try:
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(SECONDS)
    except BaseException:
        _end(process)
        raise
    if shown and reader:
        # A process that outlives its launcher may hold the pipe.
        reader.join(GRACE)
        shown.failed() if process.returncode else shown.done()
    if process.returncode:
        raise KitError(f"the stage that makes {folder} failed; mend what it says above and run the command again")
    return Spent(round(time.time() - started, 1), round(peak)) if _timing(folder) != before else None


def recorded(folder: Path) -> Spent:
    """What a finished stage says of itself, where nobody watched it to its end."""
    timing = json.loads(_timing(folder) or "{}")
    return Spent(timing.get("seconds", timing.get("total_seconds", 0.0)), timing.get("peak_memory_mib"))


def _timing(folder: Path) -> str | None:
    try:
        return (folder / TIMING).read_text(encoding="utf-8")
    except OSError:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a stage and all that it started: a launcher that is killed alone leaves its training behind, writing."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.Error:  # It has just ended.
        family = []
    for end in ("terminate", "kill"):
        for one in family:
            with contextlib.suppress(psutil.Error):
                getattr(one, end)()
        _, family = psutil.wait_procs(family, timeout=GRACE)
    process.wait()


def _resident(pid: int) -> float:
    """The memory of a process and of all that it started, in MiB."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20
    except psutil.Error:  # It has just ended.
        return 0.0

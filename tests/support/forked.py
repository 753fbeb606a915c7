"""Runs commands in processes of their own that have the libraries already, and kills them where that is asked for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path

from builders.cli import run
from tests.support.commands import entry


# What Python tells before it changes something in a file system.
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def in_a_process(
    words: tuple[str, ...], folder: Path, seconds: int, die_at: int | None = None, **environment: str
) -> tuple[int, str, int]:
    """Run a command of the kit in a folder.

    Args:
        words (`tuple[str, ...]`), folder (`Path`), seconds (`int`):
            The command, where it runs, and how long it may take.
        die_at (`int`, *optional*):
            How often it may change something in the file system before it is killed.

    Returns:
        Exit code, what it told, and how many changes it came to.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.warm"])
    log, changes = folder.with_name("told.txt"), context.Value("i", 0)
    log.unlink(missing_ok=True)
    process = context.Process(target=_run, args=(words, folder, log, changes, die_at, environment))
    process.start()
    process.join(seconds)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode, log.read_text(errors="replace"), changes.value


def _run(words, folder: Path, log: Path, changes, die_at: int | None, environment) -> None:
    os.setsid()
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = list(words[1:] if words[0] == "-m" else words)

    def count(event: str, given: tuple) -> None:
        if not (event in CHANGES or (event == "open" and given[2] is not None and given[2] & WRITES)):
            return
        path = os.fsdecode(given[0]) if isinstance(given[0], str | bytes | os.PathLike) else ""
        if not path.startswith("/") or path.startswith(str(folder)):
            if changes.value == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            changes.value += 1

    sys.addaudithook(count)
    run(entry(words))

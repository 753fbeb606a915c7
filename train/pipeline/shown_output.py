"""Shows of a stage's output what a person wants to see: its bar, its errors and its result; a log keeps the rest."""

import os
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import IO

from builders.cli import say


# Bars of this kit have no title or one in small letters; those of the libraries begin with a capital.
_BAR, _OURS = re.compile(r"[^|]*\d+%\|"), re.compile(r"\s*([a-z][a-z ]*: *)?\d+%\|")
# Lines of the log that are shown of a stage which failed without a word of its own.
_LAST = 12


class ShownOutput:
    """What a stage prints, read as it comes.

    Args:
        log (`Path`):
            The file that all of it is appended to.
        folder (`Path`):
            Where its results come to lie: lines that begin with it say what they are.

    Attributes:
        result (`str`): the last of those lines; empty where there is none.
    """

    def __init__(self, log: Path, folder: Path) -> None:
        self.log, self.result = log, ""
        self._folder, self._errors, self._rest = str(folder), 0, b""
        self._bar = self._lost = False
        self._last: list[str] = []

    def read(self, stream: IO[bytes]) -> threading.Thread:
        """Read a stage's output to its end, in a thread of its own."""
        thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        thread.start()
        return thread

    def failed(self) -> None:
        """Show how the log ends, unless an error has told why, and where it is."""
        self._wipe()
        if not self._errors:
            say("\n".join(self._last[-_LAST:]))
        say(f"all that it printed: {self.log}")

    def done(self) -> None:
        """Leave nothing of the bar."""
        self._wipe()

    def _read(self, stream: IO[bytes]) -> None:
        with stream, self._opened() as file:
            while found := os.read(stream.fileno(), 1 << 16):
                self._keep(file, found)
                *whole, self._rest = re.split(rb"[\r\n]+", self._rest + found)
                for line in whole:
                    self._take(line.decode(errors="replace"))
        self._take(self._rest.decode(errors="replace"))

    def _keep(self, file: IO[bytes], found: bytes) -> None:
        """Write to the log. Where that fails reading goes on: a stage must not wait for somebody to take its words."""
        if self._lost:
            return
        try:
            file.write(found)
        except OSError as error:
            self._lose(error)

    def _opened(self) -> IO[bytes]:
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            return self.log.open("ab", buffering=0)
        except OSError as error:
            self._lose(error)
            return open(os.devnull, "ab", buffering=0)

    def _lose(self, error: OSError) -> None:
        self._lost = True
        say(f"{self.log}: cannot be written ({error.strerror}); what the stages print is not kept")

    def _take(self, line: str) -> None:
        if _OURS.match(line):
            self._show_bar(line)
        if not line.strip() or _BAR.match(line):
            return
        self._last = [*self._last[-_LAST:], line]
        if line.startswith("error: "):
            self._errors += 1
            self._wipe()
            say(line)
        elif line.startswith(self._folder):
            self.result = line

    def _show_bar(self, line: str) -> None:
        """In the place of the one before; a file or a pipe gets none."""
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{line.strip()[:width]:<{width}}")
            sys.stderr.flush()
            self._bar = True

    def _wipe(self) -> None:
        if self._bar:
            sys.stderr.write(f"\r{'':<{shutil.get_terminal_size().columns - 1}}\r")
            self._bar = False

"""Who writes: a process by its host, number and start, to tell what a killed one has left from work at hand."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Writer:
    """A process that writes.

    Args:
        host (`str`):
            Name of its machine.
        pid (`int`):
            Its number there.
        start (`str`):
            When it was started, as the machine counts it: numbers are given again. Empty where nobody can tell.
    """

    host: str
    pid: int
    start: str

    @classmethod
    def here(cls) -> "Writer":
        """This process."""
        return cls(socket.gethostname(), os.getpid(), _start(os.getpid()) or "")

    def is_alive(self) -> bool:
        """Whether it still runs; of another machine's processes nothing is known, so they do."""
        return self.host != socket.gethostname() or _start(self.pid) in (self.start, "")

    @property
    def mark(self) -> str:
        """What the names of its temporary files hold."""
        return f"{_short(self.host)}-{self.pid}-{_short(self.start)}"


def has_left(mark: str) -> bool:
    """Whether the process of a mark ran on this machine and runs no more."""
    _, pid, start = mark.split("-")
    found = _start(int(pid))
    return not is_elsewhere(mark) and (found is None or found != "" and _short(found) != start)


def is_elsewhere(mark: str) -> bool:
    """Whether the process of a mark is another machine's, of which nothing is known."""
    return mark.split("-")[0] != _short(socket.gethostname())


def _start(pid: int) -> str | None:
    """The start of a process of this machine; `None` where there is none of that number, or one that is killed."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # What stands in brackets is the name of the program, which may hold anything.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state[0] in "ZX" else f"{boot}/{state[19]}"
    except (OSError, IndexError):
        pass
    # Not by `os.kill(pid, 0)`, which on Windows ends the process.
    import psutil

    try:
        return str(psutil.Process(pid).create_time()) if psutil.pid_exists(pid) else None
    except (psutil.NoSuchProcess, OverflowError):
        return None
    except psutil.Error:
        return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]

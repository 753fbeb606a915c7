"""The stages of rounds and alternations: what becomes of their processes."""

import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from builders.errors import KitError
from train.pipeline.stages import run_stage


# As a launcher does: it starts the work in a process of its own, and waits.
LAUNCHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
open(sys.argv[1] + ".tmp", "w").write(str(child.pid))
import os; os.rename(sys.argv[1] + ".tmp", sys.argv[1])
child.wait()
"""


def test_an_interrupted_stage_leaves_no_process_behind(tmp_path: Path) -> None:
    noted = tmp_path / "pid"

    def interrupt() -> None:
        while not noted.exists():
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    def raise_interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, raise_interrupt)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_stage(["-c", LAUNCHER, str(noted)], tmp_path / "out")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not psutil.pid_exists(int(noted.read_text()))


def test_a_stage_that_fails_is_named_by_what_it_makes(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="the stage that makes .*out failed; mend what it says above"):
        run_stage(["-c", "raise SystemExit(3)"], tmp_path / "out")


def test_a_stage_that_made_nothing_new_took_nothing(tmp_path: Path) -> None:
    (tmp_path / "timing.json").write_text('{"seconds": 5}')
    assert run_stage(["-c", "pass"], tmp_path) is None

"""One command at a time works in a work folder; a second one is told so, and a killed one leaves no lock."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.artifacts import locks, writer
from builders.artifacts.locks import locked
from builders.artifacts.writer import Writer, has_left
from builders.errors import KitError
from builders.processes import Processes
from tests.support.commands import command_here, refused
from tests.support.inference_server import InferenceServer
from tests.support.word_collection import word_collection
from train.evaluation.results_writer import EVALUATION
from train.evaluation.running import run_evaluation
from train.loop import train
from train.pipeline.driver import WORK, Rounds


ALONE = Processes(0, 1)
HOLD = """
import sys, time
from pathlib import Path
from builders.artifacts.locks import locked
from builders.processes import Processes
with locked(Path(sys.argv[1]), Processes(0, 1)):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Start another process that works in a folder; they are killed at the end."""
    started = []

    def hold(folder: Path) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_the_second_is_told_who_works_there(tmp_path, holder):
    process = holder(tmp_path / "out.work")
    told = rf"out\.work: process {process.pid} on \S+ works there since .*: wait for it or end it"
    with pytest.raises(KitError, match=told), locked(tmp_path / "out.work", ALONE):
        pytest.fail("two work there")
    with locked(tmp_path / "other.work", ALONE):
        assert (tmp_path / ".other.work.lock").exists()
    process.kill()
    process.wait()
    with locked(tmp_path / "out.work", ALONE):
        content = json.loads((tmp_path / ".out.work.lock").read_text())
        assert content["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_the_processes_of_a_launch_share_it_and_are_refused_together(tmp_path, holder):
    with locked(tmp_path / "out.work", ALONE), locked(tmp_path / "out.work", ALONE):
        with locked(tmp_path / "out.work", Together(1, None)):
            pass
        assert (tmp_path / ".out.work.lock").exists()
    holder(tmp_path / "out.work")
    for index, refusal in ((0, None), (1, "out.work: process 1 works there")):
        with pytest.raises(KitError, match="works there"), locked(tmp_path / "out.work", Together(index, refusal)):
            pytest.fail("two launches work there")


class Together(Processes):
    """One of two processes; `refusal` is what the other one says."""

    def __init__(self, index: int, refusal: str | None) -> None:
        super().__init__(index, 2)
        object.__setattr__(self, "refusal", refusal)

    def gather(self, items):
        return [*items, self.refusal]


@pytest.mark.parametrize(
    "there",
    [
        lambda here: {**asdict(replace(here, start="another boot/1")), "since": "yesterday"},
        lambda here: {**asdict(replace(here, pid=2**22 + 1)), "since": "yesterday"},
        lambda here: {"pid": "x", "host": "y", "start": "", "since": ""},
        lambda here: [],
        lambda here: {},
    ],
)
def test_a_lock_of_nobody_is_taken_over(there, tmp_path):
    (tmp_path / ".out.work.lock").write_text(json.dumps(there(Writer.here())))
    with locked(tmp_path / "out.work", ALONE):
        assert json.loads((tmp_path / ".out.work.lock").read_text())["start"] == Writer.here().start
    assert not list(tmp_path.iterdir())


def test_where_no_proc_tells_a_process_is_known_by_its_start(tmp_path, monkeypatch):
    """As on macOS and Windows, where asking must not end it either."""
    monkeypatch.setattr(writer, "Path", lambda name: tmp_path / "no-proc")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        there = replace(Writer.here(), pid=child.pid, start=writer._start(child.pid))
        assert there.start and there.is_alive() and not has_left(there.mark) and child.poll() is None
        assert not replace(there, start="1.0").is_alive(), "its number was given again"
        child.kill()
        child.wait()
        assert not there.is_alive() and has_left(there.mark)
    assert not replace(there, pid=10**30).is_alive()


def test_of_another_machine_nothing_is_known(tmp_path):
    there = {**asdict(Writer("elsewhere", 1, "x")), "since": "noon"}
    (tmp_path / ".out.work.lock").write_text(json.dumps(there))
    with pytest.raises(KitError, match=r"process 1 on elsewhere .* remove .*\.out\.work\.lock"):
        locked(tmp_path / "out.work", ALONE).__enter__()


def test_where_nothing_can_be_written_nothing_is_locked(tmp_path, monkeypatch):
    def refuses(path, folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(locks, "_take", refuses)
    with locked(tmp_path / "new/below/out.work", ALONE):
        pass
    (tmp_path / "file").write_text("mine")
    with locked(tmp_path / "file/out.work", ALONE):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_equal_builds_pay_once(tmp_path):
    collection = word_collection(tmp_path / "words", 10)
    with InferenceServer(delay=0.4) as server:
        arguments = [
            *("-m", "builders", "expansions", "--expander", "inference", "--base_url", server.url),
            *("--model", "acme/teacher", "--collection", str(collection), "--num_train", "6", "--samples", "2"),
            *("--prompts", "web-passage-zero-shot", "--concurrency", "1", "--output_dir", str(tmp_path / "out")),
        ]
        with subprocess.Popen([sys.executable, *arguments], stderr=subprocess.PIPE, text=True) as first:
            while not server.answered and first.poll() is None:
                time.sleep(0.01)
            line = refused(command_here(*arguments))
            assert f"out.work: process {first.pid} on " in line
            _, printed = first.communicate()
        assert first.returncode == 0, printed
        assert len(server.seen) == 12 and len(set(server.answered)) == 12
        assert not (tmp_path / ".out.work.lock").exists()
        assert "up to date" in command_here(*arguments).stderr


def test_trainings_evaluations_and_rounds_ask_for_it(tmp_path, holder):
    holder(tmp_path / "model.work")
    with pytest.raises(KitError, match=r"model\.work: process"):
        train(SimpleNamespace(config=SimpleNamespace(use_cpu=True, output_dir=str(tmp_path / "model"))))
    holder(tmp_path / "results" / EVALUATION.work)
    plan = SimpleNamespace(collection=SimpleNamespace(remarks=()), settings={}, retrievers={})
    with pytest.raises(KitError, match=rf"{EVALUATION.work}: process"):
        run_evaluation(
            SimpleNamespace(output_dir=str(tmp_path / "results")), replace(EVALUATION, plan=lambda args: plan)
        )
    holder(tmp_path / "rounds" / WORK)
    with pytest.raises(KitError, match=rf"{WORK}: process"):
        Rounds.run(SimpleNamespace(out=tmp_path / "rounds", args=SimpleNamespace(rounds=1, patience=0)))

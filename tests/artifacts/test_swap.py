"""After a kill at any rename and fsync, the old folder or the new one stands there, or the next call restores it."""

import os
import shutil
from pathlib import Path

import pytest

from builders.artifacts import swap
from builders.artifacts.files import atomic_folder, atomic_write, cached_folder
from builders.artifacts.model_folder import ADAPTER, read_training
from builders.artifacts.ownership import Kind, require_own
from builders.artifacts.writer import Writer
from builders.errors import KitError


KIND = Kind("test folder", lambda folder: (folder / "mine/version").is_file())
STEPS = (
    (os, "rename"),
    (os, "replace"),
    (os, "fsync"),
    (os, "open"),
    (shutil, "rmtree"),
    (os, "unlink"),
    (swap, "_exchange"),
)


def write(place: Path, version: str) -> None:
    with atomic_folder(place, KIND) as work:
        (work / "mine").mkdir()
        (work / "mine/version").write_text(version)
        (work / version).write_text(version)


def stands(place: Path) -> str | None:
    """Which version stands there; it has to be whole."""
    if not place.exists():
        return None
    version = (place / "mine/version").read_text()
    assert sorted(path.name for path in place.iterdir()) == sorted(["mine", version])
    return version


def killed(step: int, work, before: bool) -> bool:
    """Write in a process that is killed at one of its steps, before or after it; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = step

        def dying(call):
            def called(*args, **kwargs):
                nonlocal left
                left -= 1
                if left < 0 and before:
                    os._exit(9)
                result = call(*args, **kwargs)
                return os._exit(9) if left < 0 else result

            return called

        for module, name in STEPS:
            setattr(module, name, dying(getattr(module, name)))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("old", ["old", None])
def test_a_kill_at_any_step_leaves_the_old_or_the_new(old, exchanges, before, tmp_path, monkeypatch, record_property):
    if not exchanges:
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    place, step, seen = tmp_path / "place", 0, set()
    while True:
        shutil.rmtree(place, ignore_errors=True)
        if old:
            write(place, old)
        was_killed = killed(step, lambda: write(place, "new"), before)
        if old and exchanges:
            assert stands(place) in (old, "new")
        # Any command that is about to write there asks this first.
        require_own(place, KIND)
        assert stands(place) in (old, "new")
        assert [path.name for path in tmp_path.iterdir()] == (["place"] if stands(place) else [])
        seen.add(stands(place))
        if not was_killed:
            break
        step += 1
    assert seen == {old, "new"} and step > 8
    record_property("trials", {"tried": step})


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_at_any_step_of_a_file_leaves_the_old_or_the_new(before, tmp_path, record_property):
    place, step, seen = tmp_path / "file", 0, set()
    while True:
        place.write_bytes(b"old")
        was_killed = killed(step, lambda: atomic_write(place, b"new"), before)
        seen.add(place.read_bytes())
        atomic_write(place, b"again")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        if not was_killed:
            break
        step += 1
    assert seen == {b"old", b"new"} and step > 3
    record_property("trials", {"tried": step})


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_while_a_folder_is_removed_leaves_all_of_it_or_nothing(before, tmp_path, record_property):
    place, step, seen = tmp_path / "place", 0, set()
    while True:
        shutil.rmtree(place, ignore_errors=True)
        write(place, "old")
        was_killed = killed(step, lambda: swap.discard(place), before)
        swap.recover(place)
        seen.add(stands(place))
        assert [path.name for path in tmp_path.iterdir()] == (["place"] if stands(place) else [])
        if not was_killed:
            break
        step += 1
    assert seen == ({"old", None} if before else {None}) and step > 3
    record_property("trials", {"tried": step})


def test_the_exchange_is_what_is_used_here(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not swap._exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system cannot exchange two names")
    assert (tmp_path / "one/other").exists() and (tmp_path / "other/one").exists()
    with pytest.raises(FileNotFoundError):
        swap._exchange(tmp_path / "one", tmp_path / "nothing")


def test_an_error_between_the_renames_puts_the_old_back(tmp_path, monkeypatch):
    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    write(tmp_path / "place", "old")
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="Input/output error"):
        write(tmp_path / "place", "new")
    assert stands(tmp_path / "place") == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_takes_its_place_where_no_rename_may_meet_another(tmp_path, monkeypatch):
    """As on Windows: nothing exchanges two names, and not even an empty folder is replaced."""
    rename = os.rename

    def strict(source, target):
        if os.path.lexists(target):
            raise FileExistsError(17, "File exists", str(target))
        rename(source, target)

    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", strict)
    write(tmp_path / "place", "old")
    write(tmp_path / "place", "new")
    assert stands(tmp_path / "place") == "new" and len(list(tmp_path.iterdir())) == 1
    swap.discard(tmp_path / "place")
    assert not list(tmp_path.iterdir())


def dead() -> str:
    """The mark of a process that runs no more."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    mark = Writer.here().mark.replace(f"-{os.getpid()}-", f"-{child}-")
    os.waitpid(child, 0)
    return mark


def test_what_the_dead_left_goes_and_all_else_stays(tmp_path):
    gone = [f".place.{dead()}.abcdefgh", f".place.old.{dead()}.abcdefgh"]
    kept = [
        ".place.backup",
        ".place.old.versions",
        f".place.{Writer.here().mark}.abcdefgh",
        f".other.{dead()}.abcdefgh",
    ]
    kept.append(f".place.{dead()}.abcdefgh".replace(dead()[:6], "0" * 6))  # Of another machine.
    for name in (*gone, *kept):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "place").mkdir()
    with cached_folder(tmp_path / "place") as work:
        (work / "new").touch()
    assert {path.name for path in tmp_path.iterdir()} == {"place", *kept}
    (tmp_path / f".file.{dead()}.abcdefgh").touch()
    atomic_write(tmp_path / "file", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"place", "file", *kept}


def test_what_may_be_somebodys_is_told_once_and_stays(tmp_path, caplog):
    """As earlier versions, which left no mark, and other machines call theirs."""
    there = [".place.abc_efg8", ".place.old.abc_efg8", f".place.{'0' * 6}-1-{'0' * 6}.abc_efg8"]
    silent = [".place.lock", ".place.work.abc_efg8", ".place.Abc_efg8", f".place.{Writer.here().mark}.abc_efg8"]
    for name in (*there, *silent):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    for _ in range(2):
        write(tmp_path / "place", "new")
        require_own(tmp_path / "place", KIND)
    assert {path.name for path in tmp_path.iterdir()} == {"place", *there, *silent}
    told = [f"{tmp_path / name}: may be left of a command that was killed" for name in sorted(there)]
    assert [message.split(": remove")[0] for message in sorted(caplog.messages)] == sorted(told)


def test_readers_restore_it_too(tmp_path):
    aside = tmp_path / f".adapter.old.{dead()}.abcdefgh"
    aside.mkdir()
    (aside / "training.json").write_text("{}")
    with pytest.raises(KitError, match=r"adapter_model\.safetensors is missing"):
        read_training(tmp_path / "adapter", ADAPTER)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_file_is_on_the_disk_and_so_is_its_name(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), fsync(handle)))
    atomic_write(tmp_path / "file", b"whole")
    assert {(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino} <= set(synced)
    synced.clear()
    write(tmp_path / "place", "new")
    paths = [tmp_path, tmp_path / "place", *(tmp_path / "place").rglob("*")]
    assert {path.stat().st_ino for path in paths} <= set(synced)

"""What goes wrong on this side: a disk that is full, a folder that holds more than files."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from builders.errors import KitError
from builders.publishing.release_folder import Given, render_release
from tests.hub_server import HubServer
from tests.support.publishing_client import KINDS, refusal
from tests.support.rendered_folders import make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["pipe", "dangling link"])
def test_what_cannot_be_read_to_its_end_is_refused(hub: HubServer, tmp_path: Path, kind: str, what: str) -> None:
    folder = make(kind, tmp_path / "a", 1)
    if what == "pipe":
        os.mkfifo(folder / "more.json")
    else:
        (folder / "more.json").symlink_to(tmp_path / "nowhere")
    assert "more.json: neither a file nor a folder" in refusal(hub, folder) and not hub.log


def test_a_full_disk_ends_a_release_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("dataset", tmp_path / "a", 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(KitError, match="cannot be copied into .*No space left on device") as caught:
        render_release(tmp_path / "release", [Given("--datasets", folder, "me/a")], None, None, "mit")
    assert "\n" not in str(caught.value) and not (tmp_path / "release").exists()

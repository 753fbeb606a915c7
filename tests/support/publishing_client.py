"""What the tests do to a Hub: publish, in this process or as a command, and look at what is there."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders.errors import KitError
from builders.publishing.hub import publish_folder
from builders.publishing.publisher import Published, PublishOptions
from tests.hub_server import HubServer
from tests.hub_server.fixtures import client_environment, run_command
from tests.hub_server.handler import LogEntry
from tests.hub_server.view import RepoView
from tests.support.commands import ROOT
from tests.support.rendered_folders import REPO_TYPES


KINDS = tuple(REPO_TYPES)
NAME = "kit-owner/thing"
# The requests of a publish: what each is for, its method and path.
STEPS = {
    "head": ("GET", "/revision/main"),
    "tree": ("GET", "/tree/"),
    "refs": ("GET", "/refs"),
    "file": ("GET", "/resolve/"),
    "validation": ("POST", "/validate-yaml"),
    "preupload": ("POST", "/preupload/"),
    "batch": ("POST", "/info/lfs/objects/batch"),
    "put": ("PUT", "/storage/upload"),
    "verify": ("POST", "lfs/verify"),
    "commit": ("POST", "/commit/main"),
    "tag": ("POST", "/tag/"),
    "settings": ("PUT", "/settings"),
}
# What a network that wants a login answers to everything.
HTML: dict[str, Any] = {"status": 200, "body": b"<html>Sign in</html>", "headers": {"Content-Type": "text/html"}}


@dataclass(frozen=True)
class Calm:
    """An undisturbed publish: the tree, the titles of the commits, and every request."""

    tree: dict[str, bytes]
    titles: list[str]
    log: list[LogEntry]


def publish(hub: HubServer, folder: Path, name: str = NAME, token: str | None = None, **options) -> Published:
    from huggingface_hub import HfApi

    return publish_folder(folder, name, PublishOptions(**options), HfApi(hub.url, token or hub.owner_token))


def refusal(hub: HubServer, folder: Path, name: str = NAME, token: str | None = None, **options) -> str:
    """The line with which a publish is refused."""
    with pytest.raises(KitError) as caught:
        publish(hub, folder, name, token, **options)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 700, line
    return line


def command(hub: HubServer, *arguments: object, xet: bool = False, token: str | None = None, **environment: str):
    """`python -m builders publish …` as a user runs it, with a fresh home."""
    publishing = [sys.executable, "-m", "builders", "publish", *map(str, arguments)]
    return run_command(hub, publishing, token, xet, cwd=ROOT, environment=environment)


def repo(hub: HubServer, kind: str, name: str = NAME) -> RepoView:
    """The repository of a folder of this kind."""
    return hub.repo(REPO_TYPES[kind], name)


def titles(hub: HubServer, kind: str, name: str = NAME, revision: str = "main") -> list[str]:
    return [commit.title for commit in repo(hub, kind, name).commits(revision)]


def files_in(folder: Path) -> dict[str, bytes]:
    """Path → content, for all files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed_publish(
    hub: HubServer, folder: Path, method: str, path: str, skip: int = 0, with_xet: bool = False, public: bool = False
) -> None:
    """Publish in a process that is killed by SIGKILL when its request arrives."""
    wishes = ["--public"] if public else []
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", "builders", "publish", str(folder), "--repo_id", NAME, "--tag", "v2", *wishes],
            env=client_environment(hub, Path(home), xet=with_xet),
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

        def kill(request: object) -> None:
            process.send_signal(signal.SIGKILL)
            process.wait()

        fault = hub.fault(method, path, skip=skip, hook=kill)
        assert process.wait(120) == -signal.SIGKILL and fault.fired == 1
    # The work of the request that was under way is done by the server all the same.
    time.sleep(0.3)

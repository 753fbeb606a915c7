"""A rendered Space as it is used: its models on the test Hub, its app in a process of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hub_server import HubServer
from tests.support.measured_folder import BASE, GUARD
from tests.support.publishing_client import files_in


ADAPTER = "kit-owner/tiny-dpo"


@contextmanager
def started(folder: Path, environment: dict[str, str], log: Path, python: str = sys.executable) -> Iterator[str]:
    """The folder's own app, in a process that finds the kit's code there or nowhere; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {**environment, "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_SERVER_PORT": str(port)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-c", GUARD, str(folder)], cwd=folder, env=variables, stdout=output, stderr=output
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 180
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def on_the_hub(hub: HubServer, work: Path) -> Path:
    """The student's base model and the adapter on the Hub; the results of an evaluation that used that base."""
    snapshot = work / "hub" / f"models--{BASE.replace('/', '--')}" / "snapshots" / ("0" * 40)
    revision = hub.create_repo("model", BASE).commit(files_in(snapshot))
    hub.create_repo("model", ADAPTER).commit(files_in(work / "models" / "dpo"))
    results = Path(shutil.copytree(work / "results", work / f"results-{revision[:8]}"))
    measured = (results / "results.json").read_text()
    (results / "results.json").write_text(measured.replace("0" * 40, revision))
    return results

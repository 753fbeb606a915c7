"""The server as a fixture, and real clients as subprocesses.

Clients run in a process of their own because HF_ENDPOINT, HF_HOME and HF_HUB_DISABLE_XET are read when the libraries
are imported, and because a fresh home is the only way to be sure that nothing comes from a cache.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .server import HubServer


# Nothing listens there: a request to any other host fails at once instead of reaching the network.
DEAD_PROXY = "http://127.0.0.1:9"
PRELUDE = """
import json, os, sys
from huggingface_hub import HfApi
result = {}
api = HfApi()
def name_of(call, *args, **kwargs):
    try:
        return ["ok", str(call(*args, **kwargs))]
    except BaseException as error:
        response = getattr(error, "response", None)
        return [type(error).__name__, getattr(response, "status_code", None), str(error)]
"""


def client_environment(hub: HubServer, home: Path, token: str | None = None, xet: bool = False) -> dict[str, str]:
    """A minimal environment that reaches this server and nothing else. `token=""` is an anonymous visitor."""
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": hub.owner_token if token is None else token,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HTTP_PROXY": DEAD_PROXY,
        "HTTPS_PROXY": DEAD_PROXY,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    if not xet:
        environment["HF_HUB_DISABLE_XET"] = "1"
    return environment


def run_command(
    hub: HubServer,
    command: list[str],
    token: str | None = None,
    xet: bool = False,
    cwd: Path | None = None,
    home: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a command with a fresh home, or a given one; its exit code is for the caller to judge."""
    with tempfile.TemporaryDirectory() as fresh:
        home = home or Path(fresh)
        variables = {**client_environment(hub, home, token, xet), **(environment or {})}
        return subprocess.run(command, env=variables, cwd=cwd or home, capture_output=True, text=True, timeout=timeout)


def run_client(
    hub: HubServer,
    script: str,
    token: str | None = None,
    xet: bool = False,
    home: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **values: Any,
) -> dict:
    """Run a Python script with `api`, `result` and the given values defined; what it puts in `result` comes back."""
    setup = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    program = f"{PRELUDE}\n{setup}\n{textwrap.dedent(script)}\nprint('RESULT' + json.dumps(result))\n"
    done = run_command(hub, [sys.executable, "-c", program], token, xet, None, home, environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert done.returncode == 0 and lines, f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return json.loads(lines[-1].removeprefix("RESULT"))


def raw(hub: HubServer, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
    """One request by the standard library's client; the body is read already."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, names)
    response = connection.getresponse()
    response.content = response.read()
    connection.close()
    return response


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A fresh server; the test fails when a client asked it for something that it does not know."""
    with HubServer() as server:
        yield server
        server.assert_clean()

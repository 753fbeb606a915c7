"""The server itself: HTTP on the wire, unknown routes, its state, its parts."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import DEAD_PROXY, raw, run_client
from tests.hub_server.gitignore import is_ignored
from tests.hub_server.objects import Entry
from tests.hub_server.pull_requests import merge_trees
from tests.support.commands import ROOT


def test_plain_http(hub: HubServer) -> None:
    """Headers, ranges, chunked bodies, keep-alive."""
    view = hub.create_repo("model", "kit-owner/m")
    view.commit({"t.txt": b"0123456789"})
    path = "/kit-owner/m/resolve/main/t.txt"
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)

    def ask(method: str, headers: dict[str, str] | None = None, target: str = path) -> http.client.HTTPResponse:
        connection.request(method, target, headers=headers or {})
        response = connection.getresponse()
        response.content = response.read()
        return response

    head, get = ask("HEAD"), ask("GET")
    assert head.content == b"" and get.content == b"0123456789"
    assert head.getheader("Content-Length") == get.getheader("Content-Length") == "10"
    assert get.getheader("ETag") == f'"{view.tree()["t.txt"].oid}"' and get.getheader("X-Repo-Commit") == view.head
    assert get.getheader("X-Request-Id") and get.getheader("Accept-Ranges") == "bytes"
    for wanted, content, where in (("2-4", b"234", "2-4"), ("7-", b"789", "7-9"), ("-3", b"789", "7-9")):
        part = ask("GET", {"Range": f"bytes={wanted}"})
        assert (part.status, part.content, part.getheader("Content-Range")) == (206, content, f"bytes {where}/10")
    past = ask("GET", {"Range": "bytes=10-"})
    assert past.status == 416 and past.getheader("Content-Range") == "bytes */10"
    absent = ask("GET", target="/kit-owner/m/resolve/main/absent.py")
    assert absent.status == 404 and absent.getheader("X-Error-Code") == "EntryNotFound"
    assert absent.getheader("X-Repo-Commit") == view.head
    assert ask("GET", target="/api/agent-harnesses").status == 404

    # A chunked body, an error answer, and then another request on the same connection.
    connection.request(
        "POST", "/api/validate-yaml", iter([b'{"content": "---\\nli', b'cense: 1\\n---\\n", "repoType": "model"}'])
    )
    refused = connection.getresponse()
    assert refused.status == 400 and "license" in json.loads(refused.read())["errors"][0]["message"]
    connection.request("POST", "/api/repos/create", b'{"name": "x"}')
    refused = connection.getresponse()
    assert refused.status == 401 and json.loads(refused.read())["error"]
    assert ask("GET").status == 200
    connection.close()
    assert {entry.had_authorization for entry in hub.log} == {False}


def test_drops_on_the_wire(hub: HubServer) -> None:
    """What a plain socket sees of each drop, and what the server did."""
    view = hub.create_repo("model", "kit-owner/m")
    body = b'{"tag": "NAME"}'

    def send(drop: str) -> tuple[bytes, bool]:
        hub.fault("POST", "/tag/main", drop=drop)
        content = body.replace(b"NAME", drop.encode())
        with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as connection:
            request = (
                f"POST /api/models/kit-owner/m/tag/main HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n"
                f"Authorization: Bearer {hub.owner_token}\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            received = b""
            try:
                connection.sendall(request.encode() + content)
                while chunk := connection.recv(1000):
                    received += chunk
            except ConnectionError:
                return received, True
            return received, False

    done = set()
    for drop in ("before", "mid_request", "after", "mid_response", "mid_response_fin"):
        received, reset = send(drop)
        assert reset is (drop != "mid_response_fin"), drop
        assert received.startswith(b"HTTP/1.1 201") is drop.startswith("mid_response"), (drop, received)
        if received:
            head, _, content = received.partition(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])
            assert len(content) == length // 2
        if f"refs/tags/{drop}" in view.refs:
            done.add(drop)
    assert done == {"after", "mid_response", "mid_response_fin"}
    assert [entry.drop for entry in hub.log] == ["before", "mid_request", "after", "mid_response", "mid_response_fin"]


def test_unknown_routes_are_recorded(hub: HubServer) -> None:
    for path in ("/api/models/kit-owner/m/no-such-thing", "/api/datasets/a/b/parquet"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(hub.url + path)
    assert raw(hub, "PATCH", "/api/whoami-v2").status == 404
    assert [path for _, path in hub.unrouted][-1] == "/api/whoami-v2" and len(hub.unrouted) == 3
    with pytest.raises(AssertionError, match="no-such-thing"):
        hub.assert_clean()
    hub.unrouted.clear()
    hub.fault("GET", "/api/whoami-v2", hook=lambda request: hub.store.repos.clear())
    hub.assert_clean()
    # An error of the server itself fails the test too.
    broken = hub.create_repo("model", "kit-owner/m")
    broken.record.refs["refs/heads/main"] = "f" * 40
    assert raw(hub, "GET", "/api/models/kit-owner/m").status == 500
    with pytest.raises(AssertionError, match="FileNotFoundError"):
        hub.assert_clean()
    hub.errors.clear()


def test_stopping_ends_open_connections() -> None:
    with HubServer() as hub:
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=5)
        connection.request("GET", "/api/agent-harnesses")
        connection.getresponse().read()
        folder = hub.folder
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        connection.request("GET", "/api/agent-harnesses")
        connection.getresponse()
    connection.close()


def test_run_by_hand_keeps_its_state(tmp_path: Path) -> None:
    """`python -m tests.hub_server --folder` prints two exports; a second run finds repositories and tokens again."""

    def serve() -> tuple[subprocess.Popen[str], dict[str, str]]:
        command = [sys.executable, "-m", "tests.hub_server", "--folder", str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        exports = [process.stdout.readline().strip().removeprefix("export ").split("=", 1) for _ in range(2)]
        return process, dict(exports)

    def ask(variables: dict[str, str], path: str, body: bytes | None = None) -> dict:
        headers = {"Authorization": f"Bearer {variables['HF_TOKEN']}"}
        request = urllib.request.Request(variables["HF_ENDPOINT"] + path, body, headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    process, first = serve()
    try:
        assert set(first) == {"HF_ENDPOINT", "HF_TOKEN"}
        ask(first, "/api/repos/create", b'{"name": "kept", "visibility": "private"}')
        sha = ask(first, "/api/models/kit-owner/kept")["sha"]
    finally:
        process.kill()
        process.communicate()
    process, second = serve()
    try:
        assert second["HF_TOKEN"] == first["HF_TOKEN"]
        assert ask(second, "/api/models/kit-owner/kept")["sha"] == sha
    finally:
        process.terminate()
        process.communicate()


def test_gitignore() -> None:
    content = "# note\n*.log\n/build\ncache/\n!keep.log\ndocs/**/x.txt\n[ab]?.tmp\n"
    ignored = [
        "a.log",
        "d/b.log",
        "build",
        "build/x",
        "cache/a",
        "d/cache/a",
        "docs/x.txt",
        "docs/a/b/x.txt",
        "a1.tmp",
    ]
    kept = ["keep.log", "d/build", "cache", "a.txt", "x.txt", "c1.tmp", "a.log.txt"]
    assert [path for path in [*ignored, *kept] if is_ignored(path, content)] == ignored


def test_merge_trees() -> None:
    one, two, three = (Entry.regular(text) for text in (b"1", b"2", b"3"))
    start = {"a": one, "b": one, "c": one, "d": one}
    ours = {"a": two, "b": one, "c": two, "d": one, "e": one}
    theirs = {"a": one, "b": two, "c": three, "f": one}
    merged, conflicts = merge_trees(start, ours, theirs)
    assert merged == {"a": two, "b": two, "c": two, "e": one, "f": one} and conflicts == ["c"]


def test_the_proxy_guard_stops_stray_requests(hub: HubServer) -> None:
    """A client that leaves this server fails at once instead of reaching the network."""
    result = run_client(
        hub,
        """
        result["answer"] = name_of(HfApi(endpoint="https://huggingface.co").whoami)[:1]
        result["proxy"] = os.environ["HTTPS_PROXY"]
        """,
    )
    assert result["answer"][0] in {"ConnectError", "ProxyError"} and result["proxy"] == DEAD_PROXY

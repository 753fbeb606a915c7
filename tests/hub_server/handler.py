"""HTTP: reading requests, applying faults, sending answers."""

from __future__ import annotations

import secrets
import socket
import struct
import sys
import time
import traceback
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from . import routing
from .faults import Fault
from .messages import HubError, Request, Response


if TYPE_CHECKING:
    from .server import HubServer


@dataclass(frozen=True)
class LogEntry:
    """One request; `drop` names the cut of a fault, `status` is None when no answer was begun."""

    method: str
    path: str
    status: int | None
    drop: str | None
    had_authorization: bool
    seconds: float


class Listener(ThreadingHTTPServer):
    """One thread for each connection; closing the server cuts the connections that clients keep open."""

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], hub: HubServer) -> None:
        self.hub = hub
        self.connections: set[socket.socket] = set()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """End what clients keep alive."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is part of the tests; anything else is an error of the server.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Cut(Exception):
    """The connection is closed: there is nothing more to do for this request."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        started = time.monotonic()
        hub = self.server.hub
        fault = hub.faults.strike(self.command, self.path)
        drop = fault.drop if fault else None
        try:
            response = self._answer(hub, fault)
        except _Cut:
            self._log(started, None, drop)
            return
        # Logged before it is sent: a test that has the answer finds it in the log.
        self._log(started, response.status, drop)
        self._send(response, drop)

    def _log(self, started: float, status: int | None, drop: str | None) -> None:
        had_authorization = "Authorization" in self.headers
        seconds = time.monotonic() - started
        self.server.hub.log.append(LogEntry(self.command, self.path, status, drop, had_authorization, seconds))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _answer(self, hub: HubServer, fault: Fault | None) -> Response:
        if fault is not None and fault.drop == "before":
            self._reset()
        body = self._read_body(half=fault is not None and fault.drop == "mid_request")
        if fault is not None and fault.drop == "silent":
            self._stay_silent()
            raise _Cut
        raw_path, _, query = self.path.partition("?")
        arguments = parse_qs(query, keep_blank_values=True)
        request = Request(hub, self.command, raw_path, arguments, self.headers, body)
        if fault is None:
            return self._route(request)
        time.sleep(fault.delay)
        if fault.hook is not None:
            fault.hook(request)
        if fault.status is not None and not fault.applied:
            response = Response.json({"error": "planted fault"}, fault.status)
        else:
            response = self._route(request)
            if fault.status is not None:
                response = Response.json({"error": "planted fault"}, fault.status)
        if fault.content is not None:
            response.body = fault.content
        response.headers.update(fault.headers)
        if fault.drop == "after":
            self._reset()
        return response

    def _route(self, request: Request) -> Response:
        hub = request.hub
        try:
            # The storage routes see no identity: they refuse the header altogether.
            if not request.raw_path.startswith("/storage/"):
                request.identity = hub.accounts.identify(self.headers.get("Authorization"))
            with hub.store.lock:
                response = routing.dispatch(request)
        except HubError as error:
            return error.response()
        except Exception:  # An answer tells the client, and the record fails the test.
            hub.errors.append(traceback.format_exc())
            return HubError(500, "Internal error of the test server").response()
        if response is None:
            hub.unrouted.append((self.command, self.path))
            return HubError(404, "Not Found").response()
        return response

    def _read_body(self, half: bool) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks(half)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length // 2 if half else length)
        if half:
            self._reset()
        if len(body) < length:
            self.close_connection = True
            raise _Cut
        return body

    def _read_chunks(self, half: bool) -> bytes:
        chunks: list[bytes] = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            chunks.append(self.rfile.read(size))
            if half:
                self._reset()
            self.rfile.readline()
            if size == 0:
                return b"".join(chunks)

    def _send(self, response: Response, drop: str | None) -> None:
        headers = {**response.headers, "Content-Length": str(len(response.body)), "X-Request-Id": secrets.token_hex(8)}
        self.send_response_only(response.status)
        for name, value in headers.items():
            self.send_header(name, value.encode("latin-1", "replace").decode("latin-1"))
        self.end_headers()
        body = b"" if self.command == "HEAD" else response.body
        if drop is None:
            self.wfile.write(body)
            return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        if drop == "mid_response":
            # Let the half arrive: a reset throws away what the other side has not read yet.
            time.sleep(0.2)
            self._close_hard()
        if drop == "mid_response_silent":
            self._stay_silent()
        self.close_connection = True

    def _stay_silent(self) -> None:
        """Wait until the client goes away, or the server stops."""
        self.close_connection = True
        try:
            while self.connection.recv(1 << 16):
                pass
        except OSError:
            pass

    def _close_hard(self) -> None:
        # Lingering for no time makes the close a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _reset(self) -> None:
        self._close_hard()
        raise _Cut

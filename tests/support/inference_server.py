"""An OpenAI-compatible chat server of the standard library, whose answers are known and whose faults are planted."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


WORDS = "array matrix frame column index value sort merge solve fit sample mean axis shape label series".split()


@dataclass
class Fault:
    """What goes wrong, for the first `times` requests that come: the order of the list is the order of the faults.

    `status` refuses; `body` replaces the answer's bytes; `change` edits the answer; `cut` closes the connection after
    so many bytes of the answer; `delay` waits before answering, `drip` after every byte of it. Without any of them
    the request is answered well. `sent` spares the requests whose body lacks that field.
    """

    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    change: Callable[[dict[str, Any]], None] | None = None
    cut: int | None = None
    delay: float = 0.0
    drip: float = 0.0
    sent: str | None = None


@dataclass(frozen=True)
class Seen:
    """One request: its body, its headers, when it came, and whether it was answered."""

    name: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    time: float
    answered: bool


def name_of(body: Mapping[str, Any]) -> str:
    """16 hex digits over conversation and seed; the answer bears them as its first word."""
    return hashlib.sha256(json.dumps([body["messages"], body.get("seed")]).encode()).hexdigest()[:16]


def answer_to(body: Mapping[str, Any]) -> str:
    """A known answer to each request: its name, and words drawn by it."""
    name = name_of(body)
    picked = [
        WORDS[int(digit, 16)]
        for digit in name[: min(8, body.get("max_tokens", body.get("max_completion_tokens")) - 1)]
    ]
    return " ".join([name, *picked])


class InferenceServer:
    """A server on a port of this machine.

    Args:
        delay (`float`):
            Seconds that every answer takes.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.busy = self.most_busy = 0
        # Called after each answered request with the number of answers, outside of the lock.
        self.on_answer: Callable[[int], None] = lambda number: None
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._http.owner = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> "InferenceServer":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def answered(self) -> list[str]:
        """Names of the requests that were answered well, in their order."""
        return [one.name for one in self.seen if one.answered]

    @property
    def tokens(self) -> int:
        """Tokens read and written in all answers, as their `usage` said."""
        return sum(usage(one.body)["total_tokens"] for one in self.seen if one.answered)

    def next_fault(self, body: Mapping[str, Any]) -> Fault:
        """What happens to the request that has just come."""
        if not self.faults:
            return Fault()
        fault = self.faults[0]
        if fault.sent is not None and fault.sent not in body:
            return Fault()
        fault.times -= 1
        if fault.times == 0:
            self.faults.pop(0)
        return fault


def usage(body: Mapping[str, Any]) -> dict[str, int]:
    """Tokens are words here."""
    read = sum(len(message["content"].split()) for message in body["messages"])
    written = len(answer_to(body).split())
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def in_seconds(seconds: float) -> str:
    """A `Retry-After` date."""
    return formatdate(time.time() + seconds, usegmt=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: apart they wait 40 ms for one another.
    wbufsize = -1

    def do_POST(self) -> None:
        server: InferenceServer = self.server.owner  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.lock:
            fault = server.next_fault(body)
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
        well = fault == Fault(fault.times, delay=fault.delay)
        came = time.time()
        time.sleep(server.delay + fault.delay)
        with server.lock:
            server.seen.append(Seen(name_of(body), body, dict(self.headers), came, well))
            server.busy -= 1
            number = len(server.answered)
        if self.path != "/v1/chat/completions":
            self.send(404, b'{"error": {"message": "no such path"}}', {})
        elif fault.status is not None:
            said = fault.body or json.dumps({"error": {"message": f"planted {fault.status}"}}).encode()
            self.send(fault.status, said, fault.headers)
        else:
            answer = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": answer_to(body)},
                        "finish_reason": "stop",
                    }
                ],
                "usage": usage(body),
            }
            if fault.change is not None:
                fault.change(answer)
            self.send(200, fault.body or json.dumps(answer).encode(), fault.headers, fault.cut, fault.drip)
        if well:
            server.on_answer(number)

    def send(
        self, status: int, content: bytes, headers: Mapping[str, str], cut: int | None = None, drip: float = 0.0
    ) -> None:
        try:
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            for byte in content if drip else b"":
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(drip)
            self.wfile.write(b"" if drip else content[:cut])
            self.wfile.flush()
        except OSError:  # The client was killed, or has lost its patience.
            self.close_connection = True
        if cut is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test looks at `seen`."""

"""Refuses files and long bodies before the app reads them."""

from typing import Any


# Of a query there are at most 4,000 characters; gradio's own envelope is small.
MOST_BYTES = 64 * 2**10


class Door:
    """Stands before the server: no route takes files, and no body is longer than 64 KB.

    Args:
        app (`Callable`):
            The server behind it (ASGI).
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 404 or 413 where something is refused; let everything else pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].rstrip("/").endswith("/upload"):
            await _refuse(send, 404, b"this app takes no files")
        else:
            read = await _read(receive)
            if read is None:
                await _refuse(send, 413, b"a request has at most 64 KB")
            else:
                await self.app(scope, _again(read, receive), send)


async def _read(receive: Any) -> list[Any] | None:
    """The messages of a body, or `None` where it is too long: no more is read than that takes."""
    read, size = [], 0
    while True:
        message = await receive()
        read.append(message)
        size += len(message.get("body", b""))
        if size > MOST_BYTES:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return read


def _again(read: list[Any], receive: Any) -> Any:
    async def receiving() -> Any:
        return read.pop(0) if read else await receive()

    return receiving


async def _refuse(send: Any, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})

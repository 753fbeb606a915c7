"""Refuses files and long bodies before the app reads them."""

from typing import Any


# Of a query there are at most 4,000 characters; gradio's own envelope is small.
MOST_BYTES = 64 * 2**10
MOST_FILE_BYTES = 5 * 2**20


class Door:
    """Stands before the server: a file has at most 5 MB, where files are taken at all, any other body 64 KB.

    Args:
        app (`Callable`):
            The server behind it (ASGI).
        takes_files (`bool`, *optional*, defaults to `False`):
            Whether one of the page's controls asks for files.
    """

    def __init__(self, app: Any, takes_files: bool = False) -> None:
        self.app = app
        self.takes_files = takes_files

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 404 or 413 where something is refused; let everything else pass."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_file = scope["path"].rstrip("/").endswith("/upload")
        if is_file and not self.takes_files:
            await _refuse(send, 404, b"this app takes no files")
            return
        # Around a file stand its name and its borders.
        read = await _read(receive, MOST_FILE_BYTES + MOST_BYTES if is_file else MOST_BYTES)
        if read is None:
            await _refuse(send, 413, b"a file has at most 5 MB" if is_file else b"a request has at most 64 KB")
        else:
            await self.app(scope, _again(read, receive), send)


async def _read(receive: Any, most: int) -> list[Any] | None:
    """The messages of a body, or `None` where it is longer than `most` bytes: no more is read than that takes."""
    read, size = [], 0
    while True:
        message = await receive()
        read.append(message)
        size += len(message.get("body", b""))
        if size > most:
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

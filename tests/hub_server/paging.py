"""Lists in pages: the next one is named by a `Link` header."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from .messages import HubError, Request, Response


def page(request: Request, items: list[Any], size: int) -> Response:
    """One page of a list. The server's `page_size` makes pages small, so that tests need few files for several."""
    size = request.hub.page_size or size
    limit, cursor = request.argument("limit"), request.argument("cursor", "0")
    if not cursor.isdigit() or (limit and not limit.isdigit()):
        raise HubError(400, "Invalid cursor or limit")
    start, count = int(cursor), max(1, min(size, int(limit or size)))
    headers = {}
    if start + count < len(items):
        query = {**request.query, "cursor": [str(start + count)]}
        headers["Link"] = f'<{request.base}{request.raw_path}?{urlencode(query, doseq=True)}>; rel="next"'
    return Response.json(items[start : start + count], headers=headers)

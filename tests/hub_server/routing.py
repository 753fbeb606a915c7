"""The table of routes.

Paths are matched while still percent-encoded and the captures decoded afterwards: revisions (`refs%2Fpr%2F1`) and tree
paths (`a%2Fb`) arrive as one segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from .messages import Request, Response


Handler = Callable[..., Response]

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}

_PIECES = {
    "kind": "(?P<kind>models|datasets|spaces)",
    "prefix": "(?P<kind>datasets/|spaces/|)",
    "repo": "(?P<repo_id>[^/]+/[^/]+)",
    # Old repositories have no namespace; the clients probe such ids, and "not found" is the right answer.
    "any_repo": "(?P<repo_id>[^/]+(?:/[^/]+)?)",
    "git_repo": r"(?P<repo_id>[^/]+/[^/]+)\.git",
}

_routes: list[tuple[str, re.Pattern[str], Handler]] = []


def route(methods: str, template: str) -> Callable[[Handler], Handler]:
    """Register a handler. `{name}` captures one segment, `{name*}` the rest of the path."""

    def piece(match: re.Match[str]) -> str:
        name = match[1]
        if name in _PIECES:
            return _PIECES[name]
        return f"(?P<{name[:-1]}>.+)" if name.endswith("*") else f"(?P<{name}>[^/]+)"

    pattern = re.compile(re.sub(r"\{([a-z0-9_]+\*?)\}", piece, template.replace(".", r"\.")))

    def register(handler: Handler) -> Handler:
        _routes.extend((method, pattern, handler) for method in methods.split())
        return handler

    return register


def find(method: str, raw_path: str) -> tuple[Handler, dict[str, str]] | None:
    """The first route that matches, with its decoded captures. HEAD is answered by GET's route."""
    wanted = "GET" if method == "HEAD" else method
    for candidate, pattern, handler in _routes:
        match = pattern.fullmatch(raw_path) if candidate == wanted else None
        if match:
            captures = {name: unquote(value) for name, value in match.groupdict().items()}
            if "kind" in captures:
                captures["kind"] = KINDS.get(captures["kind"].rstrip("/"), "model")
            return handler, captures
    return None


def dispatch(request: Request) -> Response | None:
    """Answer a request, or None when no route knows it."""
    found = find(request.method, request.raw_path)
    return found[0](request, **found[1]) if found else None

"""Requests, answers and errors, as the routes see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .auth import Identity
    from .server import HubServer


def now() -> str:
    """This moment as the Hub writes dates."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass
class Response:
    """One answer; the handler adds the length and the request id."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """An answer whose body is JSON."""
        merged = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        return cls(status, json.dumps(payload).encode(), merged)


class HubError(Exception):
    """An answer that says no: status, message, and the code that the client maps to an exception class."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.extra = status, message, code, extra
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The error as an answer."""
        headers = {**self.headers, "X-Error-Message": " ".join(self.message.split())}
        if self.code:
            headers["X-Error-Code"] = self.code
        return Response.json({"error": self.message, **self.extra}, self.status, headers)


def revision_not_found(revision: str) -> HubError:
    """The answer to an unknown branch, tag or commit."""
    return HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(message: str, commit: str) -> HubError:
    """The answer to an unknown file or folder of a known commit."""
    return HubError(404, message, "EntryNotFound", {"X-Repo-Commit": commit})


@dataclass
class Request:
    """One request, its body already read."""

    hub: HubServer
    method: str
    raw_path: str
    query: dict[str, list[str]]
    headers: Message
    body: bytes = b""
    identity: Identity | None = None

    @property
    def base(self) -> str:
        """The origin that the client used: a url on another host is refused by the client."""
        return f"http://{self.headers.get('Host', self.hub.address)}"

    @property
    def storage_base(self) -> str:
        """The same server under its other name, so that a redirect to storage leaves the Hub's origin."""
        host, _, port = self.headers.get("Host", self.hub.address).partition(":")
        return f"http://{'127.0.0.1' if host == 'localhost' else 'localhost'}:{port}"

    def argument(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return self.query.get(name, [default])[-1]

    def flag(self, name: str) -> bool:
        """Whether a query parameter is set to something true."""
        return self.argument(name).lower() in {"1", "true"}

    def json(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        try:
            payload = json.loads(self.body or b"{}")
        except ValueError:
            raise HubError(400, "The body is not valid JSON") from None
        if not isinstance(payload, dict):
            raise HubError(400, "The body must be a JSON object")
        return payload

    def text(self, payload: Mapping[str, Any], key: str) -> str:
        """A mandatory, non-empty string of a JSON body."""
        value = payload.get(key)
        if not isinstance(value, str) or not value:
            raise HubError(400, f'"{key}" must be a non-empty string')
        return value

"""Spaces: runtime, hardware, secrets and variables. Nothing is built or run."""

from __future__ import annotations

import re

from . import auth
from .info import runtime
from .messages import HubError, Request, Response, now
from .repos import Repo
from .routing import route


def _owned(request: Request, repo_id: str) -> Repo:
    repo = auth.find_repo(request, "space", repo_id)
    auth.require_write(request, repo)
    return repo


def _runtime(request: Request, repo: Repo) -> Response:
    return Response.json(runtime(request.hub.store, repo))


@route("GET", "/api/spaces/{repo}/runtime")
def get_runtime(request: Request, repo_id: str) -> Response:
    return _runtime(request, auth.find_repo(request, "space", repo_id))


@route("POST", "/api/spaces/{repo}/restart")
def restart(request: Request, repo_id: str) -> Response:
    return _set_paused(request, repo_id, False)


@route("POST", "/api/spaces/{repo}/pause")
def pause(request: Request, repo_id: str) -> Response:
    return _set_paused(request, repo_id, True)


def _set_paused(request: Request, repo_id: str, paused: bool) -> Response:
    repo = _owned(request, repo_id)
    if repo.sdk == "static":
        raise HubError(400, "A static Space is always running")
    repo.paused = paused
    request.hub.store.save()
    return _runtime(request, repo)


@route("POST", "/api/spaces/{repo}/hardware")
def hardware(request: Request, repo_id: str) -> Response:
    repo = _owned(request, repo_id)
    payload = request.json()
    repo.hardware = request.text(payload, "flavor")
    repo.sleep_time = payload.get("sleepTimeSeconds", repo.sleep_time)
    request.hub.store.save()
    return _runtime(request, repo)


@route("GET POST DELETE", "/api/spaces/{repo}/secrets")
def secrets(request: Request, repo_id: str) -> Response:
    repo = _owned(request, repo_id)
    _change(request, repo.secrets)
    shown = {key: {name: text for name, text in item.items() if name != "value"} for key, item in repo.secrets.items()}
    return Response.json(shown)


@route("GET POST DELETE", "/api/spaces/{repo}/variables")
def variables(request: Request, repo_id: str) -> Response:
    repo = _owned(request, repo_id)
    _change(request, repo.variables)
    return Response.json({key: {"key": key, **item} for key, item in repo.variables.items()})


def _change(request: Request, values: dict[str, dict[str, str]]) -> None:
    if request.method in {"GET", "HEAD"}:
        return
    payload = request.json()
    key = request.text(payload, "key")
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", key):
        raise HubError(400, f"Invalid name: {key!r}")
    if request.method == "DELETE":
        if values.pop(key, None) is None:
            raise HubError(404, f"No such key: {key}")
    else:
        value = payload.get("value")
        if not isinstance(value, str):
            raise HubError(400, "value must be a string")
        values[key] = {"value": value, "description": payload.get("description") or "", "updatedAt": now()}
    request.hub.store.save()

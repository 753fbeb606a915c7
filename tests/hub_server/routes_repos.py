"""Accounts and repositories: who am I, create, delete, move, settings, information, lists."""

from __future__ import annotations

from typing import Any

from . import auth
from .cards import SDKS, validate
from .info import repo_info
from .messages import HubError, Request, Response, revision_not_found
from .paging import page
from .repos import MAIN, Repo, check_repo_name
from .routing import PREFIXES, route


@route("GET", "/api/whoami-v2")
def whoami(request: Request) -> Response:
    identity = request.identity
    if identity is None:
        raise HubError(401, "Invalid username or password.")
    orgs = [
        {"type": "org", "id": f"org-{name}", "name": name, "fullname": name, "roleInOrg": role, "isEnterprise": False}
        for name, role in identity.orgs.items()
    ]
    token = {"displayName": f"{identity.role} token", "role": identity.role, "createdAt": "2024-01-01T00:00:00.000Z"}
    return Response.json(
        {
            "type": "user",
            "id": f"user-{identity.user}",
            "name": identity.user,
            "fullname": identity.user,
            "email": f"{identity.user}@example.org",
            "emailVerified": True,
            "isPro": False,
            "canPay": False,
            "orgs": orgs,
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


@route("GET", "/api/agent-harnesses")
def agent_harnesses(request: Request) -> Response:
    # The client asks once for each cache folder and takes "not found" for "none".
    raise HubError(404, "Not Found")


@route("POST", "/api/validate-yaml")
def validate_yaml(request: Request) -> Response:
    payload = request.json()
    kind = payload.get("repoType")
    if not isinstance(payload.get("content"), str) or kind not in PREFIXES:
        raise HubError(400, "content and repoType are required", errors=[{"message": "content and repoType"}])
    errors, warnings = validate(payload["content"], kind)
    answer: dict[str, Any] = {
        "errors": [{"message": message} for message in errors],
        "warnings": [{"message": message} for message in warnings],
    }
    if errors:
        raise HubError(400, "Invalid metadata in README.md", **answer)
    return Response.json(answer)


def _named(request: Request, payload: dict[str, Any]) -> tuple[str, str]:
    """The type and the id that a create or delete request names; without an organisation it is one's own."""
    kind = payload.get("type") or "model"
    if kind not in PREFIXES:
        raise HubError(400, f"Invalid repo type: {kind}")
    namespace = payload.get("organization") or auth.require_write_token(request).user
    return kind, f"{namespace}/{request.text(payload, 'name')}"


@route("POST", "/api/repos/create")
def create(request: Request) -> Response:
    payload = request.json()
    kind, repo_id = _named(request, payload)
    namespace, name = repo_id.split("/", 1)
    check_repo_name(name)
    identity = auth.require_namespace(request, namespace)
    visibility = payload.get("visibility", "public")
    if visibility not in {"public", "private"}:
        raise HubError(400, f"Invalid visibility: {visibility}")
    url = f"{request.base}/{PREFIXES[kind]}{repo_id}"
    if (kind, repo_id) in request.hub.store.repos:
        raise HubError(409, f"You already created this {kind} repo: {repo_id}", url=url)
    if kind == "space" and payload.get("sdk") not in SDKS:
        raise HubError(400, f"Invalid Space SDK, must be one of {', '.join(SDKS)}")
    sdk = payload.get("sdk") if kind == "space" else None
    repo = request.hub.store.create(kind, repo_id, identity.user, visibility == "private", sdk)
    if kind == "space":
        repo.hardware = payload.get("hardware") or repo.hardware
        repo.sleep_time = payload.get("sleepTimeSeconds")
        for key, target in (("secrets", repo.secrets), ("variables", repo.variables)):
            for item in payload.get(key) or []:
                target[item["key"]] = {"value": item["value"], "description": item.get("description", "")}
                target[item["key"]]["updatedAt"] = repo.createdAt
        request.hub.store.save()
    return Response.json({"url": url, "name": repo_id, "id": repo.uid})


@route("DELETE", "/api/repos/delete")
def delete(request: Request) -> Response:
    kind, repo_id = _named(request, request.json())
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_write(request, repo)
    request.hub.store.delete(repo)
    return Response.json({})


@route("POST", "/api/repos/move")
def move(request: Request) -> Response:
    payload = request.json()
    kind, old, new = payload.get("type") or "model", request.text(payload, "fromRepo"), request.text(payload, "toRepo")
    repo = auth.find_repo(request, kind, old)
    auth.require_write(request, repo)
    namespace, _, name = new.partition("/")
    check_repo_name(name)
    auth.require_namespace(request, namespace)
    if (kind, new) in request.hub.store.repos:
        raise HubError(409, f"{new} already exists")
    request.hub.store.move(repo, new)
    return Response.json({})


@route("PUT", "/api/{kind}/{repo}/settings")
def settings(request: Request, kind: str, repo_id: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_write(request, repo)
    payload = request.json()
    if not payload or set(payload) - {"visibility", "gated"}:
        raise HubError(400, f"Unknown settings: {sorted(payload)}")
    if payload.get("visibility", "public") not in {"public", "private"}:
        raise HubError(400, f"Invalid visibility: {payload['visibility']}")
    if payload.get("gated", False) not in ("auto", "manual", False):
        raise HubError(400, f"Invalid gated value: {payload['gated']}")
    if "visibility" in payload:
        repo.private = payload["visibility"] == "private"
    repo.gated = payload.get("gated", repo.gated)
    request.hub.store.save()
    return Response.json({"private": repo.private, "gated": repo.gated})


def _info(request: Request, repo: Repo, revision: str) -> Response:
    commit = repo.resolve(revision)
    if commit is None:
        raise revision_not_found(revision)
    info = repo_info(request, repo, request.hub.store.commit(commit), request.flag("blobs"))
    wanted = [*request.query.get("expand", []), *request.query.get("expand[]", [])]
    if wanted:
        info = {key: value for key, value in info.items() if key in {"_id", "id", *wanted}}
    return Response.json(info)


@route("GET", "/api/{kind}/{any_repo}/revision/{revision}")
def info_at(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    return _info(request, auth.find_repo(request, kind, repo_id), revision)


@route("GET", "/api/{kind}/{repo}/auth-check")
def auth_check(request: Request, kind: str, repo_id: str) -> Response:
    auth.require_download(request, auth.find_repo(request, kind, repo_id))
    return Response.json({})


@route("GET", "/api/{kind}/{repo}/auth-check/write")
def auth_check_write(request: Request, kind: str, repo_id: str) -> Response:
    auth.require_write(request, auth.find_repo(request, kind, repo_id))
    return Response.json({})


@route("GET", "/api/{kind}")
def list_repos(request: Request, kind: str) -> Response:
    author, search = request.argument("author"), request.argument("search").lower()
    store = request.hub.store
    repos = [
        repo
        for (found, _), repo in sorted(store.repos.items())
        if found == kind and auth.is_visible(repo, request.identity)
        if author in {"", repo.namespace} and search in repo.id.lower()
    ]
    return page(request, [repo_info(request, repo, store.commit(repo.refs[MAIN])) for repo in repos], 1000)


@route("GET", "/api/{kind}/{any_repo}")
def info(request: Request, kind: str, repo_id: str) -> Response:
    return _info(request, auth.find_repo(request, kind, repo_id), "main")

"""Collections of repositories."""

from __future__ import annotations

import re
import secrets
from typing import Any

from . import auth
from .messages import HubError, Request, Response, now
from .paging import page
from .routing import route


THEMES = ("orange", "blue", "green", "purple", "pink", "indigo")
REPO_TYPES = {"model", "dataset", "space"}


def _slugify(title: str) -> str:
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "collection"


def _visible(request: Request, collection: dict[str, Any]) -> bool:
    identity = request.identity
    return not collection["private"] or (identity is not None and identity.owns(collection["namespace"]) is not None)


def _find(request: Request, namespace: str, name: str, write: bool = False) -> dict[str, Any]:
    # The 24 digits at the end identify a collection; the words before them follow its title.
    for collection in request.hub.store.collections.values():
        if collection["namespace"] == namespace and name.endswith(collection["id"]) and _visible(request, collection):
            if write:
                auth.require_namespace(request, namespace)
            return collection
    raise HubError(404, f"Collection not found: {namespace}/{name}")


def _answer(request: Request, collection: dict[str, Any], most: int | None = None) -> dict[str, Any]:
    repos = request.hub.store.repos
    items: list[dict[str, Any]] = []
    for item in collection["items"]:
        repo = repos.get((item["type"], item["id"]))
        # What the visitor may not see is not there, nor what was deleted since.
        if item["type"] not in REPO_TYPES or (repo is not None and auth.is_visible(repo, request.identity)):
            items.append({**item, "position": len(items)})
    hidden = {"id", "namespace"}
    answer = {key: value for key, value in collection.items() if key not in hidden}
    owner = collection["namespace"]
    kind = "user" if owner in request.hub.accounts.users else "org"
    return {**answer, "owner": {"name": owner, "type": kind}, "items": items[:most]}


@route("GET", "/api/collections")
def list_collections(request: Request) -> Response:
    owner, item = request.argument("owner"), request.argument("item")
    found = []
    for collection in request.hub.store.collections.values():
        names = {f"{entry['type']}s/{entry['id']}" for entry in collection["items"]}
        if _visible(request, collection) and owner in {"", collection["namespace"]} and item in {"", *names}:
            # The client numbers the collections of a list itself; a list shows at most four items of each.
            answer = _answer(request, collection, most=4)
            del answer["position"]
            found.append(answer)
    return page(request, found, 100)


def _check_lengths(payload: dict[str, Any]) -> None:
    if len(payload.get("title") or "") > 60 or len(payload.get("description") or "") > 150:
        raise HubError(400, "A title has at most 60 characters, a description at most 150")


@route("POST", "/api/collections")
def create(request: Request) -> Response:
    payload = request.json()
    namespace, title = request.text(payload, "namespace"), request.text(payload, "title")
    auth.require_namespace(request, namespace)
    _check_lengths(payload)
    collections = request.hub.store.collections
    for collection in collections.values():
        if (collection["namespace"], collection["title"]) == (namespace, title):
            raise HubError(409, "This collection already exists", slug=collection["slug"])
    identifier = secrets.token_hex(12)
    collections[identifier] = {
        "id": identifier,
        "namespace": namespace,
        "slug": f"{namespace}/{_slugify(title)}-{identifier}",
        "title": title,
        "description": payload.get("description"),
        "private": payload.get("private") is True,
        "items": [],
        "lastUpdated": now(),
        "position": sum(found["namespace"] == namespace for found in collections.values()),
        "theme": THEMES[0],
        "upvotes": 0,
    }
    request.hub.store.save()
    return Response.json(_answer(request, collections[identifier]))


@route("GET", "/api/collections/{namespace}/{name}")
def get(request: Request, namespace: str, name: str) -> Response:
    return Response.json(_answer(request, _find(request, namespace, name)))


@route("PATCH", "/api/collections/{namespace}/{name}")
def update(request: Request, namespace: str, name: str) -> Response:
    collection, payload = _find(request, namespace, name, write=True), request.json()
    if set(payload) - {"title", "description", "private", "position", "theme"}:
        raise HubError(400, f"Unknown fields: {sorted(payload)}")
    if payload.get("theme", THEMES[0]) not in THEMES:
        raise HubError(400, f"Unknown theme: {payload['theme']}")
    if not isinstance(payload.get("private", False), bool):
        raise HubError(400, '"private" must be true or false')
    _check_lengths(payload)
    collection |= payload
    collection["slug"] = f"{namespace}/{_slugify(collection['title'])}-{collection['id']}"
    collection["lastUpdated"] = now()
    request.hub.store.save()
    return Response.json({"success": True, "data": _answer(request, collection)})


@route("DELETE", "/api/collections/{namespace}/{name}")
def delete(request: Request, namespace: str, name: str) -> Response:
    collection = _find(request, namespace, name, write=True)
    del request.hub.store.collections[collection["id"]]
    request.hub.store.save()
    return Response.json({"success": True})


def _note(text: Any) -> dict[str, str]:
    if not isinstance(text, str) or len(text) > 500:
        raise HubError(400, "A note is a text of at most 500 characters")
    return {"html": text, "text": text}


@route("POST", "/api/collections/{namespace}/{name}/items")
def add_item(request: Request, namespace: str, name: str) -> Response:
    collection, payload = _find(request, namespace, name, write=True), request.json()
    item = payload.get("item")
    if not isinstance(item, dict) or item.get("type") not in REPO_TYPES | {"paper", "collection"}:
        raise HubError(400, f"Invalid item: {item}")
    kind, item_id = item["type"], request.text(item, "id")
    if kind in REPO_TYPES:
        auth.find_repo(request, kind, item_id)
    if any((found["type"], found["id"]) == (kind, item_id) for found in collection["items"]):
        raise HubError(409, "This item is already in the collection")
    entry = {"_id": secrets.token_hex(12), "id": item_id, "type": kind}
    if payload.get("note") is not None:
        entry["note"] = _note(payload["note"])
    collection["items"].append(entry)
    collection["lastUpdated"] = now()
    request.hub.store.save()
    return Response.json(_answer(request, collection))


def _item(collection: dict[str, Any], item_id: str) -> dict[str, Any]:
    for item in collection["items"]:
        if item["_id"] == item_id:
            return item
    raise HubError(404, "Item not found")


@route("PATCH", "/api/collections/{namespace}/{name}/items/{item_id}")
def update_item(request: Request, namespace: str, name: str, item_id: str) -> Response:
    collection, payload = _find(request, namespace, name, write=True), request.json()
    item = _item(collection, item_id)
    if "note" in payload:
        item["note"] = _note(payload["note"])
    if isinstance(payload.get("position"), int):
        collection["items"].remove(item)
        collection["items"].insert(payload["position"], item)
    request.hub.store.save()
    return Response.json({"success": True})


@route("DELETE", "/api/collections/{namespace}/{name}/items/{item_id}")
def delete_item(request: Request, namespace: str, name: str, item_id: str) -> Response:
    collection = _find(request, namespace, name, write=True)
    collection["items"].remove(_item(collection, item_id))
    request.hub.store.save()
    return Response.json({"success": True})

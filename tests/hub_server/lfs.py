"""Large files by the LFS protocol: batch, single upload, multipart upload, verification.

The upload addresses are on the storage host and carry their own secret; a request there that shows the Hub's token is
an error of the client, and refused.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import auth
from .messages import HubError, Request, Response
from .objects import write_sparse
from .routing import PREFIXES, route


CONTENT_TYPE = "application/vnd.git-lfs+json"


@dataclass
class Upload:
    """An upload that a batch answer allowed."""

    repo: tuple[str, str]
    oid: str
    size: int
    chunk: int = 0
    # Number of a part → its md5. The parts lie in a file, and are hashed as far as they came in their order.
    parts: dict[int, str] = field(default_factory=dict)
    digest: Any = field(default_factory=hashlib.sha256)
    hashed: int = 0


def refuse_token(request: Request) -> None:
    """Storage must never see the Hub's token."""
    if request.headers.get("Authorization") is not None:
        raise HubError(400, "Only one auth mechanism allowed: storage takes no Authorization header")


@route("POST", "/{prefix}{git_repo}/info/lfs/objects/batch")
def batch(request: Request, kind: str, repo_id: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    payload = request.json()
    ref = payload.get("ref")
    if ref is None:
        # The client leaves the ref out when it means to open a pull request.
        auth.require_proposal(request, repo)
    else:
        auth.require_write(request, repo, ref.get("name"))
    objects = payload.get("objects")
    if payload.get("operation") != "upload" or payload.get("hash_algo", "sha256") != "sha256":
        raise HubError(400, "Only uploads by sha256 are known here")
    if not isinstance(objects, list) or CONTENT_TYPE not in request.headers.get("Accept", ""):
        raise HubError(400, f"Send a list of objects and accept {CONTENT_TYPE}")
    multipart = "multipart" in payload.get("transfers", ["basic"])
    answers = [_batch_object(request, repo.type, repo.id, item, multipart) for item in objects]
    return Response.json({"transfer": "basic", "objects": answers}, headers={"Content-Type": CONTENT_TYPE})


def _batch_object(request: Request, kind: str, repo_id: str, item: dict[str, Any], multipart: bool) -> dict[str, Any]:
    hub, (oid, size) = request.hub, (item.get("oid"), item.get("size"))
    answer = {"oid": oid, "size": size}
    if not isinstance(oid, str) or not re.fullmatch("[0-9a-f]{64}", oid) or not isinstance(size, int) or size < 1:
        return {**answer, "error": {"code": 422, "message": "Invalid object"}}
    known = hub.store.repos[kind, repo_id].objects
    if known.get(oid) == size and oid in hub.store.objects:
        return answer
    key = secrets.token_urlsafe(24)
    upload = Upload((kind, repo_id), oid, size)
    hub.uploads[key] = upload
    storage = f"{request.storage_base}/storage/upload/{key}"
    action: dict[str, Any] = {"href": storage, "header": {}}
    if multipart and size > hub.chunk_size:
        upload.chunk = hub.chunk_size
        count = -(-size // upload.chunk)
        urls = {str(number): f"{storage}/{number}" for number in range(1, count + 1)}
        action = {"href": f"{request.base}/lfs/complete/{key}", "header": {"chunk_size": str(upload.chunk), **urls}}
    verify = {"href": f"{request.base}/{PREFIXES[kind]}{repo_id}.git/info/lfs/verify", "header": {}}
    return {**answer, "actions": {"upload": action, "verify": verify}}


def _upload(request: Request, key: str) -> Upload:
    upload = request.hub.uploads.get(key)
    if upload is None:
        raise HubError(403, "Request has expired")
    return upload


def _require_whole(upload: Upload, sha256: str, size: int) -> None:
    if sha256 != upload.oid or size != upload.size:
        raise HubError(400, f"The content is not that of {upload.oid}")


def _stored(request: Request, upload: Upload) -> None:
    store = request.hub.store
    repo = store.repos.get(upload.repo)
    if repo is not None:
        repo.objects[upload.oid] = upload.size
        store.save()


@route("PUT", "/storage/upload/{key}")
def put(request: Request, key: str) -> Response:
    refuse_token(request)
    upload = _upload(request, key)
    if upload.chunk:
        raise HubError(403, "This upload is made in parts")
    _require_whole(upload, hashlib.sha256(request.body).hexdigest(), len(request.body))
    request.hub.store.objects.put(request.body)
    _stored(request, upload)
    return Response(200)


@route("PUT", "/storage/upload/{key}/{number}")
def put_part(request: Request, key: str, number: str) -> Response:
    refuse_token(request)
    upload = _upload(request, key)
    if not upload.chunk or not number.isdigit() or not 1 <= int(number) <= -(-upload.size // upload.chunk):
        raise HubError(403, "Unknown part")
    offset = (int(number) - 1) * upload.chunk
    write_sparse(request.hub.store.objects.begin(key), offset, request.body)
    if offset == upload.hashed:
        upload.digest.update(request.body)
        upload.hashed += len(request.body)
    elif offset < upload.hashed:  # Once more, and perhaps not the same.
        upload.hashed = -1
    upload.parts[int(number)] = hashlib.md5(request.body).hexdigest()
    return Response(200, headers={"ETag": f'"{upload.parts[int(number)]}"'})


@route("POST", "/lfs/complete/{key}")
def complete(request: Request, key: str) -> Response:
    upload, payload = _upload(request, key), request.json()
    expected = [{"partNumber": number, "etag": f'"{md5}"'} for number, md5 in sorted(upload.parts.items())]
    if payload.get("oid") != upload.oid or payload.get("parts") != expected:
        raise HubError(400, "The parts are not those that were uploaded")
    objects = request.hub.store.objects
    path = objects.begin(key)
    _require_whole(upload, _hash_of(upload, path), path.stat().st_size)
    objects.take(path, upload.oid)
    _stored(request, upload)
    upload.parts.clear()
    return Response.json({"success": True}, headers={"Content-Type": CONTENT_TYPE})


def _hash_of(upload: Upload, path: Path) -> str:
    if upload.hashed == upload.size:
        return str(upload.digest.hexdigest())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@route("POST", "/{prefix}{git_repo}/info/lfs/verify")
def verify(request: Request, kind: str, repo_id: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_write_token(request)
    payload = request.json()
    oid = request.text(payload, "oid")
    if repo.objects.get(oid) != payload.get("size") or oid not in request.hub.store.objects:
        raise HubError(404, f"Object {oid} of that size is not stored")
    return Response.json({}, headers={"Content-Type": CONTENT_TYPE})

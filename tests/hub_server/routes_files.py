"""Downloads: from the repository, and from storage, where large files are redirected to."""

from __future__ import annotations

import hashlib
import hmac
import mimetypes
import re
import time
from urllib.parse import quote

from . import auth
from .lfs import refuse_token
from .messages import HubError, Request, Response, entry_not_found
from .repos import Repo
from .routes_tree import at
from .routing import KINDS, route


def _signature(request: Request, sha256: str, expiry: str) -> str:
    key = request.hub.store.secret.encode()
    return hmac.new(key, f"{sha256}:{expiry}".encode(), hashlib.sha256).hexdigest()


def _bytes(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    """A content, or the range of it that was asked for."""
    headers = {**headers, "Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", "").strip())
    if match is None or match.group(0) == "bytes=-":
        return Response(200, content, headers)
    first, last = match.groups()
    size = len(content)
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or start > end:
        raise HubError(416, "Requested range not satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return Response(206, content[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{size}"})


@route("GET", "/{prefix}{any_repo}/resolve/{revision}/{path*}")
def resolve(request: Request, kind: str, repo_id: str, revision: str, path: str) -> Response:
    repo, commit = at(request, kind, repo_id, revision)
    auth.require_download(request, repo)
    entry = commit.tree.get(path)
    if entry is None:
        raise entry_not_found("Entry not found", commit.id)
    name = quote(path.rsplit("/", 1)[-1])
    headers = {
        "X-Repo-Commit": commit.id,
        "ETag": f'"{entry.upload_oid}"',
        "Content-Type": mimetypes.guess_type(path)[0] or "application/octet-stream",
        "Content-Disposition": f"inline; filename*=UTF-8''{name}",
    }
    if not entry.lfs:
        return _bytes(request, request.hub.store.objects.read(entry.sha256), headers)
    expiry = str(int(time.time()) + 3600)
    signature = _signature(request, entry.sha256, expiry)
    location = f"{request.storage_base}/storage/blob/{entry.sha256}?Expires={expiry}&Signature={signature}"
    headers |= {
        "X-Linked-Etag": f'"{entry.sha256}"',
        "X-Linked-Size": str(entry.size),
        "Accept-Ranges": "bytes",
        "Location": location,
        **_xet_headers(request, repo, commit.id, entry.sha256),
    }
    return Response(302, f"Found. Redirecting to {location}".encode(), headers)


def _xet_headers(request: Request, repo: Repo, commit: str, sha256: str) -> dict[str, str]:
    file = request.hub.xet.find(repo, sha256)
    if file is None:
        return {}
    plural = {kind: name for name, kind in KINDS.items()}[repo.type]
    route_ = f"{request.base}/api/{plural}/{repo.id}/xet-read-token/{commit}?hash={file.xet_hash}"
    return {"X-Xet-Hash": file.xet_hash, "X-Xet-Refresh-Route": route_}


@route("GET", "/storage/blob/{sha256}")
def blob(request: Request, sha256: str) -> Response:
    refuse_token(request)
    expiry = request.argument("Expires", "0")
    good = hmac.compare_digest(_signature(request, sha256, expiry), request.argument("Signature"))
    if not good or not expiry.isdigit() or int(expiry) < time.time():
        raise HubError(403, "Access denied")
    objects = request.hub.store.objects
    if sha256 not in objects:
        raise HubError(404, "No such object")
    return _bytes(request, objects.read(sha256), {"ETag": f'"{sha256}"', "Content-Type": "application/octet-stream"})

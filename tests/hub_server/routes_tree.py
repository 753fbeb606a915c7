"""Reading a repository: tree, paths, refs, commits; and its branches and tags."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from . import auth
from .info import file_object, folder_object, folders_of, last_commits, listing
from .messages import HubError, Request, Response, entry_not_found, revision_not_found
from .paging import page
from .repos import MAIN, Commit, Repo, check_ref_name
from .routing import route


def at(request: Request, kind: str, repo_id: str, revision: str) -> tuple[Repo, Commit]:
    """A visible repository and its commit at a revision."""
    repo = auth.find_repo(request, kind, repo_id)
    commit = repo.resolve(revision)
    if commit is None:
        raise revision_not_found(revision)
    return repo, request.hub.store.commit(commit)


@route("GET", "/api/{kind}/{any_repo}/tree/{revision}/{path*}")
def tree(request: Request, kind: str, repo_id: str, revision: str, path: str) -> Response:
    _, commit = at(request, kind, repo_id, revision)
    expand = request.flag("expand")
    folder = path.strip("/")
    items = listing(request.hub.store, commit, folder, request.flag("recursive"), expand)
    if items is None:
        raise entry_not_found(f"{folder} does not exist on {revision!r}", commit.id)
    return page(request, items, 50 if expand else 1000)


@route("GET", "/api/{kind}/{any_repo}/tree/{revision}")
def root_tree(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    return tree(request, kind, repo_id, revision, "")


@route("POST", "/api/{kind}/{any_repo}/paths-info/{revision}")
def paths_info(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    _, commit = at(request, kind, repo_id, revision)
    if request.headers.get("Content-Type", "").startswith("application/json"):
        payload = request.json()
        paths, expand = payload.get("paths", []), payload.get("expand") is True
    else:
        form = parse_qs(request.body.decode())
        paths, expand = form.get("paths", []), form.get("expand", [""])[-1].lower() == "true"
    last = last_commits(request.hub.store, commit.id) if expand else None
    folders = folders_of(commit)
    items: list[dict[str, Any]] = []
    for path in dict.fromkeys(paths):
        if path in commit.tree:
            items.append(file_object(path, commit.tree[path], last[path] if last else None))
        elif path.rstrip("/") in folders:
            items.append(folder_object(path.rstrip("/"), commit, last))
    return Response.json(items)


@route("GET", "/api/{kind}/{repo}/refs")
def refs(request: Request, kind: str, repo_id: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    groups: dict[str, list[dict[str, str]]] = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
    starts = dict(zip(groups, ("refs/heads/", "refs/tags/", "refs/convert/", "refs/pr/"), strict=True))
    for ref, commit in repo.refs.items():
        for group, start in starts.items():
            if ref.startswith(start):
                groups[group].append({"name": ref.removeprefix(start), "ref": ref, "targetCommit": commit})
    if not request.flag("include_prs"):
        del groups["pullRequests"]
    return Response.json(groups)


@route("GET", "/api/{kind}/{repo}/commits/{revision}")
def commits(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    _, commit = at(request, kind, repo_id, revision)
    items = [
        {
            "id": found.id,
            "title": found.title,
            "message": found.message,
            "date": found.date,
            "authors": [{"user": found.author}],
        }
        for found in request.hub.store.history(commit.id)
    ]
    return page(request, items, 50)


@route("POST", "/api/{kind}/{repo}/branch/{name}")
def create_branch(request: Request, kind: str, repo_id: str, name: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_write(request, repo)
    check_ref_name(name)
    start = request.json().get("startingPoint") or "main"
    if f"refs/heads/{name}" in repo.refs:
        raise HubError(409, f"Reference already exists: refs/heads/{name}")
    commit = repo.resolve(start)
    if commit is None:
        raise revision_not_found(start)
    repo.refs[f"refs/heads/{name}"] = commit
    request.hub.store.save()
    return Response.json({}, 201)


@route("DELETE", "/api/{kind}/{repo}/branch/{name}")
def delete_branch(request: Request, kind: str, repo_id: str, name: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_write(request, repo)
    ref = f"refs/heads/{name}"
    if ref == MAIN:
        raise HubError(403, "The main branch cannot be deleted")
    if repo.refs.pop(ref, None) is None:
        raise revision_not_found(name)
    request.hub.store.save()
    return Response.json({})


@route("POST", "/api/{kind}/{repo}/tag/{revision}")
def create_tag(request: Request, kind: str, repo_id: str, revision: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_write(request, repo)
    tag = request.text(request.json(), "tag")
    check_ref_name(tag)
    commit = repo.resolve(revision)
    if commit is None:
        raise revision_not_found(revision)
    if f"refs/tags/{tag}" in repo.refs:
        raise HubError(409, f"Tag reference exists already: refs/tags/{tag}")
    repo.refs[f"refs/tags/{tag}"] = commit
    request.hub.store.save()
    return Response.json({}, 201)


@route("DELETE", "/api/{kind}/{repo}/tag/{name}")
def delete_tag(request: Request, kind: str, repo_id: str, name: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    auth.require_write(request, repo)
    if repo.refs.pop(f"refs/tags/{name}", None) is None:
        raise revision_not_found(name)
    request.hub.store.save()
    return Response.json({})

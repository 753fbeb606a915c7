"""Discussions and pull requests."""

from __future__ import annotations

from typing import Any

from . import auth
from .messages import HubError, Request, Response
from .pull_requests import comment_event, diff, event, merge, merged_tree, open_discussion, open_pull_request
from .repos import MAIN, Repo
from .routing import route


PAGE = 10


def _summary(repo: Repo, discussion: dict[str, Any]) -> dict[str, Any]:
    keys = ("num", "title", "author", "createdAt", "status", "isPullRequest")
    return {**{key: discussion[key] for key in keys}, "repo": {"name": repo.id, "type": repo.type}}


def _find(request: Request, kind: str, repo_id: str, number: str) -> tuple[Repo, dict[str, Any]]:
    repo = auth.find_repo(request, kind, repo_id)
    if not number.isdigit() or not 1 <= int(number) <= len(repo.discussions):
        raise HubError(404, f"No discussion {number}")
    return repo, repo.discussions[int(number) - 1]


@route("GET", "/api/{kind}/{repo}/discussions")
def discussions(request: Request, kind: str, repo_id: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    wanted, status, author = request.argument("type"), request.argument("status"), request.argument("author")
    found = [
        _summary(repo, item)
        for item in reversed(repo.discussions)
        if wanted in {"", "all", "pull_request" if item["isPullRequest"] else "discussion"}
        if status in {"", "all", "open" if item["status"] in {"open", "draft"} else "closed"}
        if author in {"", item["author"]["name"]}
    ]
    number = request.argument("p", "0")
    if not number.isdigit():
        raise HubError(400, "Invalid page")
    size = request.hub.page_size or PAGE
    start = int(number) * size
    items = found[start : start + size]
    return Response.json({"discussions": items, "count": len(found), "start": start})


@route("POST", "/api/{kind}/{repo}/discussions")
def create(request: Request, kind: str, repo_id: str) -> Response:
    repo = auth.find_repo(request, kind, repo_id)
    identity = auth.require_proposal(request, repo)
    payload = request.json()
    title, text = request.text(payload, "title"), payload.get("description") or ""
    if len(title) < 3:
        raise HubError(400, "The title must be at least 3 characters long")
    if payload.get("pullRequest"):
        number = open_pull_request(repo, identity.user, title, text, repo.refs[MAIN], "draft")
    else:
        number = open_discussion(repo, identity.user, title, text)["num"]
    request.hub.store.save()
    return Response.json({"num": number, "pullRequest": bool(payload.get("pullRequest"))})


@route("GET", "/api/{kind}/{repo}/discussions/{number}")
def details(request: Request, kind: str, repo_id: str, number: str) -> Response:
    repo, discussion = _find(request, kind, repo_id, number)
    answer = {**_summary(repo, discussion), "events": discussion["events"]}
    if discussion["isPullRequest"]:
        store = request.hub.store
        open_ = discussion["status"] in {"open", "draft"}
        answer["filesWithConflicts"] = merged_tree(store, repo, discussion)[1] if open_ else []
        answer["changes"] = {"base": MAIN}
        if "mergeCommitId" in discussion:
            answer["changes"]["mergeCommitId"] = discussion["mergeCommitId"]
        answer["diff"] = diff(store, repo, discussion)
    return Response.json(answer)


def _change_status(request: Request, repo: Repo, discussion: dict[str, Any], status: str, user: str) -> Response:
    comment = request.json().get("comment")
    if comment:
        discussion["events"].append(comment_event(user, comment))
    discussion["status"] = status
    discussion["events"].append(event("status-change", user, status=status))
    request.hub.store.save()
    return Response.json({"newStatus": discussion["events"][-1]})


@route("POST", "/api/{kind}/{repo}/discussions/{number}/merge")
def merge_one(request: Request, kind: str, repo_id: str, number: str) -> Response:
    repo, discussion = _find(request, kind, repo_id, number)
    identity = auth.require_write(request, repo)
    if not discussion["isPullRequest"]:
        raise HubError(400, "Only a pull request can be merged")
    merge(request.hub.store, repo, discussion, identity.user)
    return _change_status(request, repo, discussion, "merged", identity.user)


@route("POST", "/api/{kind}/{repo}/discussions/{number}/status")
def status(request: Request, kind: str, repo_id: str, number: str) -> Response:
    repo, discussion = _find(request, kind, repo_id, number)
    identity = auth.require_write_token(request)
    if identity.user != discussion["author"]["name"]:
        auth.require_write(request, repo)
    new = request.json().get("status")
    if new not in {"open", "closed"} or discussion["status"] in {"merged", new}:
        raise HubError(400, f"A discussion that is {discussion['status']} cannot become {new}")
    return _change_status(request, repo, discussion, new, identity.user)


@route("POST", "/api/{kind}/{repo}/discussions/{number}/comment")
def comment(request: Request, kind: str, repo_id: str, number: str) -> Response:
    repo, discussion = _find(request, kind, repo_id, number)
    identity = auth.require_proposal(request, repo)
    discussion["events"].append(comment_event(identity.user, request.text(request.json(), "comment")))
    request.hub.store.save()
    return Response.json({"newMessage": discussion["events"][-1]})


@route("POST", "/api/{kind}/{repo}/discussions/{number}/title")
def title(request: Request, kind: str, repo_id: str, number: str) -> Response:
    repo, discussion = _find(request, kind, repo_id, number)
    identity = auth.require_write_token(request)
    if identity.user != discussion["author"]["name"]:
        auth.require_write(request, repo)
    new = request.text(request.json(), "title")
    values = {"from": discussion["title"], "to": new}
    discussion["events"].append(event("title-change", identity.user, **values))
    discussion["title"] = new
    request.hub.store.save()
    return Response.json({"newTitle": discussion["events"][-1]})

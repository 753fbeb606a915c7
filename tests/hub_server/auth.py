"""Users, organisations, tokens, and who may do what. The order of the checks is the Hub's."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from .messages import HubError, Request
from .repos import Repo
from .storage import Store


ORGANISATION_ROLES = ("read", "contributor", "write", "admin")


@dataclass(frozen=True)
class Identity:
    """Who asks: a user through a token. A token of role `read` may change nothing."""

    user: str
    role: str
    orgs: dict[str, str]

    def owns(self, namespace: str) -> str | None:
        """The role in a namespace: a user is the admin of their own."""
        return "admin" if namespace == self.user else self.orgs.get(namespace)


class Accounts:
    """Users and tokens, kept in the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.users: dict[str, dict[str, str]] = store.accounts.setdefault("users", {})
        self.tokens: dict[str, list[str]] = store.accounts.setdefault("tokens", {})

    def add_user(self, name: str, **orgs: str) -> None:
        """Add a user with roles in organisations."""
        unknown = set(orgs.values()) - set(ORGANISATION_ROLES)
        if unknown:
            raise ValueError(f"unknown organisation role: {unknown}")
        self.users[name] = {org.replace("_", "-"): role for org, role in orgs.items()}
        self.store.save()

    def token(self, user: str, role: str) -> str:
        """The token of a user and role, made when there is none."""
        for value, owner in self.tokens.items():
            if owner == [user, role]:
                return value
        value = "hf_" + secrets.token_hex(17)
        self.tokens[value] = [user, role]
        self.store.save()
        return value

    def revoke(self, token: str) -> None:
        """Forget a token."""
        self.tokens.pop(token, None)
        self.store.save()

    def identify(self, header: str | None) -> Identity | None:
        """Who an Authorization header stands for; None is an anonymous visitor."""
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or token not in self.tokens:
            raise HubError(401, "Invalid credentials in Authorization header")
        user, role = self.tokens[token]
        return Identity(user, role, self.users[user])


def is_visible(repo: Repo, identity: Identity | None) -> bool:
    """Whether a repository exists for this visitor."""
    return not repo.private or (identity is not None and identity.owns(repo.namespace) is not None)


def find_repo(request: Request, kind: str, repo_id: str) -> Repo:
    """A repository that the visitor may see."""
    repo = request.hub.store.repos.get((kind, repo_id))
    if repo is None or not is_visible(repo, request.identity):
        if request.identity is None:
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        raise HubError(404, "Repository not found", "RepoNotFound")
    return repo


def require_download(request: Request, repo: Repo) -> None:
    """Files of a gated repository are for its owners only; its metadata is for everybody."""
    if not repo.gated or (request.identity is not None and request.identity.owns(repo.namespace)):
        return
    message = f"Access to {repo.type} {repo.id} is restricted."
    raise HubError(401 if request.identity is None else 403, message, "GatedRepo")


def _refuse(request: Request, message: str) -> HubError:
    return HubError(401, "Invalid username or password.") if request.identity is None else HubError(403, message)


def require_write_token(request: Request) -> Identity:
    """Somebody signed in with a token that may write."""
    identity = request.identity
    if identity is None or identity.role != "write":
        raise _refuse(request, "You don't have the rights to do this: the token is read-only")
    return identity


def require_namespace(request: Request, namespace: str) -> Identity:
    """The right to create in a namespace."""
    identity = require_write_token(request)
    if identity.owns(namespace) not in {"admin", "write", "contributor"}:
        raise _refuse(request, f'You don\'t have the rights to create a repo under the namespace "{namespace}"')
    return identity


def require_write(request: Request, repo: Repo, ref: str | None = None) -> Identity:
    """The right to change a repository, or one of its pull requests (`refs/pr/1`), whose author may change it too."""
    identity = require_write_token(request)
    role = identity.owns(repo.namespace)
    if role in {"admin", "write"} or (role == "contributor" and repo.author == identity.user):
        return identity
    for discussion in repo.discussions:
        if ref == f"refs/pr/{discussion['num']}" and discussion["author"]["name"] == identity.user:
            return identity
    raise _refuse(request, f"You don't have the rights to write to {repo.type} {repo.id}")


def require_proposal(request: Request, repo: Repo) -> Identity:
    """The right to open a pull request: anybody who can read the repository and holds a write token."""
    require_download(request, repo)
    return require_write_token(request)

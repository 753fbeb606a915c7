"""A Hub-compatible HTTP server for tests; see the README beside this file."""

from .server import HubServer


__all__ = ["HubServer"]

"""The test Hub against the real clients, over real HTTP. What it cannot prove is in its README."""

from .fixtures import hub


__all__ = ["hub"]

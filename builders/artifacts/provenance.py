"""Provenance: which code, packages, collection and settings something was made of."""

import functools
import importlib.metadata
import json
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import builders
from builders.masking import masked_command


logger = logging.getLogger(__name__)

# A local model as records name it: weights, and behind the `+` what earlier versions did not record.
_LOCAL_MODEL = re.compile(r"(sha256:[0-9a-f]{16})\+[0-9a-f]{16}")
PACKAGES = (
    "accelerate",
    "bitsandbytes",
    "bm25s",
    "datasets",
    "huggingface_hub",
    "numpy",
    "openvino-genai",
    "peft",
    "pyarrow",
    "pyserini",
    "PyStemmer",
    "pytrec_eval-terrier",
    "sentence-transformers",
    "torch",
    "transformers",
    "trl",
)


@functools.cache
def code_version() -> str:
    """Version of the kit; in a git checkout with the commit, and `.dirty` when tracked files were edited since."""
    root = Path(__file__).resolve().parent.parent.parent
    version = builders.__version__
    if not (root / ".git").exists():
        return version
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{version}+g{commit}{'.dirty' if dirty else ''}"


def made_by(command: str, skip: int | None = None) -> dict[str, Any]:
    """Command line, code and packages that something is made with; `skip` words of `sys.argv` are in `command`.

    Credentials in the others are masked.
    """
    arguments = [] if skip is None else sys.argv[skip:]
    line = f"{command} {shlex.join(masked_command(arguments))}".strip()
    return {"command": line, "code_version": code_version(), "versions": versions()}


def same_settings(recorded: Any, settings: Any) -> bool:
    """Whether a record names these settings, as this version writes them or as earlier ones did."""
    now = json.loads(json.dumps(settings))
    if recorded == now:
        return True
    if same := recorded == earlier_settings(now):
        logger.warning(
            "made by an earlier version, which knew a local model by its weights alone: its configuration, tokenizer "
            "and chat template are taken to be those of that time"
        )
    return same


def earlier_settings(settings: Any) -> Any:
    """Settings as earlier versions recorded them: local models by their weights, whatever lay beside them."""
    return json.loads(_LOCAL_MODEL.sub(r"\1", json.dumps(settings)))


def cores() -> str:
    """The processor that something was measured on."""
    return f"{os.cpu_count()} CPU cores ({platform.machine()})"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            # The local suffix (+cpu, +cu130) names a build, not a release.
            found[package] = importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

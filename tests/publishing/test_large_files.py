"""A file of any size is hashed and sent in small pieces."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import run_command
from tests.support.commands import ROOT
from tests.support.publishing_client import NAME, repo
from tests.support.rendered_folders import make


MIB = 2**20
# The kernel's own count of this program: that of getrusage begins with what the tests' process had.
SCRIPT = """
import sys
from pathlib import Path
from builders.publishing.hub import publish_folder
for name in sys.argv[1:]:
    publish_folder(Path(name), "kit-owner/thing")
    print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""


def sparse_weights(path: Path, size: int) -> None:
    """Weights of zeros, which take no room on the disk."""
    tensor = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
    header = json.dumps({"base_model.model.q.lora_A.weight": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + size)


def published(hub: HubServer, tmp_path: Path, size: int, again: bool) -> list[int]:
    """Publish a small folder and one with a large file; the most memory taken after each, in MiB."""
    small, large = make("adapter", tmp_path / "a", 1), make("adapter", tmp_path / "b", 2)
    sparse_weights(large / "adapter_model.safetensors", size)
    folders = [str(small), str(large), *([str(large)] if again else [])]
    done = run_command(hub, [sys.executable, "-c", SCRIPT, *folders], cwd=ROOT, timeout=7200)
    assert done.returncode == 0, done.stderr
    assert repo(hub, "adapter", NAME).tree()["adapter_model.safetensors"].size > size
    return [int(line) for line in done.stdout.split()]


def test_memory_does_not_follow_the_size_of_a_file(hub: HubServer, tmp_path: Path) -> None:
    before, *after = published(hub, tmp_path, 192 * MIB, again=True)
    assert max(after) - before < 60, (before, after)


@pytest.mark.slow
def test_eight_gigabytes(hub: HubServer, tmp_path: Path) -> None:
    _, most = published(hub, tmp_path, 8192 * MIB, again=False)
    assert most < 300, most

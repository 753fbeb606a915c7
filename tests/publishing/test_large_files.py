"""A file of any size is hashed and sent in small pieces."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.hub_server import HubServer
from tests.hub_server.fixtures import run_command
from tests.support.commands import ROOT
from tests.support.publishing_client import NAME, repo
from tests.support.rendered_folders import make


SIZE = 320 * 2**20
SCRIPT = """
import resource, sys
from pathlib import Path
from builders.publishing.hub import publish_folder
for name in sys.argv[1:]:
    publish_folder(Path(name), "kit-owner/thing")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def sparse_weights(path: Path) -> None:
    """Weights of zeros, which take no room on the disk."""
    tensor = {"dtype": "F32", "shape": [SIZE // 4], "data_offsets": [0, SIZE]}
    header = json.dumps({"base_model.model.q.lora_A.weight": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + SIZE)


def test_memory_does_not_follow_the_size_of_a_file(hub: HubServer, tmp_path: Path) -> None:
    small, large = make("adapter", tmp_path / "a", 1), make("adapter", tmp_path / "b", 2)
    sparse_weights(large / "adapter_model.safetensors")
    done = run_command(hub, [sys.executable, "-c", SCRIPT, str(small), str(large), str(large)], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    before, after, again = map(int, done.stdout.split())
    assert max(after, again) - before < 60, (before, after, again)
    assert repo(hub, "adapter", NAME).tree()["adapter_model.safetensors"].size > SIZE

"""A Space that the kit rendered: published, downloaded, and started from the snapshot alone."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from builders.publishing.manifest import MANIFEST
from space.render import render
from tests.hub_server import HubServer
from tests.hub_server.fixtures import client_environment, run_client, run_command
from tests.support.commands import ROOT
from tests.support.measured_folder import BASE, measured_folder
from tests.support.publishing_client import NAME, command, files_in
from tests.support.served_space import ADAPTER, on_the_hub, started


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured_folder(tmp_path_factory.mktemp("space"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("with_xet", "adapter"),
    [
        pytest.param(False, None, id="lfs, adapter in the folder"),
        pytest.param(True, ADAPTER, id="xet, adapter on the Hub"),
    ],
)
def test_a_rendered_space_starts_from_its_snapshot_alone(
    hub: HubServer, tmp_path: Path, work: Path, with_xet: bool, adapter: str | None
) -> None:
    from gradio_client import Client

    results, folder = on_the_hub(hub, work), tmp_path / "rendered"
    if adapter is None:
        assert render(results, None, folder)
    else:
        rendering = [sys.executable, "-m", "space", "--results", results, "--adapter", adapter, "--render_only"]
        done = run_command(hub, [*map(str, rendering), "--output_dir", str(folder)], xet=with_xet, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    done = command(hub, folder, "--repo_id", NAME, "--public", "--tag", "v1", xet=with_xet)
    assert done.returncode == 0, done.stderr
    script = """
        from huggingface_hub import snapshot_download
        folder = snapshot_download(repo, repo_type="space", revision="v1", local_dir=folder)
        """
    run_client(hub, script, token="", xet=with_xet, repo=NAME, folder=str(tmp_path / "snapshot"))
    snapshot = tmp_path / "snapshot"
    shutil.rmtree(snapshot / ".cache")
    sent, there = files_in(folder), files_in(snapshot)
    assert set(there) - set(sent) == {MANIFEST, ".gitattributes"}
    assert {name for name in sent if there[name] != sent[name]} == {"README.md"}
    shutil.rmtree(folder)

    environment = client_environment(hub, tmp_path / "home", token="", xet=with_xet)
    environment |= {"PATH": os.environ["PATH"], "QUERY_EXPANSION_KIT_CACHE": str(tmp_path / "cache")}
    with started(snapshot, environment, tmp_path / "app.log") as address:
        client = Client(address, verbose=False)
        expansion = client.predict("store arrays on disk", api_name="/expand")
        found = client.predict("store arrays on disk", api_name="/search")
    assert isinstance(expansion, str) and found["expansion"] == expansion and found["expansion_source"] == "live"
    assert 0 < found["expansion_tokens"] <= 4 and found["plain"]["hits"][0]["title"] == "lib.save"
    # The weights came from the Hub, not from this machine.
    assert hub.requests("*", f"/{BASE}/resolve/") and bool(hub.requests("*", f"/{ADAPTER}/resolve/")) == bool(adapter)
    settings = json.loads((snapshot / "space.json").read_text())
    assert settings["model"] == BASE and settings["adapter"] == (adapter or "adapter")

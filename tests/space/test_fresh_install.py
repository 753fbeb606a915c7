"""Installs a published Space from its requirements alone, and asks it: it answers there as it does here."""

import os
import shutil
import subprocess
import sys

import pytest

from space.render import render
from tests.hub_server.fixtures import client_environment, hub, run_client
from tests.support.measured_folder import measured_folder
from tests.support.publishing_client import NAME, command
from tests.support.served_space import on_the_hub, started


__all__ = ["hub"]


@pytest.mark.slow
def test_it_installs_from_its_requirements_and_answers_the_same(hub, tmp_path):
    """Downloads gigabytes where pip keeps no cache of them."""
    from gradio_client import Client

    results = on_the_hub(hub, measured_folder(tmp_path / "made"))
    assert render(results, None, tmp_path / "rendered")
    done = command(hub, tmp_path / "rendered", "--repo_id", NAME, "--public")
    assert done.returncode == 0, done.stderr
    fetched = tmp_path / "fetched"
    script = "api.snapshot_download(repo, repo_type='space', local_dir=folder)"
    run_client(hub, script, token="", repo=NAME, folder=str(fetched))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    fresh = str(tmp_path / "fresh" / "bin" / "python")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    asked = {"env": alone, "cwd": tmp_path, "capture_output": True, "text": True}
    install = [fresh, "-m", "pip", "install", "--quiet", "--retries", "1", "-r", fetched / "requirements.txt"]
    done = subprocess.run(install, **asked)
    assert done.returncode == 0, done.stderr[-2000:]
    listed = subprocess.run([fresh, "-m", "pip", "list", "--format", "freeze"], **asked).stdout
    drawn = {line.partition("==")[0] for line in listed.splitlines()}
    assert {"torch", "gradio", "mcp"} <= drawn
    # Neither CUDA, nor what the Space does not use, nor the kit beside the folder.
    assert not [name for name in drawn if name.startswith(("nvidia", "openai", "query"))], drawn

    said = []
    for python in (fresh, sys.executable):
        home = tmp_path / "home"
        environment = client_environment(hub, home, token="") | {"PATH": os.environ["PATH"]}
        environment |= {"QUERY_EXPANSION_KIT_CACHE": str(home / "cache"), "SPACE_ID": NAME}
        with started(fetched, environment, tmp_path / "app.log", python) as address:
            found = Client(address, verbose=False).predict("fit the line", api_name="/search")
        assert found["expansion_source"] == "live" and found["expansion_tokens"]
        said.append({key: found[key] for key in ("expansion", "expansion_tokens")} | ranked(found))
        shutil.rmtree(home)
    assert said[0] == said[1]


def ranked(found: dict) -> dict:
    """Which documents were found, and by what score."""
    return {
        side: [(hit["id"], round(hit["score"], 3)) for hit in found[side]["hits"]] for side in ("plain", "expanded")
    }

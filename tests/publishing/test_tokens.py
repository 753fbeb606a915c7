"""The access token: it shows nowhere, and wherever the `hf` command or a person keeps it, it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import run_command
from tests.support.publishing_client import KINDS, NAME, command, publish, refusal, repo
from tests.support.rendered_folders import build, make, preference_row


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_holds_a_token_stays_here(hub: HubServer, tmp_path: Path, kind: str) -> None:
    folder = make(kind, tmp_path / "a", 1)
    secret = "hf_" + "Ab1" * 11
    if kind == "dataset":
        from builders.artifacts.render import render_dataset

        record = {**build("preferences", 1), "command": f"python -m builders --token {secret}"}
        render_dataset(folder, {"preference": {"train": [preference_row(1)]}}, record, {})
    else:
        name = {"adapter": "tokenizer_config.json", "space": "app.py"}[kind]
        (folder / name).write_text(f"token = '{secret}'")
    line = refusal(hub, folder)
    assert "access token" in line and secret not in line and not hub.store.repos


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_shows_nowhere(hub: HubServer, versions: dict, capsys, caplog, kind: str) -> None:
    """In no line, no message of a whole chain of exceptions, no file of the folder or the repository, no address of a
    request or a redirect, and in no request to the storage; whatever goes wrong."""
    from builders.errors import KitError

    caplog.set_level("INFO")
    folder = versions[kind][0]
    texts = []
    leaky = {"error": f"token {hub.owner_token} is bad"}
    faults = [("/preupload/", 400), ("/commit/", 401), ("/commit/", 403), ("/commit/", 500)]
    faults += [("/tag/", 403), ("/create", 403)]
    for number, (path, status) in enumerate(faults):
        hub.fault("POST", path, times=99, status=status, body=leaky, headers={"X-Error-Message": leaky["error"]})
        try:
            publish(hub, folder, f"kit-owner/x{number}", tag="v1", public=True)
        except KitError as error:
            texts.append(str(error))
        hub.faults.clear()
    assert len(texts) == len(faults)
    # The lowest level would show what this server put into its answers; here it shows all that the client sends.
    caplog.set_level("DEBUG")
    publish(hub, folder, public=True)
    texts += [*capsys.readouterr(), caplog.text, *(entry.path for entry in hub.log)]
    for type, name in hub.store.repos:
        for content in hub.repo(type, name).files().values():
            assert hub.owner_token.encode() not in content
    for text in texts:
        assert hub.owner_token not in text
    storage = hub.requests("*", "/storage/")
    assert storage and not [entry for entry in storage if entry.had_authorization]


def test_the_token_shows_nowhere_in_a_process(hub: HubServer, versions: dict) -> None:
    hub.fault("POST", "/commit/main", status=401)
    folder = versions["dataset"][0]
    done = command(hub, folder, "--repo_id", NAME, HF_DEBUG="", HF_HUB_VERBOSITY="debug")
    assert done.returncode == 2 and hub.owner_token not in done.stdout + done.stderr


def test_logged_in_with_hf_auth_login(hub: HubServer, versions: dict, tmp_path: Path) -> None:
    """`hf auth login` keeps the token in a file of HF_HOME, where every command finds it."""
    done = run_command(hub, ["hf", "auth", "login", "--token", hub.owner_token], token="", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = versions["adapter"][0]
    done = command(hub, "--folder", folder, "--repo_id", NAME, token="", HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 0 and hub.owner_token not in done.stderr, done.stderr
    assert repo(hub, "adapter").commits()[0].author == hub.owner

"""Credentials on the command line, in recipes and in addresses: used, and recorded or said nowhere."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.errors import KitError
from builders.masking import MASK, masked, masked_command, masked_text
from builders.publishing import failure
from tests.hub_server import HubServer
from tests.hub_server.fixtures import hub, run_command
from tests.support.commands import ROOT, command_here, refused
from tests.support.inference_server import Fault, InferenceServer
from tests.support.publishing_client import NAME
from tests.support.rendered_folders import BASE, adapter
from tests.support.word_collection import word_collection
from train.run_settings import chosen


__all__ = ["hub"]

KEY, HEADER = "sk-planted-19af3", "planted-77c1e"
BODY = {"effort": "low", "api_key": KEY, "proxy": {"headers": {"Authorization": [f"Bearer {HEADER}"]}}}


def words(server: InferenceServer, folder: Path, body: object) -> list[str]:
    """Ask a server for the expansions of two queries."""
    collection = folder / "words"
    if not collection.exists():
        word_collection(collection, 6)
    asked = {"expander": "inference", "base_url": server.url, "model": "acme/teacher", "collection": collection}
    asked |= {"num_train": 2, "samples": 1, "select": "all", "output_dir": folder / "made"}
    flags = [str(part) for name, value in asked.items() for part in (f"--{name}", value)]
    given = [] if body is None else ["--extra_body", json.dumps(body)]
    return ["-m", "builders", "expansions", *flags, "--prompts", "web-passage-zero-shot", *given]


def written(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_keys_in_further_fields_reach_the_server_and_no_file(tmp_path: Path) -> None:
    with InferenceServer() as server:
        done = command_here(*words(server, tmp_path, BODY))
        assert done.returncode == 0, done.stderr
        assert server.seen[-1].body["api_key"] == KEY and server.seen[-1].body["proxy"] == BODY["proxy"]
        texts = written(tmp_path) + done.stdout + done.stderr
        assert KEY not in texts and HEADER not in texts
        build = json.loads((tmp_path / "made/build.json").read_text())
        assert f'"api_key": "{MASK}"' in build["command"] and '"effort": "low"' in build["command"]
        card = (tmp_path / "made/README.md").read_text()
        assert f'"api_key": "{MASK}"' in card
        asked = len(server.seen)
        again = command_here(*words(server, tmp_path, BODY))
        assert "up to date" in again.stderr and len(server.seen) == asked


def test_a_server_that_repeats_keys_is_not_quoted(tmp_path: Path) -> None:
    said = {"error": {"message": f"not allowed: {KEY}, Bearer {HEADER}, http://someone:planted-pw@host"}}
    with InferenceServer() as server:
        server.faults = [Fault(9, status=400, body=json.dumps(said).encode())]
        done = command_here(*words(server, tmp_path, BODY))
        line = refused(done)
        assert f"not allowed: {MASK}, {MASK}, http://host" in line
        texts = written(tmp_path) + done.stdout + done.stderr
        assert not any(secret in texts for secret in (KEY, HEADER, "planted-pw"))


def test_a_recipes_keys(tmp_path: Path) -> None:
    """Text, as it has to be; and a mapping, which is refused and would be shown."""
    with InferenceServer() as server:
        for number, body in enumerate((json.dumps(BODY), BODY)):
            recipe = tmp_path / f"{number}.yaml"
            recipe.write_text(json.dumps({"extra_body": body}))
            done = command_here(*words(server, tmp_path, None), "--config", recipe)
            assert KEY not in done.stderr + done.stdout and HEADER not in done.stderr + done.stdout
            assert done.returncode == (2 if number else 0), done.stderr
    texts = written(tmp_path / "made") + written(tmp_path / "made.work")
    assert KEY not in texts and HEADER not in texts


@pytest.mark.parametrize("option", [["--api_key", KEY], [f"--api_key={KEY}"], ["--hub_token", KEY]])
def test_options_that_do_not_exist(option: list[str]) -> None:
    line = refused(command_here("-m", "builders", "grade", "--collection", "x", *option))
    assert KEY not in line and MASK in line


def test_passwords_in_the_address_of_the_hub(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that is there, and one that is not, which is asked again and again: without the pauses."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    words = ["-m", "builders", "publish", str(adapter(tmp_path / "a")), "--repo_id", NAME]
    environment = {"HF_ENDPOINT": f"http://someone:{KEY}@127.0.0.1:{hub.port}"}
    done = run_command(hub, [sys.executable, *words], cwd=ROOT, environment=environment)
    assert done.returncode == 2 and KEY not in done.stdout + done.stderr, done.stderr
    assert f"127.0.0.1:{hub.port}/{NAME}" in done.stderr

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://someone:{KEY}@127.0.0.1:9")
    at_once = SimpleNamespace(sleep=lambda seconds: None, time=time.time)
    for module in (_http, failure):
        monkeypatch.setattr(module, "time", at_once)
    done = command_here(*words, HF_TOKEN=hub.owner_token)
    assert f"127.0.0.1:9/{NAME}" in refused(done)
    assert KEY not in done.stdout + done.stderr + "".join(capfd.readouterr())


def test_addresses_in_cards_and_reports() -> None:
    from huggingface_hub import HfApi

    from builders.publishing.hub_collection import HubCollection
    from builders.publishing.repository import Repository

    api = HfApi(f"http://someone:{KEY}@127.0.0.1:9")
    assert Repository(api, BASE, "model").url == f"http://127.0.0.1:9/{BASE}"
    assert HubCollection(api, "kit-owner", "All").name == "http://127.0.0.1:9/collections/kit-owner: All"


def test_settings_of_trainings() -> None:
    @dataclass
    class Config:
        hub_token: str = KEY
        eos_token: str = "</s>"
        learning_rate: float = 0.1

    found = chosen(Config(), {"hub_token", "eos_token", "learning_rate"})
    assert found == {"hub_token": MASK, "eos_token": "</s>", "learning_rate": 0.1}


TEXTS = {
    "http://a:b@host/x and https://host2/y": "http://host/x and https://host2/y",
    "no such option: --api_key abc": "no such option: --api_key ***",
    "--reasoning_tokens 5 --api_key_variable NAME": "--reasoning_tokens 5 --api_key_variable NAME",
    "{'apiKey': 'it\\'s', 'b': 'c'}": "{'apiKey': '***', 'b': 'c'}",
    'eos_token="</s>", "pad_token": "<pad>"': 'eos_token="</s>", "pad_token": "<pad>"',
    "hf_" + "a" * 20: "***",
    "mail someone@host": "mail someone@host",
}


@pytest.mark.parametrize("text", TEXTS)
def test_messages(text: str) -> None:
    assert masked_text(text) == TEXTS[text] == str(KitError(text))


def test_settings_and_commands() -> None:
    body = json.dumps({"a": 1, "b": [{"client-secret": 7, "tokens": 3, "password": None}]})
    assert json.loads(masked(body)) == {"a": 1, "b": [{"client-secret": MASK, "tokens": 3, "password": None}]}
    assert masked('{"a":  1}') == '{"a":  1}', "what holds nothing to hide stays as it was written"
    assert masked({"x_token": "y", "n": ("http://a:b@c", None, 0.5)}) == {
        "x_token": MASK,
        "n": ("http://c", None, 0.5),
    }
    given = ["--extra_body", body, "--hub_token", "a b", "--hub_token=x", "--url=http://a:b@c", "--push", "plain"]
    shown = ["--extra_body", masked(body), "--hub_token", MASK, f"--hub_token={MASK}", "--url=http://c", "--push"]
    assert masked_command(given) == [*shown, "plain"]

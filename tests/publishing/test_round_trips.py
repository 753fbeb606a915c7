"""Published, then used in a fresh process with a fresh home, by the libraries alone: without a line of the kit's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builders.publishing.manifest import MANIFEST
from tests.hub_server import HubServer
from tests.hub_server.fixtures import run_client
from tests.support.commands import Demo
from tests.support.publishing_client import NAME, command, files_in, publish, repo, titles
from tests.support.rendered_folders import (
    BASE,
    REPO_TYPES,
    VERSION,
    adapter,
    adapter_card,
    distillation_row,
    expansions,
    make,
    preference_row,
    preferences,
    raw_row,
)


XET = pytest.mark.parametrize("with_xet", [False, True], ids=["lfs", "xet"])
ROWS = {"raw": raw_row, "distillation": distillation_row, "preference": preference_row}
# Rows need no torch, and its import takes seconds.
PLAIN = {"USE_TORCH": "0"}
LOAD = """
from datasets import get_dataset_config_names, load_dataset
def rows(splits):
    return {split: list(found) for split, found in splits.items()}
for repo in repos:
    for config in get_dataset_config_names(repo):
        result[config] = {
            "v1.0": rows(load_dataset(repo, config, revision="v1.0")),
            "v1.0 streamed": rows(load_dataset(repo, config, revision="v1.0", streaming=True)),
            "main": rows(load_dataset(repo, config)),
            "main streamed": rows(load_dataset(repo, config, streaming=True)),
        }
"""
LOAD_OFFLINE = """
from datasets import load_dataset
for config, repo in repos.items():
    result[config] = {split: list(found) for split, found in load_dataset(repo, config).items()}
"""


@XET
def test_dataset_round_trip_in_fresh_processes(
    hub: HubServer, tmp_path: Path, request: pytest.FixtureRequest, with_xet: bool
) -> None:
    """Published by the command, read by `load_dataset`: every config, streamed, an older version by its tag, and once
    more from the cache alone."""
    if with_xet:
        request.getfixturevalue("xet")
    name = "kit-owner/expansions"
    publish(hub, expansions(tmp_path / "first", 4), name, tag="v1.0")
    done = command(hub, expansions(tmp_path / "second", 6), "--repo_id", name, "--tag", "v1.1", xet=with_xet)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"{hub.url}/datasets/{name}: published, commit [0-9a-f]{{40}}, tag v1.1, private", done.stderr)
    assert titles(hub, "dataset", name) == [f"Publish expansions (kit {VERSION})"] * 2 + ["initial commit"]
    for number, version in ((4, "v1.0"), (6, "v1.1")):
        publish(hub, preferences(tmp_path / version, number), "kit-owner/preferences", tag=version)
    repos = {"raw": name, "distillation": name, "preference": "kit-owner/preferences"}
    assert all(repo(hub, "dataset", id).record.private for id in repos.values())
    home = tmp_path / "home"
    home.mkdir()
    result = run_client(hub, LOAD, xet=with_xet, home=home, environment=PLAIN, repos=sorted(set(repos.values())))
    assert set(result) == set(ROWS)
    for config, row in ROWS.items():
        for version, number in (("main", 6), ("v1.0", 4)):
            wanted = {"train": [row(n) for n in range(number)]}
            if config != "distillation":
                wanted["validation"] = [row(-1)]
            assert result[config][version] == result[config][f"{version} streamed"] == wanted, (config, version)
    assert bool(hub.requests("GET", "xet-write-token")) == with_xet
    if not with_xet:
        hub.log.clear()
        offline = {**PLAIN, "HF_HUB_OFFLINE": "1"}
        again = run_client(hub, LOAD_OFFLINE, home=home, environment=offline, repos=repos)
        assert not hub.log and again == {config: result[config]["main"] for config in ROWS}


TINY = """
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
"""


@pytest.mark.slow
@XET
def test_an_adapter_is_loaded_by_its_id_and_generates_the_same(hub: HubServer, tmp_path: Path, with_xet: bool) -> None:
    """Whole, by `AutoModelForCausalLM` or `PeftModel`, and an older version by its tag."""
    made = run_client(
        hub,
        TINY
        + """
config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4)
LlamaForCausalLM(config).push_to_hub(base)
for name, folder in folders.items():
    model = AutoModelForCausalLM.from_pretrained(base)
    model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(folder)
    ids = torch.arange(8)[None]
    result[name] = model.generate(input_ids=ids, do_sample=False, max_new_tokens=8, eos_token_id=-1).tolist()
""",
        base=BASE,
        folders={name: str(adapter(tmp_path / name)) for name in ("v1", "v2")},
    )
    assert made["v1"] != made["v2"], "two adapters that write the same prove nothing"
    for name in ("v1", "v2"):
        (tmp_path / name / "README.md").write_text(adapter_card(BASE, 0.5))
        done = command(hub, tmp_path / name, "--repo_id", NAME, "--tag", name, xet=with_xet)
        assert done.returncode == 0, done.stderr
    loaded = run_client(
        hub,
        TINY
        + """
ids = torch.arange(8)[None]
base_model = lambda: AutoModelForCausalLM.from_pretrained(base)
models = {
    # A revision here would be asked of the base model too.
    "direct": AutoModelForCausalLM.from_pretrained(repo),
    "by peft": PeftModel.from_pretrained(base_model(), repo),
    "by peft, v1": PeftModel.from_pretrained(base_model(), repo, revision="v1"),
    "by peft, v2": PeftModel.from_pretrained(base_model(), repo, revision="v2"),
}
for name, model in models.items():
    result[name] = model.generate(input_ids=ids, do_sample=False, max_new_tokens=8, eos_token_id=-1).tolist()
""",
        xet=with_xet,
        base=BASE,
        repo=NAME,
    )
    assert loaded == {
        "direct": made["v2"],
        "by peft": made["v2"],
        "by peft, v1": made["v1"],
        "by peft, v2": made["v2"],
    }


@XET
def test_a_space_starts_from_its_snapshot_alone(
    hub: HubServer, versions: dict, request: pytest.FixtureRequest, with_xet: bool
) -> None:
    """A Space that only says that it started; one that the kit renders is in `test_space_snapshot.py`."""
    if with_xet:
        request.getfixturevalue("xet")
    publish(hub, versions["space"][0], public=True)
    result = run_client(
        hub,
        """
        import subprocess
        from huggingface_hub import snapshot_download
        folder = snapshot_download(repo, repo_type="space")
        result["said"] = subprocess.run([sys.executable, "app.py"], cwd=folder, capture_output=True, text=True).stdout
        """,
        token="",
        xet=with_xet,
        repo=NAME,
    )
    assert result["said"] == "started 1\n"


def test_the_demos_space_is_the_same_in_a_snapshot(demo: Demo, hub: HubServer, tmp_path: Path) -> None:
    """Rendered by the kit, published, downloaded: every file but the card byte for byte."""
    from space.render import render

    folder, snapshot = tmp_path / "rendered", tmp_path / "snapshot"
    render(demo.folder, None, folder)
    done = command(hub, folder, "--repo_id", NAME, "--public", "--tag", "v1", xet=True)
    assert done.returncode == 0, done.stderr
    script = "api.snapshot_download(repo, repo_type='space', revision='v1', local_dir=folder)"
    run_client(hub, script, token="", xet=True, repo=NAME, folder=str(snapshot))
    sent, there = files_in(folder), files_in(snapshot)
    there = {name: content for name, content in there.items() if not name.startswith(".cache/")}
    assert set(there) - set(sent) == {MANIFEST, ".gitattributes"}
    assert {name for name in sent if there[name] != sent[name]} == {"README.md"}


FAULTS = {
    "closed early": {"drop": "mid_response_fin"},
    "reset": {"drop": "mid_response"},
    "500": {"status": 500, "times": 99},
    "wrong bytes": {"times": 99},
}
USE = """
import datasets, hashlib
from huggingface_hub import snapshot_download
def use(kind, id, path, sha256):
    if kind == "dataset":
        return datasets.load_dataset(id, "preference", split="train").num_rows
    folder = snapshot_download(id, repo_type=types[kind])
    return hashlib.sha256(open(folder + "/" + path, "rb").read()).hexdigest() == sha256
for kind, fault, id, path, sha256 in cases:
    result[f"{kind}, {fault}"] = name_of(use, kind, id, path, sha256)[:2]
    if fault == "wrong bytes":
        folder = api.snapshot_download(id, repo_type=types[kind], local_dir=kind)
        wrong = api.verify_repo_checksums(id, repo_type=types[kind], local_dir=folder).mismatches
        result[f"{kind}, mismatches"] = [mismatch["path"] for mismatch in wrong]
"""


def test_what_becomes_of_a_download_that_goes_wrong(hub: HubServer, tmp_path: Path) -> None:
    """A cut download is resumed or fails; wrong bytes fail where rows are read, and `verify_repo_checksums` finds them
    everywhere, with the size alone checked on the way."""
    payload = {
        "dataset": "data/preference/train-00000-of-00001.parquet",
        "adapter": "adapter_model.safetensors",
        "space": "collection/vectors.npy",
    }
    cases, planted = [], []
    for kind, path in payload.items():
        for number, (name, how) in enumerate(FAULTS.items()):
            id = f"kit-owner/{kind}{number}"
            publish(hub, make(kind, tmp_path / id, number + 1), id)
            entry = repo(hub, kind, id).tree()[path]
            wrong = {"body": b"!" * entry.size} if name == "wrong bytes" else {}
            # Addressed by its content, which is another in every repository.
            planted.append(hub.fault("GET", f"/storage/blob/{entry.sha256}", **how, **wrong))
            cases.append((kind, name, id, path, entry.sha256))
    result = run_client(hub, USE, environment=PLAIN, cases=cases, types=REPO_TYPES)
    assert all(fault.fired for fault in planted)
    right = {"dataset": ["ok", "4"], "adapter": ["ok", "True"], "space": ["ok", "True"]}
    for kind, path in payload.items():
        assert result[f"{kind}, closed early"] == right[kind]
        assert result[f"{kind}, reset"][0] == "ReadError" and result[f"{kind}, 500"] == ["HfHubHTTPError", 500]
        assert result[f"{kind}, mismatches"] == [path]
    assert result["dataset, wrong bytes"][0] == "DatasetGenerationError"
    assert result["adapter, wrong bytes"] == result["space, wrong bytes"] == ["ok", "False"]

"""The commands that people have at hand: `hf`, `trl`, and the test Hub started by hand."""

from __future__ import annotations

import ast
import importlib.resources
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import client_environment, run_command
from tests.support.commands import ROOT
from tests.support.publishing_client import NAME, files_in, publish
from tests.support.rendered_folders import REPO_TYPES, expansions, preferences


MODEL = "kit-owner/tiny-qwen3"


@pytest.mark.parametrize(
    ("kind", "revision"), [("dataset", "v1"), ("adapter", "next/one"), ("space", "v1")], ids=lambda value: value
)
def test_hf_download_by_tag_or_branch(
    hub: HubServer, versions: dict, tmp_path: Path, kind: str, revision: str
) -> None:
    """An organisation's repository, as `hf download` leaves it: the rendered folder."""
    name = f"{hub.organisation}/thing"
    publish(hub, versions[kind][0], name, tag="v1")
    publish(hub, versions[kind][1], name, revision="next/one")
    download = ["hf", "download", name, "--repo-type", REPO_TYPES[kind], "--revision", revision]
    done = run_command(hub, [*download, "--local-dir", str(tmp_path)])
    assert done.returncode == 0, done.stdout + done.stderr
    there, sent = files_in(tmp_path), files_in(versions[kind][revision != "v1"])
    assert {path for path in sent if there[path] != sent[path]} == {"README.md"}


def test_hf_tells_about_a_published_dataset(hub: HubServer, versions: dict) -> None:
    publish(hub, versions["dataset"][0], tag="v1")

    def hf(*arguments: str) -> str:
        done = run_command(hub, ["hf", *arguments])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    info = json.loads(hf("datasets", "info", NAME, "--json"))
    assert info["private"] and info["sha"] == hub.repo("dataset", NAME).head
    assert "v1" in hf("repos", "tag", "list", NAME, "--repo-type", "dataset")


BY_HAND = """
set -e
eval "$EXPORTS"
hf auth whoami
python -m builders publish "$FOLDER" --repo_id kit-owner/by-hand --dry_run
python -m builders publish "$FOLDER" --repo_id kit-owner/by-hand --tag v1.0
python -c 'from datasets import load_dataset
print("rows", load_dataset("kit-owner/by-hand", "preference", revision="v1.0", split="train").num_rows)'
"""


def test_without_an_account_as_a_person_would(versions: dict, tmp_path: Path) -> None:
    """`python -m tests.hub_server` in one shell; its two lines pasted into another, and the commands of the README."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.hub_server"], stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1
    )
    try:
        exports = [server.stdout.readline(), server.stdout.readline()]
        assert [line.partition("=")[0] for line in exports] == ["export HF_ENDPOINT", "export HF_TOKEN"]
        with HubServer() as elsewhere:
            # The same guarded environment, and nothing that leads to a Hub.
            environment = client_environment(elsewhere, tmp_path)
        environment = {name: value for name, value in environment.items() if name not in ("HF_ENDPOINT", "HF_TOKEN")}
        # No torch: its import takes seconds, and rows need none.
        environment |= {"EXPORTS": "".join(exports), "FOLDER": str(versions["dataset"][0]), "USE_TORCH": "0"}
        done = subprocess.run(
            ["bash", "-c", BY_HAND], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "kit-owner" in done.stdout and done.stdout.endswith("rows 4\n")
        assert "nothing is changed by this dry run" in done.stderr and "tag v1.0, private" in done.stderr
    finally:
        server.terminate()
        server.communicate()


def tiny_qwen3(folder: Path) -> Path:
    """A random model with byte-level tokens and the chat template of a model that thinks."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    letters = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokenizer.add_special_tokens(letters[:3])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = (importlib.resources.files("trl") / "chat_templates/qwen3.jinja").read_text()
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(letters),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=1024,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def trained(hub: HubServer, folder: Path, *arguments: str) -> list[dict[str, float]]:
    """Two steps of TRL's own command in a fresh home; what it logged."""
    common = "--max_steps 2 --logging_steps 1 --per_device_train_batch_size 2 --use_cpu true --bf16 false"
    done = run_command(
        hub,
        ["trl", *arguments, "--model_name_or_path", MODEL, "--output_dir", str(folder), *common.split()],
        environment={"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    logged = [ast.literal_eval(line) for line in done.stdout.splitlines() if line.startswith("{'loss'")]
    assert len(logged) == 2, done.stdout
    return [{name: float(value) for name, value in step.items()} for step in logged]


@pytest.mark.slow
def test_trl_trains_on_published_pairs_and_completions(hub: HubServer, tmp_path: Path) -> None:
    """`trl dpo` and `trl sft` with nothing but the names of the repositories, the base model's among them."""
    hub.create_repo("model", MODEL).commit(files_in(tiny_qwen3(tmp_path / "tiny")))
    publish(hub, preferences(tmp_path / "p"), "kit-owner/preferences")
    publish(hub, expansions(tmp_path / "e"), "kit-owner/expansions")
    pairs = ("--dataset_name", "kit-owner/preferences", "--dataset_config", "preference")
    first, second = trained(hub, tmp_path / "dpo", "dpo", *pairs, "--use_peft", "--lora_target_modules", "all-linear")
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-4) and first["rewards/margins"] == 0
    assert second["rewards/margins"] != 0, "nothing was learned in the first step"
    assert (tmp_path / "dpo/adapter_model.safetensors").stat().st_size > 1000
    assert json.loads((tmp_path / "dpo/adapter_config.json").read_text())["base_model_name_or_path"] == MODEL

    completions = ("--dataset_name", "kit-owner/expansions", "--dataset_config", "distillation")
    first, _ = trained(hub, tmp_path / "sft", "sft", *completions)
    # A random model spreads itself evenly over its tokens.
    assert first["loss"] == pytest.approx(math.log(259), abs=0.2)
    assert (tmp_path / "sft/model.safetensors").stat().st_size > 1000

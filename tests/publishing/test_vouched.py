"""Every byte by its hash: what was altered after training, evaluation or rendering is not published, nor a secret."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.artifacts.model_folder import adapter_name
from builders.errors import KitError
from builders.expanders.adapter import check_adapter_base
from builders.expanders.checkpoint import Checkpoint
from builders.expanders.trained import load_expander
from builders.exporting.exported import ExportOptions, export_adapter
from builders.publishing.staging.load import open_staged
from builders.publishing.staging.secret_scan import _BLOCK, refuse_secrets
from model_cards.adapter_card import expander_json, model_card
from tests.support.evaluated_folders import evaluated, sft_and_dpo
from tests.support.rendered_folders import BASE, adapter, preferences, space
from train.loop import save_model


WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """An adapter as the kit saves it, with a card."""
    made = adapter(tmp_path / "made", carded=False)
    record = json.loads((made / "training.json").read_text())

    def save(folder: Path) -> None:
        for path in made.iterdir():
            if path.name not in ("training.json", "timing.json"):
                (folder / path.name).write_bytes(path.read_bytes())
        (folder / "expander.json").write_text("{}")
        (folder / "nested").mkdir()
        (folder / "nested/notes.json").write_text("{}")

    training = SimpleNamespace(save=lambda made, *_: save(made), files=lambda record: {"curves.png": b"png"})
    save_model(tmp_path / "sft", training, None, None, record, {"seconds": 1.0})
    card = (adapter(tmp_path / "carded") / "README.md").read_text()
    (tmp_path / "sft/README.md").write_text(card)
    return tmp_path / "sft"


def test_training_vouches_for_all_files_but_those_that_are_renewed(trained: Path) -> None:
    files = json.loads((trained / "training.json").read_text())["files"]
    there = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert there - set(files) == {"training.json", "timing.json", "README.md", "expander.json"}
    assert WEIGHTS in files and "curves.png" in files and all(len(digest) == 64 for digest in files.values())
    assert set(open_staged(trained).files) == there
    (trained / "notes.txt").write_text("mine")
    assert open_staged(trained).left_out == ("notes.txt",)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: adapter(f.parent / "other", seed=2) / WEIGHTS, "its weights differ from those measured"),
        ("tokenizer.json", "truncated or edited"),
        ("chat_template.jinja", "truncated or edited"),
        (None, "chat_template.jinja is missing"),
    ],
)
def test_what_was_altered_since_the_training_is_refused(spoil, message: str, trained: Path) -> None:
    if spoil is None:
        (trained / "chat_template.jinja").unlink()
    elif isinstance(spoil, str):
        (trained / spoil).write_text((trained / spoil).read_text() + " ")
    else:
        (trained / WEIGHTS).write_bytes(spoil(trained).read_bytes())
    with pytest.raises(KitError, match=rf"{message}.* or train and evaluate it again"):
        open_staged(trained)


def render_space(folder: Path) -> None:
    from space.render import render

    results = evaluated(folder.parent / "results", sft_and_dpo(folder.parent / "models")).parent
    render(results, str(folder), folder.parent / "space")


ON_BASE = Checkpoint("base", BASE, "v1", "the Hub")
COMMANDS = {
    "model_cards": lambda folder: model_card(folder, folder.parent / "results.json", None, [], "apache-2.0"),
    "publish": open_staged,
    "export": lambda folder: export_adapter(
        ExportOptions(adapter=str(folder), format="merged", output_dir=str(folder.parent / "merged"))
    ),
    "space": render_space,
    "expand": lambda folder: check_adapter_base(str(folder), ON_BASE),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "linked"),
    [
        (WEIGHTS, False),
        (WEIGHTS, True),
        ("adapter_config.json", False),
        ("chat_template.jinja", False),
        ("nested/notes.json", False),
    ],
)
def test_every_command_refuses_what_was_altered(name: str, linked: bool, command: str, trained: Path) -> None:
    """Also where the folder is a link, and names the file."""
    folder = trained
    if linked:
        folder = trained.with_name("linked")
        folder.symlink_to(trained)
    if name == WEIGHTS:
        (trained / WEIGHTS).write_bytes((adapter(trained.parent / "other", seed=2) / WEIGHTS).read_bytes())
    else:
        (trained / name).write_text((trained / name).read_text() + "\n")
    with pytest.raises(KitError, match=rf"{folder.name}/{name}: .*its hash is not the one in training\.json"):
        COMMANDS[command](folder)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "expand"])
@pytest.mark.parametrize("taken", ["chat_template.jinja", "nested"])
def test_what_was_taken_out_is_missed(taken: str, command: str, trained: Path) -> None:
    """A link to a folder elsewhere holds nothing of this one. Whoever only expands fetches what is loaded."""
    (trained / taken).rename(trained.parent / taken)
    if taken == "nested":
        (trained / taken).symlink_to(trained.parent / taken)
    with pytest.raises(KitError, match=rf"sft: {taken}(/notes\.json)? is missing"):
        COMMANDS[command](trained)
    check_adapter_base(str(trained), ON_BASE)


@pytest.mark.parametrize("name", ["special_tokens_map.json", "additional_chat_templates/rag.jinja"])
def test_what_was_added_is_not_published_nor_exported(name: str, trained: Path) -> None:
    (trained / name).parent.mkdir(exist_ok=True)
    (trained / name).write_text("{}")
    assert open_staged(trained).left_out == (name,)
    with pytest.raises(KitError, match=f"{name}: was added after the training; take it out"):
        COMMANDS["export"](trained)


def test_expanding_refuses_weights_that_were_not_measured(tmp_path: Path) -> None:
    """Of adapters of earlier versions, whose training vouches for nothing."""
    adapters = sft_and_dpo(tmp_path / "models")
    results = evaluated(tmp_path / "results", adapters)
    folder = adapters[0]
    (folder / "expander.json").write_bytes(expander_json(folder, results))
    (folder / WEIGHTS).write_bytes((adapter(tmp_path / "other", seed=3) / WEIGHTS).read_bytes())
    for use in (lambda: load_expander(str(folder)), lambda: render_space(folder)):
        with pytest.raises(KitError, match=rf"{WEIGHTS}: weights differ from those measured \(sft@sha256:"):
            use()


def test_weights_are_those_that_the_card_is_about(tmp_path: Path) -> None:
    """Of adapters of earlier versions, too, whose training vouches for nothing."""
    adapters = sft_and_dpo(tmp_path / "models")
    evaluated(tmp_path / "results", adapters)
    record = json.loads(expander_json(tmp_path / "models/sft", tmp_path / "results/results.json"))
    assert record["measured"] == adapter_name(str(tmp_path / "models/sft"))
    folder = adapter(tmp_path / "mine")
    (folder / "expander.json").write_text(json.dumps({"measured": adapter_name(str(folder))}))
    renamed = folder.rename(tmp_path / "renamed")
    assert open_staged(renamed).kind == "adapter"
    (renamed / WEIGHTS).write_bytes((adapter(tmp_path / "other", seed=2) / WEIGHTS).read_bytes())
    with pytest.raises(KitError, match=r"weights differ from those measured \(mine@sha256:\w{16}\): evaluate them"):
        open_staged(renamed)
    (renamed / "expander.json").write_text("[")
    with pytest.raises(KitError, match=r"expander\.json: broken"):
        open_staged(renamed)


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    pytest.importorskip("gradio", reason="the extra space is not installed")
    from space.render import render

    evaluated(tmp_path / "results", sft_and_dpo(tmp_path / "models"))
    assert render(tmp_path / "results", None, tmp_path / "space")
    assert not render(tmp_path / "results", None, tmp_path / "space")
    return tmp_path / "space"


def test_a_space_vouches_for_its_files(rendered: Path) -> None:
    from space.settings import read_settings

    assert read_settings(rendered).measured
    (rendered / "README.md").write_text((rendered / "README.md").read_text() + "\nMine.\n")
    (rendered / "notes.txt").write_text("mine")
    staged = open_staged(rendered)
    assert staged.left_out == ("notes.txt",) and {"app.py", "space.json", "README.md"} <= set(staged.files)
    files = json.loads((rendered / "space.json").read_text())["files"]
    assert set(files) == set(staged.files) - {"README.md", "space.json"}
    (rendered / "app.py").write_text((rendered / "app.py").read_text() + "\nimport os\n")
    with pytest.raises(KitError, match=r"app\.py: truncated or edited .*space\.json.* render it again"):
        open_staged(rendered)
    (rendered / "app.py").unlink()
    with pytest.raises(KitError, match=r"app\.py is missing"):
        open_staged(rendered)


@pytest.mark.parametrize("text", ["[]", "{}", "null", "7", '{"model": "m", "files": []}'])
def test_a_space_without_settings_is_broken(text: str, tmp_path: Path) -> None:
    folder = space(tmp_path / "space")
    (folder / "space.json").write_text(text)
    with pytest.raises(KitError, match=r"space\.json is (missing or )?broken"):
        open_staged(folder)


@pytest.mark.parametrize("make", [adapter, space])
def test_links_stay_inside(make, tmp_path: Path) -> None:
    folder = make(tmp_path / "folder")
    (tmp_path / "private.txt").write_text("mine")
    (folder / "inside.json").symlink_to(folder / "README.md")
    assert "inside.json" in open_staged(folder).files
    for target in (tmp_path / "private.txt", tmp_path / "nowhere", "/etc/hostname"):
        (folder / "link.json").symlink_to(target)
        with pytest.raises(KitError, match=r"link\.json: a link to .*, outside of the folder"):
            open_staged(folder)
        (folder / "link.json").unlink()
    (folder / "dangling").symlink_to(folder / "nothing")
    with pytest.raises(KitError, match="dangling: no plain file"):
        open_staged(folder)
    (folder / "dangling").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(KitError, match="pipe: no plain file"):
        open_staged(folder)


def test_a_datasets_link_stays_inside_too(tmp_path: Path) -> None:
    folder = preferences(tmp_path / "preferences")
    (tmp_path / "timing.json").write_text("{}")
    (folder / "timing.json").unlink()
    (folder / "timing.json").symlink_to(tmp_path / "timing.json")
    with pytest.raises(KitError, match="outside of the folder"):
        open_staged(folder)


# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "an access token of the Hub": "hf_" + "aB3" * 12,
    "an access key of AWS": "AKIA" + "Z7Q4" * 4,
    "a token of GitHub": "ghp_" + "aB3d" * 9,
    "a token of GitHub, fine-grained": "github_pat_" + "aB3_" * 21,
    "a key of OpenAI": "sk-" + "aB3d" * 12,
    "a key of OpenAI, of a project": "sk-proj-" + "aB3-_" * 20,
    "a key of OpenAI, of old": "sk-" + "aB3d" * 5 + "T3BlbkFJ" + "aB3d" * 5,
    "a key of Anthropic": "sk-ant-api03-" + "aB3-" * 20,
    "a key of Google": "AIza" + "aB3-_" * 7,
    "a token of Slack": "xoxb-" + "1234567890-" * 2 + "aB3d" * 6,
    "a token of GitLab": "glpat-" + "aB3-" * 5,
    "a token of PyPI": "pypi-AgE" + "aB3-" * 20,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "aB3/" * 16,
    "a private key, in JSON": "-----BEGIN " + "PRIVATE KEY-----\\n" + "aB3+" * 16,
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_named_with_file_and_line_and_not_shown(name: str, tmp_path: Path) -> None:
    folder, secret = space(tmp_path / "space"), SECRETS[name]
    (folder / "app.py").write_text(f"import os\n\nKEY = '{secret}'\n")
    with pytest.raises(
        KitError, match=r"app\.py: line 3 of app\.py holds what looks like (.*); take it out"
    ) as refused:
        open_staged(folder)
    assert name.split(",")[0] in str(refused.value) and secret not in str(refused.value)


@pytest.mark.parametrize("place", [0, 10, _BLOCK - 10, _BLOCK, 2 * _BLOCK - 150])
def test_a_secret_is_found_wherever_blocks_end(place: int, tmp_path: Path) -> None:
    path, secret = tmp_path / "file", SECRETS["a token of GitHub, fine-grained"].encode()
    path.write_bytes(b"\n" * place + secret + b"\n" * 300)
    with pytest.raises(KitError, match=f": line {place + 1} of f holds"):
        refuse_secrets("f", path)


def test_what_only_resembles_one_is_published(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(
        "AKIA" + "IOSFODNN7EXAMPLE\n"  # AWS's own example.
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n"
        "task-oriented-dialogue-with-a-language-model-of-the-right-size, sk-learn, hf_hub, AIza, ghp_x\n"
    )
    refuse_secrets("f", path)
    with pytest.raises(KitError, match="line 5 of f holds what looks like an access token;"):
        refuse_secrets("f", path, b"of-the-right-size")

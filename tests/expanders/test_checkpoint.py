"""A local model is known by all that decides what it answers, and no code of its folder is run."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint, resolve_checkpoint
from builders.expanders.local import LocalExpander
from builders.exporting.gguf_file import known_config
from builders.exporting.merged import load_tokenizer, merged_model
from train.students import student


def model(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    contents = {"config.json": '{"_name_or_path": "acme/small"}', "tokenizer.json": "{}", "README.md": "a card"}
    for name, text in {**contents, **{name.replace("__", "."): text for name, text in files.items()}}.items():
        (folder / name).write_text(text)
    return folder


def revision(folder: Path) -> str:
    return resolve_checkpoint(str(folder)).revision


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "model.pt", "model.gguf", "tf_model.h5", "anything"])
def test_models_without_safetensors_differ_by_their_weights(weights, tmp_path):
    folders = [model(tmp_path / name / "small") for name in ("one", "other", "same")]
    for folder, content in zip(folders, ("weights", "others", "weights"), strict=True):
        (folder / weights).write_text(content)
    (folders[2] / "README.md").write_text("another card")
    (folders[2] / ".cache").mkdir()
    one, other, same = map(revision, folders)
    assert one == same != other
    assert resolve_checkpoint(str(folders[0])).model_id == "acme/small"


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "chat_template.jinja", "additional_chat_templates/rag.jinja", "config.json"]
)
def test_tokenizer_template_and_configuration_are_part_of_it(name, tmp_path):
    one = model(tmp_path / "one", pytorch_model__bin="weights")
    before = revision(one)
    (one / name).parent.mkdir(exist_ok=True)
    (one / name).write_text('{"changed": true}')
    assert revision(one) != before


def test_models_in_safetensors_are_known_as_they_were(tmp_path):
    one = model(tmp_path / "one")
    (one / "model.safetensors").write_bytes(b"weights")
    # As answers that are kept, and paid for, name it.
    assert revision(one) == "sha256:9a129038d9a00aed"


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_broken_configuration_is_one_line(text, tmp_path):
    one = model(tmp_path / "one")
    (one / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(KitError, match=r"config\.json is broken"):
        resolve_checkpoint(str(one))


@pytest.fixture
def with_code(tmp_path, monkeypatch) -> Checkpoint:
    """A model whose configuration names code of its own; whoever is asked about it says yes."""
    folder = model(tmp_path / "with-code")
    auto_map = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model", "AutoTokenizer": ["mine.T", None]}
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": auto_map}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T", "auto_map": auto_map}))
    (folder / "mine.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    (folder / "pytorch_model.bin").touch()
    monkeypatch.setattr("builtins.input", lambda *text: "y")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield resolve_checkpoint(str(folder))
    assert not (tmp_path / "ran").exists()
    shutil.rmtree(folder)


OPTIONS = SimpleNamespace(
    load_in_4bit=False, dtype="float32", attn_implementation=None, bnb_4bit_quant_type="nf4", load_in_8bit=False
)


@pytest.mark.parametrize(
    "load",
    [
        lambda one: LocalExpander(one.path).tokenizer,
        lambda one: LocalExpander(one.path).model,
        lambda one: merged_model(one, Path(one.path)),
        lambda one: load_tokenizer(Path(one.path)),
        lambda one: known_config(one.path, one.model_id),
        student.load_tokenizer,
        lambda one: student.load_base(one, OPTIONS),
    ],
)
def test_no_code_of_a_model_runs_and_nobody_is_asked(load, with_code):
    with pytest.raises(KitError, match=r"with-code.* cannot be loaded: .*custom code"):
        load(with_code)

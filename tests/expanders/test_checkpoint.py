"""A local model is known by all that decides what it answers, and no code of its folder is run."""

import json
import logging
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.artifacts.provenance import same_settings
from builders.errors import KitError
from builders.expanders.adapter import with_adapter
from builders.expanders.checkpoint import Checkpoint, resolve_checkpoint
from builders.expanders.expander import Expansion
from builders.expanders.generation_log import GenerationLog
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


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
        *("tokenizer.model", "chat_template.jinja", "additional_chat_templates/rag.jinja"),
    ],
)
def test_tokenizer_template_and_configuration_are_part_of_it(name, weights, tmp_path):
    one = model(tmp_path / "one", **{weights: "weights"})
    before = revision(one)
    (one / name).parent.mkdir(exist_ok=True)
    (one / name).write_text('{"changed": true}')
    assert revision(one) != before


WEIGHTS = "sha256:9a129038d9a00aed"


def test_models_in_safetensors_are_known_by_their_weights_first(tmp_path):
    """As answers that are kept, and paid for, name them; what decides no answer changes nothing."""
    one = model(tmp_path / "one", model__safetensors="weights")
    before = revision(one)
    assert before.startswith(f"{WEIGHTS}+") and len(before) == len(f"{WEIGHTS}+") + 16
    for name in ("README.md", "pytorch_model.bin", "export.json", ".gitattributes", "logo.png"):
        (one / name).write_text("more")
    assert revision(one) == before
    (one / "model.safetensors").write_text("others")
    assert revision(one).partition("+")[2] == before.partition("+")[2] and WEIGHTS not in revision(one)


def identified(folder: Path) -> dict:
    return {"expander": {"model_id": "acme/small", "revision": revision(folder)}, "seed": 1}


def test_what_earlier_versions_made_is_known_again(tmp_path, caplog):
    """They recorded the weights alone, so nothing else of theirs can be compared, and that is said."""
    one = model(tmp_path / "one", model__safetensors="weights")
    settings = identified(one)
    earlier = json.loads(json.dumps(settings).replace(revision(one), WEIGHTS))
    assert same_settings(settings, settings) and not caplog.text
    assert same_settings(earlier, settings) and "made by an earlier version" in caplog.text
    (one / "chat_template.jinja").write_text("another")
    assert not same_settings(settings, identified(one))
    (one / "model.safetensors").write_text("others")
    assert not same_settings(earlier, identified(one))


def test_answers_of_earlier_versions_are_taken_over_once(tmp_path):
    one = model(tmp_path / "one", model__safetensors="weights")
    earlier = json.loads(json.dumps(identified(one)).replace(revision(one), WEIGHTS))
    for process in (0, 1):
        GenerationLog(tmp_path / "work", earlier, process).append(f"q{process}", [Expansion("kept", 1, 1, "stop")])
    log = GenerationLog(tmp_path / "work", earlier)
    log.path.with_suffix(".cost.json").write_text("{}")  # As an evaluation keeps beside it what they took.
    taken = GenerationLog(tmp_path / "work", identified(one))
    assert set(taken.answers) == {"q0", "q1"} and taken.path.with_suffix(".cost.json").exists()
    assert not log.path.exists() and len(list((tmp_path / "work").iterdir())) == 3
    (one / "chat_template.jinja").write_text("another")
    assert not GenerationLog(tmp_path / "work", identified(one)).answers


NOTE = json.dumps({"model_id": "HuggingFaceTB/SmolLM2-135M-Instruct", "revision": "v1", "weights": "the Hub"})


def test_what_a_strangers_folder_says_of_itself_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    for place in ("one", "checkpoints/one", "cache/one", "cache/checkpoints/below/one"):
        found = resolve_checkpoint(str(model(tmp_path / place, model__safetensors="weights", checkpoint__json=NOTE)))
        assert (found.model_id, found.weights) == ("acme/small", "a local folder")
        assert found.revision.startswith(f"{WEIGHTS}+")
    (tmp_path / "cache/checkpoints/linked").symlink_to(tmp_path / "one")
    assert resolve_checkpoint(str(tmp_path / "cache/checkpoints/linked")).weights == "a local folder"


def test_a_note_of_the_kits_own_is_believed_until_the_folder_is_altered(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    one = model(tmp_path / "cache/checkpoints/one", model__safetensors="weights", checkpoint__json=NOTE)
    assert resolve_checkpoint(str(one)).revision == "v1", "as earlier versions wrote it"
    beside = revision(model(tmp_path / "same", model__safetensors="weights")).partition("+")[2]
    (one / "checkpoint.json").write_text(json.dumps({**json.loads(NOTE), "beside": beside}))
    (tmp_path / "link").symlink_to(one)
    assert revision(one) == revision(tmp_path / "link") == "v1"
    (one / "chat_template.jinja").write_text("another")
    assert revision(one).startswith(f"{WEIGHTS}+")
    for text in ("{", "[]", '{"model_id": 1}'):
        (one / "checkpoint.json").write_text(text)
        assert revision(one).startswith(f"{WEIGHTS}+")


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
        lambda one: LocalExpander(one.path, dtype="float32").tokenizer,
        lambda one: LocalExpander(one.path, dtype="float32", engine="transformers").load(),
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


def test_a_library_below_gives_nobody_advice():
    logger = logging.getLogger("bitsandbytes")
    logger.setLevel(logging.NOTSET)
    with pytest.raises(KitError, match="cannot be loaded"):
        with_adapter(None, "nowhere/at-all", merge=False)
    assert not logging.getLogger("bitsandbytes.backends.cpu.ops").isEnabledFor(logging.WARNING)

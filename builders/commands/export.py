"""Export an adapter as a model that stands alone: merged into its base model, or that as a GGUF file.

    python -m builders export out/demo/models/dpo --format gguf --output_dir out/demo/exports/dpo-gguf

Only needed where adapters cannot be loaded (llama.cpp and its kin), or where one file is handier. The adapter is
evaluated and carded first; its results go into the card of the export.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders.cli import parse, say
from builders.exporting.exported import Wanted, export_adapter


@dataclass
class ExportArguments:
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


def main(argv: Sequence[str] | None = None) -> None:
    """Export from the command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and not arguments[0].startswith("-"):
        arguments.insert(0, "--adapter")
    (args,) = parse(ExportArguments, arguments, "python -m builders export", __doc__ or "")

    wanted = Wanted(Path(args.adapter), args.format, args.dtype, args.model, args.prompt)
    made = export_adapter(wanted, Path(args.output_dir), args.repo_id, args.adapter_repo_id)
    say(f"{args.output_dir}: {'exported' if made else 'up to date'}")

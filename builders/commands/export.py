"""Export an adapter as a model that stands alone: merged into its base model, or that as a GGUF file.

    python -m builders export out/demo/models/dpo --format gguf --output_dir out/demo/exports/dpo-gguf

Only needed where adapters cannot be loaded (llama.cpp and its kin), or where one file is handier. The adapter is
evaluated and carded first; its results go into the card of the export.
"""

import sys
from collections.abc import Sequence

from builders.cli import parse, say
from builders.exporting.exported import ExportOptions, export_adapter


def main(argv: Sequence[str] | None = None) -> None:
    """Export from the command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and not arguments[0].startswith("-"):
        arguments.insert(0, "--adapter")
    (args,) = parse(ExportOptions, arguments, "python -m builders export", __doc__ or "")

    say(f"{args.output_dir}: {'exported' if export_adapter(args) else 'up to date'}")

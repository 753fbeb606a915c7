"""Publish a folder that the kit rendered: a dataset, an adapter, a retriever or a Space.

    python -m builders publish out/demo/preferences --repo_id OWNER/NAME --tag v1.0

The folder knows what it is. The repository is made if need be, private until --public. What people wrote into its card
on the Hub stays. To try it without an account, start the test Hub: python -m tests.hub_server
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from builders.cli import parse
from builders.publishing.hub import publish_folder
from builders.publishing.publisher import PublishOptions


@dataclass(kw_only=True)
class PublishArguments(PublishOptions):
    """Settings of `python -m builders publish`."""

    folder: str = field(metadata={"help": "The rendered folder; may also stand first, without its name."})
    repo_id: str = field(metadata={"help": "OWNER/NAME on the Hub; the owner may be an organisation."})


def main(argv: Sequence[str] | None = None) -> None:
    """Publish from the command line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and not arguments[0].startswith("-"):
        arguments.insert(0, "--folder")
    (args,) = parse(PublishArguments, arguments, "python -m builders publish", __doc__ or "")

    publish_folder(args.folder, args.repo_id, args)

"""The built dataset: what every command that renders one has in common, once it knows its settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.processes import join_processes
from builders.publishing.hub import check_repo_id, publish_folder


@dataclass(kw_only=True)
class PublishingOptions:
    """Whether the folder is published, too, and where."""

    push_to_hub: bool = field(default=False, metadata={"help": "Publish the folder, as `builders publish` does."})
    repo_id: str | None = field(default=None, metadata={"help": "With --push_to_hub: OWNER/NAME."})


def build_and_publish(args: Any, build: Callable[[Any], Path]) -> None:
    """Build a folder and publish it if its settings say so; a repository that cannot be named is refused before.

    Args:
        args ([`PublishingOptions`]):
            The command's settings.
        build (`Callable`):
            Makes the folder from them and returns it.

    Raises:
        KitError: the folder cannot be made or published.
    """
    if args.push_to_hub:
        check_repo_id(args.repo_id)
    folder = build(args)
    if args.push_to_hub and join_processes().is_main:
        publish_folder(folder, args.repo_id)

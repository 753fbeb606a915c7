"""Publish any folder that the kit made: what every publishing command calls."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builders.errors import KitError
from builders.publishing.failure import OFFLINE
from builders.publishing.publisher import Published, Publisher, PublishOptions
from builders.publishing.repository import Repository
from builders.publishing.staging.load import open_staged


if TYPE_CHECKING:
    from huggingface_hub import HfApi

TAG = re.compile(r"[A-Za-z0-9][\w.+-]*(/[\w.+-]+)*")


def publish_folder(
    folder: str | Path, repo_id: str, options: PublishOptions | None = None, api: "HfApi | None" = None
) -> Published:
    """Publish a folder that the kit rendered: a dataset, an adapter, a retriever or a Space.

    Args:
        folder (`str` or `Path`):
            The folder; it tells what it is.
        repo_id (`str`):
            `OWNER/NAME`.
        options ([`PublishOptions`], *optional*):
            How.
        api (`HfApi`, *optional*):
            The Hub and the token; by default those of the environment (HF_ENDPOINT, HF_TOKEN, `hf auth login`).

    Raises:
        KitError: anything that keeps the folder from being published. Unless the message says that it was published,
            the repository holds what it held before.
    """
    from huggingface_hub import HfApi, get_token, is_offline_mode

    options, api = options or PublishOptions(), api or HfApi()
    check_repo_id(repo_id)
    _refuse_special_files(Path(folder))
    staged = replace(open_staged(Path(folder)), repo_id=repo_id)
    if options.create_pr and (options.tag or options.public or options.revision):
        raise KitError("--create_pr proposes a commit for main: --tag, --public and --revision do not go with it")
    if options.tag is not None and not TAG.fullmatch(options.tag):
        raise KitError(f"--tag {options.tag!r}: no name for a tag; give one like v1.0")
    if not options.dry_run and is_offline_mode():
        raise KitError(OFFLINE)
    if not options.dry_run and (api.token is False or not (api.token or get_token())):
        raise KitError("no access token: run `hf auth login`, or set HF_TOKEN to one that may write")
    repository = Repository(api, repo_id, staged.repo_type, options.revision or "main")
    return Publisher(staged, repository, options).publish()


def _refuse_special_files(folder: Path) -> None:
    """Raise KitError where there is something that cannot be read to its end: reading a named pipe waits for ever."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() and not path.is_dir():
            raise KitError(f"{path}: neither a file nor a folder: take it out, then publish")


def check_repo_id(repo_id: str | None) -> None:
    """Raise KitError unless this is `OWNER/NAME`, as the Hub allows it."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id or "")
    except HFValidationError as error:
        raise KitError(f"--repo_id {repo_id!r}: {' '.join(str(error).split())}") from error
    if (repo_id or "").count("/") != 1:
        raise KitError(f"--repo_id {repo_id!r}: give OWNER/NAME")

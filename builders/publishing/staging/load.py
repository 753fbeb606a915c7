"""Recognise a rendered folder (dataset, adapter, retriever, export or Space) and check that it may be published."""

import re
from pathlib import Path

from builders.artifacts.dataset_folder import BUILD
from builders.artifacts.model_folder import RETRIEVER, TRAINING, kind_of_model
from builders.errors import KitError
from builders.publishing.failure import TOKEN
from builders.publishing.staging.adapter import open_adapter
from builders.publishing.staging.dataset import open_rendered_dataset
from builders.publishing.staging.encoder import open_encoder
from builders.publishing.staging.export import EXPORT, open_export
from builders.publishing.staging.space import SPACE, open_space
from builders.publishing.staging.staged import Rendered


def open_rendered(folder: Path) -> Rendered:
    """Recognise a rendered folder and check that it is whole and fit to be seen.

    Raises:
        KitError: it is no rendered folder, is unfinished, was made by edited code, or holds something secret.
    """
    if not folder.is_dir():
        raise KitError(f"{folder}: no such folder")
    open_trained = open_encoder if kind_of_model(folder) == RETRIEVER else open_adapter
    opens = {BUILD: open_rendered_dataset, TRAINING: open_trained, EXPORT: open_export, SPACE: open_space}
    found = [name for name in opens if (folder / name).is_file()]
    if len(found) != 1:
        raise KitError(
            f"{folder}: no finished dataset, adapter, retriever, export or Space of the kit's "
            f"(one of {', '.join(opens)} would be there)"
        )
    rendered = opens[found[0]](folder)
    _refuse_secrets(rendered)
    return rendered


def _refuse_secrets(rendered: Rendered) -> None:
    """Look for access tokens in every file; a token's shape is enough, whoever it belongs to."""
    from huggingface_hub import get_token

    secret = (get_token() or "").encode()
    shape = re.compile(TOKEN.pattern.encode())
    for name, path in rendered.files.items():
        with path.open("rb") as file:
            tail = b""
            while block := file.read(1 << 22):
                if (secret and secret in tail + block) or shape.search(tail + block):
                    raise KitError(f"{path}: {name} holds what looks like an access token; take it out first")
                tail = block[-128:]

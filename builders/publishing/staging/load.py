"""Recognise a folder (dataset, adapter, retriever, export or Space) and check that it may be published."""

from pathlib import Path

from builders.artifacts.dataset_folder import BUILD
from builders.artifacts.model_folder import RETRIEVER, TRAINING, kind_of_model
from builders.artifacts.swap import recover
from builders.errors import KitError
from builders.publishing.staging.secret_scan import refuse_secrets
from builders.publishing.staging.staged_dataset import open_staged_dataset
from builders.publishing.staging.staged_export import EXPORT, open_export
from builders.publishing.staging.staged_folder import StagedFolder
from builders.publishing.staging.staged_model import open_adapter, open_retriever
from builders.publishing.staging.staged_space import SPACE, open_space


def open_staged(folder: Path) -> StagedFolder:
    """Recognise a folder and check that it is whole and fit to be seen.

    Raises:
        KitError: it is no folder of the kit's, is unfinished, was made by edited code, or holds something secret.
    """
    recover(folder)
    from huggingface_hub import get_token

    if not folder.is_dir():
        raise KitError(f"{folder}: no such folder")
    open_trained = open_retriever if kind_of_model(folder) == RETRIEVER else open_adapter
    opens = {BUILD: open_staged_dataset, TRAINING: open_trained, EXPORT: open_export, SPACE: open_space}
    found = [name for name in opens if (folder / name).is_file()]
    if len(found) != 1:
        raise KitError(
            f"{folder}: no finished dataset, adapter, retriever, export or Space of the kit's "
            f"(one of {', '.join(opens)} would be there)"
        )
    staged = opens[found[0]](folder)
    for name, path in staged.files.items():
        refuse_secrets(name, path, (get_token() or "").encode())
    return staged

"""Reads LoRA adapters: the base model that one belongs to, and its weights on that model."""

import logging
import warnings
from pathlib import Path
from typing import Any

from builders.artifacts.download import download
from builders.artifacts.model_folder import require_unaltered
from builders.artifacts.records import read_record
from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint


def adapter_base(adapter: str) -> str:
    """The base model's id that an adapter (folder or Hub id) names in its `adapter_config.json`.

    Raises:
        KitError: there is no such adapter, or its configuration cannot be read.
    """
    if Path(adapter).is_dir():
        path = Path(adapter) / "adapter_config.json"
    else:
        what = f"adapter {adapter!r} cannot be had from the Hub"
        path = download(what, adapter, allow=["adapter_config.json"]) / "adapter_config.json"
    try:
        return str(read_record(path)["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"adapter {adapter!r}: adapter_config.json is missing or broken; train it again") from error


def check_adapter_base(adapter: str, checkpoint: Checkpoint) -> None:
    """Raise KitError unless the adapter was trained on this base model, and is still what was trained."""
    base = adapter_base(adapter)
    if base != checkpoint.model_id:
        raise KitError(f"adapter {adapter!r} belongs to {base!r}, not to {checkpoint.model_id!r}: give that model")
    require_unaltered(Path(adapter))


def with_adapter(base: Any, adapter: str, merge: bool) -> Any:
    """Put an adapter on a loaded base model.

    Args:
        base (`PreTrainedModel`):
            The base model; see [`check_adapter_base`].
        adapter (`str`):
            Folder or Hub id.
        merge (`bool`):
            Add the adapter into the weights, which generates faster; a 4-bit base cannot take it in without loss.

    Raises:
        KitError: the adapter's weights are missing or broken.
    """
    # Loaded by PEFT, it asks everybody for a package that 4-bit weights on a CPU would gain by.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            # PEFT asks transformers for an attribute by its old name; nothing the user could mend.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            model = PeftModel.from_pretrained(base, adapter)
    except Exception as error:  # safetensors and torch raise classes of their own for a truncated file
        raise KitError(f"adapter {adapter!r} cannot be loaded: {str(error).splitlines()[0]}") from error
    return model.merge_and_unload() if merge else model

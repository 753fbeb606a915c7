"""The adapter: LoRA weights that belong to one base model."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint


TRAINING = "training.json"
TIMING = "timing.json"


def read_training(folder: Path) -> dict[str, Any]:
    """The provenance of an adapter folder.

    Raises:
        KitError: the folder is missing, unfinished, or no adapter of the kit's.
    """
    if not folder.is_dir():
        raise KitError(f"{folder}: no such adapter; train it first")
    try:
        training = json.loads((folder / TRAINING).read_text())
    except (OSError, ValueError) as error:
        raise KitError(
            f"{folder}: {TRAINING} is missing or broken, so this is no finished adapter; train it"
        ) from error
    if not (folder / "adapter_model.safetensors").is_file():
        raise KitError(f"{folder}: adapter_model.safetensors is missing; train the adapter again")
    return dict(training)


def adapter_base(adapter: str) -> str:
    """The base model's id that an adapter (folder or Hub id) names in its `adapter_config.json`.

    Raises:
        KitError: there is no such adapter, or its configuration cannot be read.
    """
    if Path(adapter).is_dir():
        path = Path(adapter) / "adapter_config.json"
    else:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            path = Path(hf_hub_download(adapter, "adapter_config.json"))
        except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, ValueError) as error:
            raise KitError(f"adapter {adapter!r}: no such folder, and not to be had from the Hub") from error
    try:
        return str(json.loads(path.read_text())["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise KitError(f"adapter {adapter!r}: adapter_config.json is missing or broken; train it again") from error


def check_adapter_base(adapter: str, checkpoint: Checkpoint) -> None:
    """Raise KitError unless the adapter was trained on this base model."""
    base = adapter_base(adapter)
    if base != checkpoint.model_id:
        raise KitError(f"adapter {adapter!r} belongs to {base!r}, not to {checkpoint.model_id!r}: give that model")


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
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            # PEFT asks transformers for an attribute by its old name; nothing the user could mend.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            model = PeftModel.from_pretrained(base, adapter)
    except Exception as error:  # safetensors and torch raise classes of their own for a truncated file
        raise KitError(f"adapter {adapter!r} cannot be loaded: {str(error).splitlines()[0]}") from error
    return model.merge_and_unload() if merge else model


def adapter_name(adapter: str) -> str:
    """How provenance names an adapter: a Hub id as it is, a folder by its name and the hash of its weights."""
    weights = Path(adapter) / "adapter_model.safetensors"
    if not weights.is_file():
        return adapter
    return f"{Path(adapter).name}@sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()[:16]}"

"""Add an adapter into the weights of its base model."""

from pathlib import Path
from typing import Any

from builders.errors import KitError
from builders.expanders.adapter import with_adapter
from builders.expanders.checkpoint import Checkpoint, loading


DTYPES = ("float32", "bfloat16", "float16")


def merged_weights(checkpoint: Checkpoint, adapter: str | None) -> Any:
    """Load a base model and add an adapter into it, in float32 whatever either was stored in.

    Raises:
        KitError: a package is missing, or weights are broken.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise KitError(f"{error.name} is missing: pip install 'query-expansion-kit[train]'") from error

    with loading(checkpoint.path):
        path = checkpoint.path
        base: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, trust_remote_code=False)
    return (base if adapter is None else with_adapter(base, adapter, merge=True)).eval()


def merged_model(checkpoint: Checkpoint, adapter: Path) -> Any:
    """A base model with an adapter in it, ready to be saved: see [`merged_weights`].

    Its generation configuration becomes greedy, as students are measured, and it pads as the adapter's tokenizer does.

    Raises:
        KitError: a package is missing, or the adapter's weights are broken.
    """
    model = merged_weights(checkpoint, str(adapter))
    from transformers import GenerationConfig

    tokenizer = load_tokenizer(adapter)
    before = model.generation_config
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=before.bos_token_id,
        # A list for some models: several tokens end an answer.
        eos_token_id=before.eos_token_id if before.eos_token_id is not None else tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def load_tokenizer(adapter: Path) -> Any:
    """The tokenizer that the adapter was trained with, chat template included."""
    from transformers import AutoTokenizer

    with loading(adapter):
        return AutoTokenizer.from_pretrained(adapter, trust_remote_code=False)


def save_merged(folder: Path, model: Any, adapter: Path, dtype: str) -> None:
    """Write what `from_pretrained` loads: weights (safetensors), configuration, tokenizer and chat template.

    Args:
        folder (`Path`):
            Exists, and is empty.
        model (`PreTrainedModel`):
            See [`merged_model`]. Its weights are converted in place.
        adapter (`Path`):
            Folder of the adapter, for its tokenizer.
        dtype (`str`):
            One of `DTYPES`.

    Raises:
        KitError: a weight is too large for the dtype.
    """
    import torch

    model.to(getattr(torch, dtype))
    for name, weights in model.state_dict().items():
        if not bool(torch.isfinite(weights).all()):
            raise KitError(f"{name} does not fit into {dtype}: give --dtype bfloat16 or float32")
    model.save_pretrained(folder)
    load_tokenizer(adapter).save_pretrained(folder)

"""The student: a base model in 4 bits with a LoRA adapter, and the folder that its adapter is saved to."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.files import atomic_folder, dump_json
from builders.artifacts.model_folder import TIMING, TRAINING
from builders.artifacts.ownership import MODEL
from builders.artifacts.provenance import code_version, versions
from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint, resolve_checkpoint
from train.reports.curves import curves_plot


if TYPE_CHECKING:
    from trl import ModelConfig


CURVES = "curves.png"


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The base model's tokenizer, with a padding token that is not the end token.

    Where both are one (SmolLM2), padding is masked out of the loss and the end token with it: the student would never
    learn to stop.

    Raises:
        KitError: the vocabulary has no other token to pad with.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint.path)
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        special = ("<|endoftext|>", "<|finetune_right_pad_id|>", "<pad>", tokenizer.unk_token)
        spare = [token for token in special if token in tokenizer.get_vocab() and token != tokenizer.eos_token]
        if not spare:
            raise KitError(
                f"{checkpoint.model_id}: its tokenizer has no padding token that differs from the end token"
            )
        tokenizer.pad_token = spare[0]
    return tokenizer


def load_base(checkpoint: Checkpoint, model_args: "ModelConfig") -> Any:
    """The base model as the recipe wants it: dtype, and NF4 where `load_in_4bit` is set.

    Raises:
        KitError: 4-bit weights were to be split among processes.
    """
    import torch
    from accelerate import PartialState
    from transformers import AutoModelForCausalLM
    from trl import get_quantization_config

    if is_sharded() and model_args.load_in_4bit:
        raise KitError(
            "load_in_4bit: FSDP and ZeRO-3 cannot split NF4 weights; set it to false, or take multi_gpu.yaml"
        )

    state = PartialState()
    place = state.process_index if state.device.type == "cuda" else state.device.type
    return AutoModelForCausalLM.from_pretrained(
        checkpoint.path,
        dtype=getattr(torch, model_args.dtype) if model_args.dtype not in (None, "auto") else "auto",
        quantization_config=get_quantization_config(model_args),
        attn_implementation=model_args.attn_implementation,
        device_map=None if is_sharded() else {"": place},
    )


def is_sharded() -> bool:
    """Whether the launcher's configuration splits the weights among processes (FSDP, ZeRO-3)."""
    from transformers.integrations import is_deepspeed_zero3_enabled

    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true") or is_deepspeed_zero3_enabled()


def continued(checkpoint: Checkpoint, model_args: "ModelConfig", adapter: Path) -> Any:
    """The base model with an adapter whose training goes on.

    Raises:
        KitError: the adapter's weights are broken, or do not fit this base.
    """
    from peft import PeftModel

    base = load_base(checkpoint, model_args)
    try:
        return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)
    except Exception as error:  # safetensors and torch raise classes of their own for a truncated file
        reason = " ".join(str(error).split())[:200]
        raise KitError(f"adapter {str(adapter)!r} cannot be loaded, train it again: {reason}") from error


def score_answers_only() -> None:
    """Have TRL's losses project the answers alone onto the vocabulary, on a CPU as it does by itself on a GPU.

    Elsewhere it projects every position, for compilers that want fixed shapes; a CPU compiles nothing. The losses are
    the same, and a step of a small model with a short answer is a fifth faster.
    """
    from trl.trainer import utils

    on_gpu = getattr(utils, "_use_triton", None)
    if on_gpu is not None:
        utils._use_triton = lambda device: device.type == "cpu" or on_gpu(device)


def resolve_base(model_args: "ModelConfig") -> Checkpoint:
    """The recipe's base model.

    Raises:
        KitError: the recipe names none, or none that exists.
    """
    if not model_args.model_name_or_path:
        raise KitError("the recipe names no model_name_or_path")
    revision = None if model_args.model_revision == "main" else model_args.model_revision
    return resolve_checkpoint(model_args.model_name_or_path, revision)


def save_student(
    folder: Path,
    model: Any,
    tokenizer: Any,
    checkpoint: Checkpoint,
    training: dict[str, Any],
    timing: dict[str, Any],
    weights: dict[str, Any] | None = None,
) -> None:
    """Write the adapter folder, whole or not at all.

    It holds the adapter, its configuration with the base model's **Hub** id and revision, the tokenizer with its chat
    template, the training's provenance and its curves; neither the frozen reference of DPO nor optimizer state.
    `weights` are the model's, gathered where they were split among processes.
    """
    with atomic_folder(folder, MODEL) as work:
        model.save_pretrained(work, selected_adapters=["default"], state_dict=weights)
        tokenizer.save_pretrained(work)
        (work / "README.md").unlink(missing_ok=True)  # PEFT's own card; ours is rendered by `python -m model_cards`.
        path = work / "adapter_config.json"
        on_hub = checkpoint.weights == "the Hub"
        config = json.loads(path.read_text())
        config |= {
            "base_model_name_or_path": checkpoint.model_id,
            "revision": checkpoint.revision if on_hub else None,
            "inference_mode": True,
        }
        path.write_text(dump_json(config))
        base = {name: value for name, value in asdict(checkpoint).items() if name != "path"}
        record = {"kind": "adapter", "base": base, "code_version": code_version(), "versions": versions(), **training}
        (work / TRAINING).write_text(dump_json(record))
        (work / CURVES).write_bytes(curves_plot(training["log"], training["validation"]))
        (work / TIMING).write_text(dump_json(timing))
        for path in work.iterdir():  # safetensors writes files that only their owner can read.
            path.chmod(0o644)

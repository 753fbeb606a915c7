"""Load a student: a base model, in 4 bits or not, with a LoRA adapter; and write the adapter."""

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import ModelConfig, get_quantization_config
from trl.trainer import utils

from builders.artifacts.files import dump_json
from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint, loading, resolve_checkpoint
from train.loop import is_sharded
from train.students.shared_prefixes import share_prefixes


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The base model's tokenizer, with a padding token that is not the end token.

    Where both are one (SmolLM2), padding is masked out of the loss and the end token with it: the student would never
    learn to stop.

    Raises:
        KitError: the vocabulary has no other token to pad with.
    """
    with loading(checkpoint.path):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.path, trust_remote_code=False)
        tokenizer("text")  # Its settings may be of other types than its code takes.
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        special = ("<|endoftext|>", "<|finetune_right_pad_id|>", "<pad>", tokenizer.unk_token)
        spare = [token for token in special if token in tokenizer.get_vocab() and token != tokenizer.eos_token]
        if not spare:
            raise KitError(
                f"{checkpoint.model_id}: its tokenizer has no padding token that differs from the end token"
            )
        tokenizer.pad_token = spare[0]
    return tokenizer


def load_base(checkpoint: Checkpoint, model_args: ModelConfig) -> Any:
    """The base model as the recipe wants it: dtype, and NF4 where `load_in_4bit` is set.

    Raises:
        KitError: 4-bit weights were to be split among processes.
    """
    if is_sharded() and model_args.load_in_4bit:
        raise KitError(
            "load_in_4bit: FSDP and ZeRO-3 cannot split NF4 weights; set it to false, or take multi_gpu.yaml"
        )

    state = PartialState()
    place = state.process_index if state.device.type == "cuda" else state.device.type
    quantization = get_quantization_config(model_args)
    with loading(checkpoint.path):
        base = AutoModelForCausalLM.from_pretrained(
            checkpoint.path,
            dtype=getattr(torch, model_args.dtype or "float32"),
            quantization_config=quantization,
            attn_implementation=model_args.attn_implementation,
            device_map=None if is_sharded() else {"": place},
            trust_remote_code=False,
        )
    for layer in base.modules():
        if "support_avx512bf16_for_cpu" in vars(layer):
            # Where the CPU can, bitsandbytes packs weights anew in evaluation: rounded, and no gradient goes through.
            vars(layer)["support_avx512bf16_for_cpu"] = False
    if place == "cpu":
        share_prefixes(base)
    return base


def continued(checkpoint: Checkpoint, model_args: ModelConfig, adapter: Path) -> Any:
    """The base model with an adapter whose training goes on.

    Raises:
        KitError: the adapter's weights are broken, or do not fit this base.
    """
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
    on_gpu = getattr(utils, "_use_triton", None)
    if on_gpu is not None:
        utils._use_triton = lambda device: device.type == "cpu" or on_gpu(device)


def resolve_base(model_args: ModelConfig) -> Checkpoint:
    """The recipe's base model.

    Raises:
        KitError: the recipe names none, or none that exists.
    """
    if not model_args.model_name_or_path:
        raise KitError("the recipe names no model_name_or_path")
    revision = None if model_args.model_revision == "main" else model_args.model_revision
    return resolve_checkpoint(model_args.model_name_or_path, revision)


def save_adapter(folder: Path, model: Any, tokenizer: Any, checkpoint: Checkpoint, weights: Any) -> None:
    """Write the adapter, its configuration with the base model's **Hub** id and revision, and the tokenizer.

    Neither the frozen reference of DPO nor optimizer state is written. `weights` are the model's, gathered where they
    were split among processes, or `None`.
    """
    model.save_pretrained(folder, selected_adapters=["default"], state_dict=weights)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's own card; ours is rendered by `python -m model_cards`.
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {
        "base_model_name_or_path": checkpoint.model_id,
        "revision": checkpoint.revision if checkpoint.weights == "the Hub" else None,
        "inference_mode": True,
    }
    path.write_text(dump_json(config))

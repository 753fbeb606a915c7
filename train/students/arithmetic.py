"""What a student is trained in: the dtype that the recipe names, or the one that this machine is faster in."""

from dataclasses import replace
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from trl import ModelConfig

from builders.expanders.engines.fastest_dtype import fastest_dtype
from builders.expanders.engines.generation_engine import AUTO


def settled(model_args: ModelConfig) -> ModelConfig:
    """The recipe with its dtype decided, where it says `dtype: auto`; another one as it is.

    It is that of generation, see [`fastest_dtype`]. All processes train in what the main process decides. On a CPU the
    backward pass of fused attention takes longer than that of its plain form, which is taken unless the recipe names
    one.
    """
    if model_args.dtype != AUTO:
        return model_args
    state = PartialState()
    decided = [fastest_dtype() if state.is_main_process else None]
    broadcast_object_list(decided)
    plain = "eager" if state.device.type == "cpu" else None
    return replace(model_args, dtype=decided[0], attn_implementation=model_args.attn_implementation or plain)


def arithmetic(model_args: ModelConfig) -> dict[str, Any]:
    """For `training.json`: what was decided."""
    return {"dtype": model_args.dtype, "attn_implementation": model_args.attn_implementation}


def keep_in_autocast(trainer: Any) -> None:
    """Have the adapter compute in bfloat16 where the trainer does (`bf16: true`), its weights staying in float32.

    PEFT would turn every input into float32 and autocast turn it back; on a CPU that takes a fifth of a step.
    """
    if trainer.args.bf16 and trainer.accelerator.device.type == "cpu":
        for layer in trainer.model.modules():
            if hasattr(layer, "cast_input_dtype_enabled"):
                layer.cast_input_dtype_enabled = False

"""Print how much memory a training takes, from its recipe and the base model's shape alone; nothing is loaded.

    python train/memory_estimate.py --config train/recipes/qwen3-4b/sft-rfd.yaml

The sum is of torch's tensors with every row at `max_length`; the GPU's own context and fragmentation come on top. What
goes on with an adapter, as DPO does, takes its rank; as long as there is no adapter, give `--lora_r`.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.command import parse, run
from builders.errors import KitError


if TYPE_CHECKING:
    from trl import ModelConfig

SHAPES = Path(__file__).with_name("shapes")
# NF4: half a byte a weight, 8 bits a block of 64 weights, 32 bits a group of 256 blocks (QLoRA paper, §3).
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
# Without double quantization: 32 bits a block.
NF4_SINGLE_BYTES = 0.5 + 4 / 64
# Tiles of logits in TRL's fused head: at most this many positions by this much of the vocabulary.
TILE_POSITIONS, TILE_VOCABULARY = 4096, 32768
# Nothing is trained, so a recipe for a GPU is read where there is none.
PRETENDED = ("--use_cpu", "true")


@dataclass
class Recipe:
    """Settings of `train/memory_estimate.py`: all those of train/sft.py or train/dpo.py, and no other."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of each kind of tensor on one device."""

    base: float
    adapters: float
    gradients: float
    optimizer: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of them."""
        return sum(asdict(self).values())

    def lines(self) -> list[str]:
        """A line for each kind, in GiB."""
        rows = {**asdict(self), "total": self.total}
        return [f"{name:<12} {value / 2**30:7.2f} GiB" for name, value in rows.items()]


def estimate(shape: Any, model_args: "ModelConfig", config: Any) -> MemoryEstimate:
    """Estimate one process's memory, with AdamW and the recipe's LoRA shape.

    Args:
        shape (`PreTrainedConfig`):
            The base model's configuration.
        model_args (`ModelConfig`), config (`SFTConfig` or `DPOConfig`):
            The recipe.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    pairs = hasattr(config, "beta")
    dtype = getattr(torch, model_args.dtype) if model_args.dtype not in (None, "auto") else torch.float32
    # TRL casts the adapter of a quantized base to bfloat16; the frozen reference of DPO stays float32.
    adapter_dtype = torch.bfloat16 if model_args.load_in_4bit else torch.float32
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(shape, dtype=dtype).train()
        base = _base_bytes(model, model_args)
        targets = model_args.lora_target_modules or "all-linear"
        lora = LoraConfig(
            r=model_args.lora_r, lora_dropout=model_args.lora_dropout, target_modules=targets, task_type="CAUSAL_LM"
        )
        tuned: Any = get_peft_model(model, lora)
    for weight in tuned.parameters():
        if weight.requires_grad:
            weight.data = weight.data.to(adapter_dtype)
    adapter = sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad)
    rows = config.per_device_train_batch_size * (2 if pairs else 1)
    saved = _saved_bytes(model, rows, config.max_length, dtype)
    inputs = rows * config.max_length * shape.hidden_size * dtype.itemsize
    layers = shape.num_hidden_layers
    tile = min(rows * config.max_length, TILE_POSITIONS) * min(shape.vocab_size, TILE_VOCABULARY)
    return MemoryEstimate(
        base=base,
        adapters=adapter * (adapter_dtype.itemsize + (4 if pairs else 0)),
        gradients=adapter * adapter_dtype.itemsize,
        optimizer=adapter * adapter_dtype.itemsize * 2,
        # With checkpointing only the layers' inputs are kept, and one layer at a time is computed again.
        activations=inputs * layers + saved if config.activation_checkpointing else saved * layers,
        logits=tile * dtype.itemsize,
    )


def _base_bytes(model: Any, model_args: "ModelConfig") -> float:
    """Bytes of the base: linear layers in NF4 where the recipe says so; the head, tied or not, and all else is not."""
    from torch.nn import Linear

    head = model.get_output_embeddings()
    linear = {id(module.weight) for module in model.modules() if isinstance(module, Linear) and module is not head}
    packed = NF4_BYTES if model_args.use_bnb_nested_quant else NF4_SINGLE_BYTES
    return sum(
        weight.numel() * (packed if model_args.load_in_4bit and id(weight) in linear else weight.element_size())
        for weight in model.parameters()
    )


def _saved_bytes(model: Any, rows: int, length: int, dtype: Any) -> int:
    """What autograd keeps of one decoder layer for its backward pass, the attention matrix among it."""
    import torch

    weights = {weight.untyped_storage()._cdata for weight in model.parameters()}
    saved: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            saved[storage._cdata] = storage
        return tensor

    shape = model.config
    head = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
    hidden = torch.empty(rows, length, shape.hidden_size, dtype=dtype, device="meta", requires_grad=True)
    rotary = (torch.empty(rows, length, head, dtype=dtype, device="meta"),) * 2
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.model.layers[0](hidden, position_embeddings=rotary, attention_mask=None)
    return sum(storage.nbytes() for storage in saved.values())


def load_shape(name: str) -> Any:
    """A base model's configuration: of a folder, of the embedded model, or of a Hub id, those of the kit's recipes
    without asking the Hub.

    Raises:
        KitError: nothing is known under that name.
    """
    import yaml
    from transformers import AutoConfig

    from builders.expanders.checkpoint import resolve_checkpoint

    known = SHAPES / f"{name.split('/')[-1].lower()}.yaml"
    if name.count("/") == 1 and known.is_file():
        shape = yaml.safe_load(known.read_text())
        return AutoConfig.for_model(shape.pop("model_type"), **shape)
    folder = resolve_checkpoint(name).path if Path(name).is_dir() or name.startswith("package:") else name
    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise KitError(f"the shape of model {name!r} cannot be had: {str(error).splitlines()[0]}") from error


def main() -> None:
    """Print the estimate."""
    import warnings

    from train.recipe import given

    arguments = sys.argv[1:]
    if not arguments or "-h" in arguments or "--help" in arguments:
        parse(Recipe, ["--help"], "python train/memory_estimate.py", __doc__ or "")
    from trl import DPOConfig, ModelConfig, SFTConfig

    from train.dpo import DPOData
    from train.sft import SFTData

    warnings.filterwarnings("ignore", category=FutureWarning)
    stage = (DPOData, DPOConfig) if "preferences" in given(arguments) else (SFTData, SFTConfig)
    data, config, model_args = parse(
        (*stage, ModelConfig), [*arguments, *PRETENDED], "python train/memory_estimate.py", ""
    )
    parent = Path(data.adapter or "") / "adapter_config.json"
    if data.adapter and parent.is_file():
        model_args.lora_r = json.loads(parent.read_text())["r"]
    shape = load_shape(model_args.model_name_or_path)
    sys.stdout.write("\n".join(estimate(shape, model_args, config).lines()) + "\n")


if __name__ == "__main__":
    run(main)

"""The run: what SFT and DPO have in common, from the recipe to the adapter folder."""

import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.command import say
from builders.errors import KitError
from builders.expanders.adapter import adapter_name
from builders.expanders.checkpoint import Checkpoint
from train.pairs import Pairs
from train.recipe import chosen, given, last_checkpoint, work_folder
from train.student import is_trained, save_student


if TYPE_CHECKING:
    from trl import ModelConfig


def train_student(
    stage: str,
    make_trainer: Callable[[Any], Any],
    config: Any,
    model_args: "ModelConfig",
    checkpoint: Checkpoint,
    data: dict[str, Pairs],
    parent: Path | None,
) -> None:
    """Train an adapter and save it to `config.output_dir`, unless it is there already with the same settings.

    Args:
        stage (`str`):
            `sft` or `dpo`.
        make_trainer (`Callable`):
            Config → TRL trainer; called only when there is something to train.
        config (`SFTConfig` or `DPOConfig`), model_args (`ModelConfig`):
            The recipe.
        checkpoint ([`Checkpoint`]):
            The base model.
        data (`dict`):
            Role → pairs trained on.
        parent (`Path`, *optional*):
            Adapter that the training goes on with.

    Raises:
        KitError: the loss is not a number at the end.
    """
    import warnings

    from transformers import set_seed

    # Of no use to whoever trains: deprecations inside the libraries, and PEFT looking for the base model on the Hub.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Could not find a config file")

    folder = Path(config.output_dir)
    names = given(sys.argv[1:])
    settings = {
        "stage": stage,
        "training": chosen(config, names),
        "model": chosen(model_args, names),
        "base": {"model_id": checkpoint.model_id, "revision": checkpoint.revision},
        "data": {role: pairs.build_sha256 for role, pairs in data.items()},
        "parent": adapter_name(str(parent)) if parent else None,
    }
    if is_trained(folder, settings):
        say(f"{folder}: up to date")
        return
    started = time.time()
    work = work_folder(folder, settings)
    set_seed(config.seed)
    trainer = make_trainer(replace(config, output_dir=str(work)))
    resume = last_checkpoint(work)
    if resume:
        say(f"going on from {resume}")
    trainer.train(resume_from_checkpoint=resume)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    if not history or any(entry["loss"] != entry["loss"] for entry in history):
        raise KitError(f"{stage}: the loss is not a number; lower the learning rate. Nothing was saved to {folder}")

    training = {
        "stage": stage,
        "settings": settings,
        "command": f"accelerate launch train/{stage}.py {shlex.join(sys.argv[1:])}",
        "effective_batch_size": config.train_batch_size
        * config.gradient_accumulation_steps
        * trainer.accelerator.num_processes,
        "processes": trainer.accelerator.num_processes,
        "steps": trainer.state.global_step,
        "rows": {role: len(pairs.rows) for role, pairs in data.items()},
        "data": {role: pairs.build for role, pairs in data.items()},
        "parent": settings["parent"],
        "reference": "frozen copy of the SFT adapter" if stage == "dpo" else None,
        "quantization": "NF4 with double quantization" if model_args.load_in_4bit else None,
        "log": [{k: v for k, v in entry.items() if "runtime" not in k and "second" not in k} for entry in history],
    }
    timing = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 1),
        "hardware": _hardware(trainer.accelerator.device),
    }
    if trainer.accelerator.is_main_process:
        model = trainer.accelerator.unwrap_model(trainer.model)
        save_student(folder, model, trainer.processing_class, checkpoint, training, timing)
        shutil.rmtree(work, ignore_errors=True)
        say(f"{folder}: adapter saved after {trainer.state.global_step} steps, last loss {history[-1]['loss']}")
    trainer.accelerator.wait_for_everyone()


def _hardware(device: Any) -> str:
    import os

    import torch

    if device.type == "cuda":
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(device)}"
    return f"{os.cpu_count()} CPU cores ({platform.machine()})"

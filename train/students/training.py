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

from builders.artifacts.model_folder import ADAPTER, adapter_name, is_trained
from builders.cli import say
from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint
from train.memory import PeakMemory
from train.run_settings import chosen, given, last_checkpoint, work_folder
from train.students.student import is_sharded, save_student
from train.students.validation import Validation, ValidationOptions, best_check, best_weights, checks
from train.training_data import Pairs


if TYPE_CHECKING:
    from trl import ModelConfig


PROJECT = "query-expansion-kit"


def train_student(
    stage: str,
    make_trainer: Callable[[Any], Any],
    config: Any,
    model_args: "ModelConfig",
    checkpoint: Checkpoint,
    data: dict[str, Pairs],
    options: ValidationOptions,
    parent: Path | None = None,
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
        options ([`ValidationOptions`]):
            How the training is watched.
        parent (`Path`, *optional*):
            Adapter that the training goes on with.

    Raises:
        KitError: a setting cannot be met, or the loss is not a number.
    """
    import warnings

    from accelerate import PartialState
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
        "data": {role: {"build_sha256": pairs.build_sha256, "split": pairs.split} for role, pairs in data.items()},
        "parent": adapter_name(str(parent)) if parent else None,
        "validation": options.settings(),
    }
    if is_trained(folder, ADAPTER, settings):
        say(f"{folder}: up to date")
        return
    check_trackers(config.report_to)
    state = PartialState(cpu=config.use_cpu)
    # Before the model is loaded: a search engine that cannot be had must cost no time.
    validation = Validation(options, model_args) if options.validation_steps and state.is_main_process else None
    started = time.time()
    with state.main_process_first():
        work = work_folder(folder, settings)
    set_seed(config.seed)
    trainer = make_trainer(
        replace(
            config,
            output_dir=str(work),
            logging_nan_inf_filter=False,  # It would write an average in the place of a loss that is not a number.
            run_name=config.run_name or folder.name,
            project=PROJECT if config.project == "huggingface" else config.project,
        )
    )
    watch(trainer, stage, options, validation, work, folder)
    with state.main_process_first():
        resume = last_checkpoint(work)
    if resume:
        say(f"going on from {resume}")
    with PeakMemory() as memory:
        trainer.train(resume_from_checkpoint=resume)
    history = trainer.state.log_history
    # TRL counts `num_tokens` from the start of the process: a resumed run would differ in it, and in nothing else.
    losses = [entry for entry in history if "loss" in entry]
    if not losses:
        raise KitError(f"{stage}: there was nothing to train on. Nothing was saved to {folder}")
    student = trainer.accelerator.unwrap_model(trainer.model)
    kept = keep_best(student, history, options, work)

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
        "reference": ("frozen copy of the SFT adapter" if parent else "the base model") if stage == "dpo" else None,
        "quantization": "NF4 with double quantization" if model_args.load_in_4bit else None,
        "log": [{name: value for name, value in entry.items() if name != "num_tokens"} for entry in losses],
        "validation": {"checks": checks(history), "kept_step": kept} if options.validation_steps else None,
    }
    timing = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 1),
        "resumed": resume is not None,  # Then the seconds are those of the last run.
        "peak_memory_mib": round(memory.mebibytes),
        "hardware": hardware(trainer.accelerator.device),
    }
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped) if is_sharded() else None
    if state.is_main_process:
        save_student(folder, student, trainer.processing_class, checkpoint, training, timing, weights)
        shutil.rmtree(work, ignore_errors=True)
        say(f"{folder}: adapter of step {kept} saved after {trainer.state.global_step} steps, {_last(training)}")
    state.wait_for_everyone()


def check_trackers(report_to: str | list[str]) -> None:
    """Raise KitError where the recipe asks for Trackio and it is not installed."""
    import importlib.util

    if "trackio" in report_to and importlib.util.find_spec("trackio") is None:
        raise KitError("report_to: trackio is missing: pip install 'query-expansion-kit[train]', or say none")


def watch(
    trainer: Any, stage: str, options: ValidationOptions, validation: Validation | None, work: Path, folder: Path
) -> None:
    """Have the trainer look at its loss, and check its student if the recipe says so.

    Raises:
        KitError: the weights are split among processes, so that no single one could generate.
    """
    from train.callbacks import LastStepLog, LossGuard, ValidationCallback

    trainer.add_callback(LossGuard(stage, folder))
    if options.validation_steps:
        if is_sharded():
            raise KitError("validation_steps: not with FSDP or ZeRO-3, which split the student's weights; give 0")
        trainer.add_callback(ValidationCallback(options, validation, trainer, work))
    trainer.add_callback(LastStepLog())  # After the one that may stop early.


def keep_best(student: Any, history: list[dict[str, Any]], options: ValidationOptions, work: Path) -> int:
    """Put the weights of the best check into the student, if it was checked at all; the step that they are of."""
    from train.callbacks import restore

    best = best_check(history) if options.keep_best else None
    if best is None:
        return int(history[-1]["step"])
    restore(student, best_weights(work, best["step"]))
    return int(best["step"])


def _last(training: dict[str, Any]) -> str:
    done = training["validation"]
    told = f"last loss {training['log'][-1]['loss']}"
    if not done:
        return told
    scores = {check["step"]: check["validation_ndcg_at_10"] for check in done["checks"]}
    return f"{told}, validation nDCG@10 {scores.get(done['kept_step'], float('nan')):.4f} (before: {scores[0]:.4f})"


def hardware(device: Any) -> str:
    """What a training ran on."""
    import os

    import torch

    if device.type == "cuda":
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(device)}"
    return f"{os.cpu_count()} CPU cores ({platform.machine()})"

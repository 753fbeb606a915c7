"""Train a model and save it whole: the one loop under supervised fine-tuning, DPO, retrievers and filters."""

import os
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, set_seed
from transformers.integrations import is_deepspeed_zero3_enabled

from builders.artifacts.files import atomic_folder, dump_json
from builders.artifacts.locks import locked
from builders.artifacts.model_folder import TIMING, TRAINING, hashed_files, is_trained
from builders.artifacts.ownership import MODEL
from builders.artifacts.provenance import made_by
from builders.artifacts.swap import discard
from builders.cli import say
from builders.errors import KitError
from builders.processes import Processes
from train.callbacks import CompleteLog, LossGuard
from train.memory import PeakMemory, hardware
from train.reports.curves import CURVES, curves_plot
from train.run_settings import check_trackers, chosen, given, is_last, last_checkpoint, leave_work, work_folder


PROJECT = "query-expansion-kit"
# What differs from run to run, in the names of figures that a trainer logs. TRL counts `num_tokens` from the start of
# the process: a resumed run would differ in it, and in nothing else.
TIMED = ("second", "runtime", "num_tokens")


class Training(ABC):
    """What one kind of training brings to the loop.

    Attributes:
        kind (`str`), stage (`str`): kind of model folder (`adapter`, `retriever`, `filter`); name in settings, errors.
        command (`str`): what it was started with, without its arguments.
        config (`TrainingArguments`), base ([`Checkpoint`] or [`Encoder`]): the recipe's settings of the library, and
            the model that it begins with.
    """

    kind: str
    stage: str
    command: str
    config: Any
    base: Any

    @abstractmethod
    def settings(self, names: set[str]) -> dict[str, Any]:
        """What the model depends on beside the above; `names` are the settings that were given a value."""

    def prepare(self, is_main: bool) -> None:  # noqa: B027
        """Refuse, before a model is loaded, what cannot be met; called in every process."""

    @abstractmethod
    def make_trainer(self, overrides: Mapping[str, Any]) -> Any:
        """A trainer by the recipe and the loop's `overrides` of it."""

    def callbacks(self, trainer: Any, work: Path) -> Sequence[TrainerCallback]:
        """What the trainer calls beside the loop's own callbacks."""
        return ()

    @abstractmethod
    def record(self, trainer: Any, history: Sequence[Mapping[str, Any]], work: Path) -> dict[str, Any]:
        """Choose the weights to keep; what `training.json` says beside what it says of every training."""

    @abstractmethod
    def save(self, made: Path, trainer: Any, weights: Any) -> None:
        """Write the model into a folder; `weights` are given where they were split among processes."""

    def files(self, record: Mapping[str, Any]) -> Mapping[str, bytes]:
        """Further files of the model's folder, name → content."""
        return {CURVES: curves_plot(record["log"], record.get("validation"))}

    @abstractmethod
    def said(self, record: Mapping[str, Any]) -> str:
        """What the person at the terminal is told at the end."""

    def processes(self, trainer: Any) -> dict[str, int]:
        """How many processes trained, and the rows of one optimizer step."""
        number = trainer.accelerator.num_processes
        rows = self.config.train_batch_size * self.config.gradient_accumulation_steps * number
        return {"processes": number, "effective_batch_size": rows}


def train(training: Training) -> None:
    """Train a model and save it to the recipe's `output_dir`, unless it is there already with the same settings.

    Raises:
        KitError: a setting cannot be met, somebody else trains there, or the loss is not a number.
    """
    state, folder = PartialState(cpu=training.config.use_cpu), Path(str(training.config.output_dir))
    with locked(folder.with_name(f"{folder.name}.work"), Processes(state.process_index, state.num_processes)):
        _train(training, state)


def _train(training: Training, state: PartialState) -> None:
    # Of no use to whoever trains: deprecations inside the libraries, and PEFT looking for the base model on the Hub.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Could not find a config file")
    config, folder, names = training.config, Path(str(training.config.output_dir)), given(sys.argv[1:])
    settings = {
        "stage": training.stage,
        "training": chosen(config, names),
        "base": {"model_id": training.base.model_id, "revision": training.base.revision},
        **training.settings(names),
    }
    if is_trained(folder, training.kind, settings):
        say(f"{folder}: up to date")
        if state.is_main_process:
            leave_work(folder, settings)
        return
    check_trackers(config.report_to)
    training.prepare(state.is_main_process)
    started = time.time()
    with state.main_process_first():
        work = work_folder(folder, settings)
    set_seed(config.seed)
    with failing(training.stage):
        trainer = training.make_trainer(_overrides(config, work, folder))
    for callback in (LossGuard(training.stage, folder), *training.callbacks(trainer, work), CompleteLog()):
        trainer.add_callback(callback)  # The last step's log comes after the callback that may stop early.
    with state.main_process_first():
        resume = last_checkpoint(work)
    if resume:
        say(f"going on from {resume}")
        if is_last(resume):  # In the midst of an epoch the trainer would make one more step of it.
            trainer.args.max_steps, trainer.args.num_train_epochs = -1, 0
    with PeakMemory() as memory, failing(training.stage):
        trainer.train(resume_from_checkpoint=resume)
    logged = trainer.state.log_history
    history = [{k: v for k, v in entry.items() if not any(part in k for part in TIMED)} for entry in logged]
    losses = [entry for entry in history if "loss" in entry]
    if not losses:
        raise KitError(f"{training.stage}: there was nothing to train on. Nothing was saved to {folder}")
    record = {
        "kind": training.kind,
        "settings": settings,
        **made_by(training.command, 1),
        "steps": trainer.state.global_step,
        "log": losses,
        **training.record(trainer, history, work),
    }
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped) if is_sharded() else None
    if state.is_main_process:
        timing = {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.time() - started, 1),  # Of a resumed training those of its last run.
            "resumed": resume is not None,
            "peak_memory_mib": round(memory.mebibytes),
            "hardware": hardware(trainer.accelerator.device),
        }
        save_model(folder, training, trainer, weights, record, timing)
        discard(work)
        say(f"{folder}: {training.said(record)}")
    state.wait_for_everyone()


@contextmanager
def failing(stage: str) -> Iterator[None]:
    """Say in one line what the libraries have against settings that do not go together, or not with this model.

    Raises:
        KitError: the block failed.
    """
    try:
        yield
    except KitError:
        raise
    except Exception as error:  # Each of them has classes of its own.
        reason = " ".join(str(error).split())[:300]
        raise KitError(f"{stage}: {reason} ({type(error).__name__}); what is trained so far is kept") from error


def save_model(
    folder: Path, training: "Training", trainer: Any, weights: Any, record: Mapping[str, Any], timing: Any
) -> None:
    """Write the model's folder, whole or not at all; its record vouches for every file by its hash."""
    with atomic_folder(folder, MODEL) as made:
        training.save(made, trainer, weights)
        for name, content in training.files(record).items():
            (made / name).write_bytes(content)
        (made / TRAINING).write_text(dump_json({**record, "files": hashed_files(made)}))
        (made / TIMING).write_text(dump_json(timing))
        for path in made.rglob("*"):  # safetensors writes files that only their owner can read.
            path.chmod(0o755 if path.is_dir() else 0o644)


def is_sharded() -> bool:
    """Whether the launcher's configuration splits the weights among processes (FSDP, ZeRO-3)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true") or is_deepspeed_zero3_enabled()


def _overrides(config: Any, work: Path, folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(work),
        "logging_nan_inf_filter": False,  # It would write an average in the place of a loss that is not a number.
        "run_name": config.run_name or folder.name,
        "project": PROJECT if config.project == "huggingface" else config.project,
    }

"""Trainer callbacks: validate on held-out queries, keep the best adapter, stop where the loss is not a number."""

import math
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from builders.artifacts.files import atomic_write
from builders.errors import KitError
from train.students.validation import Validation, ValidationOptions, best_check, best_weights, checks_since_best


class ValidationCallback(TrainerCallback):
    """Checks the student every `validation_steps` optimizer steps, before the first one and after the last one.

    All it knows stands in the trainer's log, which checkpoints carry: a resumed run goes on as if undisturbed. The
    main process generates, the others wait for its figures.

    Args:
        options ([`ValidationOptions`]):
            When to check and when to stop.
        validation ([`Validation`], *optional*):
            What a check does; only the main process needs it.
        trainer (`Trainer`):
            Logs the figures.
        folder (`Path`):
            Where the weights of the best check are kept.
    """

    def __init__(
        self, options: ValidationOptions, validation: Validation | None, trainer: Trainer, folder: Path
    ) -> None:
        self._options, self._validation, self._trainer, self._folder = options, validation, trainer, folder

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measure the student before its training, to compare with."""
        if not state.global_step:
            self._check(control)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measure the student, keep its weights where they are the best, stop where patience is at an end."""
        last = state.global_step >= state.max_steps
        if state.global_step % self._options.validation_steps and not last:
            return
        self._check(control)
        best = best_check(state.log_history)
        if best and best["step"] == state.global_step and state.is_world_process_zero:
            self._keep(best_weights(self._folder, state.global_step))
        patience = self._options.validation_patience
        if patience and checks_since_best(state.log_history) >= patience and not last:
            control.should_training_stop = True
            control.should_save = False  # A run resumed from here would not know that it has ended.

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Forget weights that no resumed run can ask for."""
        best = best_check(state.log_history)
        if best and state.is_world_process_zero:
            for weights in self._folder.glob("best-*.safetensors"):
                if weights != best_weights(self._folder, best["step"]):
                    weights.unlink()

    def _check(self, control: TrainerControl) -> None:
        from accelerate.utils import broadcast_object_list

        figures: list[dict[str, float]] = [{}]
        if self._validation is not None:
            with self._trainer.accelerator.autocast():  # As it is trained.
                figures = [self._validation.measure(self._trainer.accelerator.unwrap_model(self._trainer.model))]
        broadcast_object_list(figures)
        due = control.should_log
        # TRL's own `log` would hand out the training's averages with it, and begin new ones.
        Trainer.log(self._trainer, figures[0])
        control.should_log = due  # Any logging counts as that of the step, whose loss is still to come.

    def _keep(self, path: Path) -> None:
        from peft import get_peft_model_state_dict
        from safetensors.torch import save

        student = self._trainer.accelerator.unwrap_model(self._trainer.model)
        weights = get_peft_model_state_dict(student, adapter_name="default", save_embedding_layers=False)
        atomic_write(path, save({name: weight.detach().cpu().contiguous() for name, weight in weights.items()}))


def restore(student: Any, path: Path) -> None:
    """Give a student the adapter of its best check."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(student, load_file(path), adapter_name="default")


class CompleteLog(TrainerCallback):
    """Logs the last step and each that is kept, whatever `logging_steps` is.

    A run of fewer steps than that would show no loss at all. What is logged is the mean loss since the last time, and
    a run that goes on from a checkpoint knows of no loss before it.
    """

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The last step is the one planned, or the one that another callback stops at."""
        if state.global_step >= state.max_steps or control.should_training_stop or control.should_save:
            control.should_log = True

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Where each epoch's end is kept."""
        if control.should_save:
            control.should_log = True


class LossGuard(TrainerCallback):
    """Ends a training whose loss is not a number, before the step that would write it into the weights.

    Raises:
        KitError: at that step.
    """

    def __init__(self, stage: str, folder: Path) -> None:
        self._stage, self._folder = stage, folder

    def on_pre_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A loss that is not a number has gradients that are none."""
        if args.fp16:  # Its loss scaling finds the right scale by such steps, and skips them.
            return
        gradients = (weight.grad for weight in kwargs["model"].parameters() if weight.grad is not None)
        if any(gradient.isnan().any() for gradient in gradients):
            self._stop(state.global_step + 1)

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Where gradients are not to be seen, as with DeepSpeed, the logged loss tells."""
        if not math.isfinite((kwargs.get("logs") or {}).get("loss", 0.0)):
            self._stop(state.global_step)

    def _stop(self, step: int) -> None:
        raise KitError(
            f"{self._stage}: the loss is not a number at step {step}; lower the learning rate, or take dtype float32. "
            f"Nothing was saved to {self._folder}"
        )

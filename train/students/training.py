"""Train an adapter of a student by one of the methods, checked on validation queries while it is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from accelerate import PartialState
from trl import ModelConfig, get_peft_config

from builders.artifacts.model_folder import ADAPTER, adapter_name, read_training
from builders.artifacts.ownership import paths
from builders.cli import say
from builders.errors import KitError
from builders.expanders.adapter import check_adapter_base
from builders.expanders.checkpoint import Checkpoint
from builders.expanders.expander_file import expander_files
from train.callbacks import ValidationCallback, restore
from train.loop import Training, is_sharded, train
from train.run_settings import chosen, require_own_folders
from train.students.arithmetic import AUTO, arithmetic, keep_in_autocast, settled
from train.students.conversation import render_rows
from train.students.methods.method import Method, StudentData
from train.students.student import (
    continued,
    load_base,
    load_tokenizer,
    resolve_base,
    save_adapter,
    score_answers_only,
)
from train.students.validation import SCORE, Validation, ValidationOptions, best_check, best_weights, checks
from train.training_data import Pairs, load_pairs


def train_student(method: Method, data: StudentData, config: Any, model_args: ModelConfig) -> None:
    """Train an adapter and save it to `config.output_dir`, unless it is there already with the same settings.

    Args:
        method ([`Method`]):
            How.
        data ([`StudentData`]), config (TRL's, of the method), model_args (`ModelConfig`):
            The recipe.

    Raises:
        KitError: a setting cannot be met, or the loss is not a number.
    """
    source = getattr(data, method.dataset)
    read = (source, data.adapter, model_args.model_name_or_path, *paths(data.validation_collection))
    require_own_folders(Path(config.output_dir), *read)
    # Before the base model, which may take a download.
    pairs = load_pairs(
        source, method.dataset, method.config, data.train_split, getattr(data, f"{method.dataset}_revision")
    )
    method.check(pairs, source)
    checkpoint = resolve_base(model_args)
    parent = Path(data.adapter) if data.adapter else None
    if parent:
        read_training(parent, ADAPTER)
        check_adapter_base(str(parent), checkpoint)
    elif not model_args.use_peft:
        raise KitError(
            f"{method.name.upper()} begins with an adapter: give --adapter, or use_peft: true and a LoRA shape for a "
            "new one"
        )
    train(StudentTraining(method, data, config, model_args, checkpoint, pairs, parent))


@dataclass
class StudentTraining(Training):
    """The training of an adapter.

    Args:
        method ([`Method`]), data ([`StudentData`]), config (TRL's, of the method), model_args (`ModelConfig`):
            The recipe.
        base ([`Checkpoint`]):
            The base model.
        pairs ([`Pairs`]):
            What is trained on.
        parent (`Path`, *optional*):
            Adapter that the training goes on with.
    """

    kind = ADAPTER
    method: Method
    data: StudentData
    config: Any
    model_args: ModelConfig
    base: Checkpoint
    pairs: Pairs
    parent: Path | None

    def __post_init__(self) -> None:
        self.stage, self.command = self.method.name, self.method.command
        self._validation: Validation | None = None

    def settings(self, names: set[str]) -> dict[str, Any]:
        """See [`Training`]."""
        return {
            "model": chosen(self.model_args, names),
            "data": {self.method.dataset: self.pairs.settings()},
            "parent": adapter_name(str(self.parent)) if self.parent else None,
            "validation": self.data.settings(),
        }

    def prepare(self, is_main: bool) -> None:
        """See [`Training`]; a search engine that cannot be had must cost no time."""
        if self.data.validation_steps and is_sharded():
            # No single process could generate.
            raise KitError("validation_steps: not with FSDP or ZeRO-3, which split the student's weights; give 0")
        if self.data.validation_steps and is_main:
            self._validation = Validation(self.data, self.model_args)

    def make_trainer(self, overrides: Mapping[str, Any]) -> Any:
        """See [`Training`]."""
        score_answers_only()
        tokenizer, self._settled = load_tokenizer(self.base), settled(self.model_args)
        source = getattr(self.data, self.method.dataset)
        self._rendered = render_rows(self.pairs.rows, tokenizer, self.method.answers, self.config, source)
        if (line := self._rendered.said(source)) and PartialState().is_main_process:
            say(line)
        student = (self.base, self._settled)
        model = continued(*student, self.parent) if self.parent else load_base(*student)
        if self.model_args.dtype == AUTO:
            overrides = {**overrides, "bf16": self._settled.dtype == "bfloat16"}
        trainer = resolve_name(self.method.trainer)(
            model=model,
            args=replace(self.config, **overrides),
            train_dataset=self.method.rows(self._rendered.rows),
            processing_class=tokenizer,
            peft_config=None if self.parent else get_peft_config(self.model_args),
        )
        # On a 4-bit base TRL has the adapter in bfloat16; read from a checkpoint, PEFT would make it float32.
        trainer.model.load_adapter = partial(trainer.model.load_adapter, autocast_adapter_dtype=False)
        keep_in_autocast(trainer)
        return trainer

    def callbacks(self, trainer: Any, work: Path) -> Sequence[ValidationCallback]:
        """See [`Training`]."""
        steps = self.data.validation_steps
        return [ValidationCallback(self.data, self._validation, trainer, work)] if steps else []

    def record(self, trainer: Any, history: Sequence[Mapping[str, Any]], work: Path) -> dict[str, Any]:
        """See [`Training`]."""
        kept = keep_best(trainer.accelerator.unwrap_model(trainer.model), history, self.data, work)
        references, dataset = self.method.references, self.method.dataset
        return {
            "stage": self.stage,
            "base": {name: value for name, value in asdict(self.base).items() if name != "path"},
            **self.processes(trainer),
            "rows": {dataset: len(self._rendered.rows)},
            **({"too_long": too_long} if (too_long := self._rendered.record()) else {}),
            "data": {dataset: self.pairs.build},
            "parent": adapter_name(str(self.parent)) if self.parent else None,
            "reference": references[self.parent is None] if references else None,
            **({"arithmetic": arithmetic(self._settled)} if self.model_args.dtype == AUTO else {}),
            "quantization": "NF4 with double quantization" if self.model_args.load_in_4bit else None,
            "validation": {"checks": checks(history), "kept_step": kept} if self.data.validation_steps else None,
        }

    def save(self, made: Path, trainer: Any, weights: Any) -> None:
        """See [`Training`]."""
        student = trainer.accelerator.unwrap_model(trainer.model)
        save_adapter(made, student, trainer.processing_class, self.base, weights)

    def files(self, record: Mapping[str, Any]) -> Mapping[str, bytes]:
        """See [`Training`]; and what the adapter needs to expand queries anywhere."""
        return {**super().files(record), **expander_files(record)}

    def said(self, record: Mapping[str, Any]) -> str:
        """See [`Training`]."""
        long = record.get("too_long")
        left = f", {long['dropped']} rows left out and {long['cut']} cut as too long" if long else ""
        steps, done, last = record["steps"], record["validation"], f"last loss {record['log'][-1]['loss']:.4f}{left}"
        if not done:
            return f"adapter of step {steps} saved after {steps} steps, {last}"
        kept, scores = done["kept_step"], {check["step"]: check[SCORE] for check in done["checks"]}
        found = f"validation nDCG@10 {scores.get(kept, float('nan')):.4f} (before: {scores[0]:.4f})"
        return f"adapter of step {kept} saved after {steps} steps, {last}, {found}"


def keep_best(student: Any, history: Sequence[Mapping[str, Any]], options: ValidationOptions, work: Path) -> int:
    """Put the weights of the best check into the student, if it was checked at all; the step that they are of."""
    best = best_check(history) if options.keep_best else None
    if best is None:
        return int(history[-1]["step"])
    restore(student, best_weights(work, best["step"]))
    return int(best["step"])

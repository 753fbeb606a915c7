"""Describe a method that trains language-model students: what it reads, and which of TRL's trainers it takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from train.students.validation import ValidationOptions
from train.training_data import Pairs


@dataclass(kw_only=True)
class StudentData(ValidationOptions):
    """What every method is given; each adds its dataset and, as `<dataset>_revision`, the dataset's revision."""

    adapter: str | None = field(
        default=None, metadata={"help": "Adapter folder to go on with; its LoRA shape holds. Default: a new one."}
    )
    train_split: str = field(default="train", metadata={"help": "Split to train on."})


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to train a student: an adapter on a base model, a new one or one whose training goes on.

    Args:
        name (`str`):
            Of the command, and of the stage in settings and records.
        summary (`str`):
            What it does, in one line.
        usage (`str`):
            What `--help` says.
        data (`type`):
            Dataclass of its own options, a [`StudentData`].
        trainer (`str`), trainer_config (`str`):
            The trainer's class and that of its config, as in `trl:SFTTrainer`: to import them takes seconds.
        dataset (`str`), config (`str`):
            Kind of dataset that it learns from (also the name of the option), and the config of it.
        answers (`tuple[str, ...]`):
            Columns of the config that the student is to write or not to write.
        rows (`Callable`):
            Rendered rows → rows as the trainer wants them. Default: as they are.
        check (`Callable`):
            Raises KitError where the pairs (first argument) of a source (second one) teach nothing.
        references (`tuple[str, str]`, *optional*):
            What the student is compared with where it goes on with an adapter, and where it begins a new one.
        script (`str`, *optional*):
            What `accelerate launch` is given. Default: `-m train` and the name.
    """

    name: str
    summary: str
    usage: str
    data: type[StudentData]
    trainer: str
    trainer_config: str
    dataset: str
    config: str
    answers: tuple[str, ...]
    rows: Callable[[Any], Any] = lambda rows: rows
    check: Callable[[Pairs, str], None] = lambda pairs, source: None
    references: tuple[str, str] | None = None
    script: str = ""

    @property
    def command(self) -> str:
        """What starts it, without arguments."""
        return f"accelerate launch {self.script or f'-m train {self.name}'}"

    def types(self) -> tuple[type, ...]:
        """The dataclasses that a recipe is read into."""
        from trl import ModelConfig

        return self.data, resolve_name(self.trainer_config), ModelConfig

"""Teach a student to imitate expansions: supervised fine-tuning of a LoRA adapter, on a 4-bit base (QLoRA) or not.

    accelerate launch --config_file train/accelerate/cpu.yaml train/sft.py \
        --config train/recipes/smollm2-135m/sft-demo.yaml
    accelerate launch --config_file train/accelerate/single_gpu.yaml train/sft.py \
        --config train/recipes/smollm2-135m/sft-demo.yaml --output_dir out/sft --learning_rate 1e-4

Every field of trl's SFTConfig and ModelConfig can stand in the recipe or on the command line as well.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.artifacts.model_folder import ADAPTER, read_training
from builders.artifacts.ownership import paths
from builders.cli import parse, run
from builders.expanders.adapter import check_adapter_base
from train.run_settings import require_own_folders
from train.students.conversation import render
from train.students.student import continued, load_base, load_tokenizer, resolve_base, score_answers_only
from train.students.validation import ValidationOptions
from train.training_data import load_pairs


@dataclass(kw_only=True)
class SFTData(ValidationOptions):
    """What the student imitates."""

    expansions: str = field(metadata={"help": "Dataset of expansions: rendered folder or Hub id."})
    adapter: str | None = field(
        default=None, metadata={"help": "Adapter folder to go on with; its LoRA shape holds. Default: a new one."}
    )
    expansions_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})


def main() -> None:
    """Train, or take up an interrupted training, and save the adapter folder."""
    if "-h" in sys.argv[1:] or "--help" in sys.argv[1:]:
        parse(SFTData, ["--help"], "accelerate launch train/sft.py", __doc__ or "")
    from trl import ModelConfig, SFTConfig, SFTTrainer, get_peft_config

    from train.students.training import train_student

    data, config, model_args = parse((SFTData, SFTConfig, ModelConfig), None, "train/sft.py", "")
    read = (data.expansions, data.adapter, model_args.model_name_or_path, *paths(data.validation_collection))
    require_own_folders(Path(config.output_dir), *read)
    checkpoint = resolve_base(model_args)
    parent = Path(data.adapter) if data.adapter else None
    if parent:
        read_training(parent, ADAPTER)
        check_adapter_base(str(parent), checkpoint)
    pairs = load_pairs(data.expansions, "expansions", "distillation", data.train_split, data.expansions_revision)

    def trainer(config: SFTConfig) -> SFTTrainer:
        score_answers_only()
        tokenizer = load_tokenizer(checkpoint)
        rows = pairs.rows.map(
            render,
            fn_kwargs={"tokenizer": tokenizer, "answers": ("completion",)},
            remove_columns=pairs.rows.column_names,
        )
        return SFTTrainer(
            model=continued(checkpoint, model_args, parent) if parent else load_base(checkpoint, model_args),
            args=config,
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=None if parent else get_peft_config(model_args),
        )

    train_student("sft", trainer, config, model_args, checkpoint, {"expansions": pairs}, data, parent)


if __name__ == "__main__":
    run(main)

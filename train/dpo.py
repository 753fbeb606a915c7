"""Align a student with what retrieves better: DPO, going on with the adapter that SFT made, or with a new one.

    accelerate launch --config_file train/accelerate/cpu.yaml train/dpo.py \
        --config train/recipes/smollm2-135m/dpo-demo.yaml
    accelerate launch --config_file train/accelerate/single_gpu.yaml train/dpo.py \
        --config train/recipes/smollm2-135m/dpo-demo.yaml --output_dir out/dpo --beta 0.3

The reference is a frozen copy of that adapter. Without --adapter a new one is trained, whose shape the recipe gives as
for SFT, and the reference is the base model itself, as ExpandR has it. Every field of trl's DPOConfig and ModelConfig
can stand in the recipe or on the command line as well.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.artifacts.model_folder import ADAPTER, read_training
from builders.artifacts.ownership import paths
from builders.cli import parse, run
from builders.errors import KitError
from builders.expanders.adapter import check_adapter_base
from train.run_settings import require_own_folders
from train.students.conversation import render
from train.students.student import continued, load_base, load_tokenizer, resolve_base, score_answers_only
from train.students.validation import ValidationOptions
from train.training_data import load_pairs, require_differing


@dataclass(kw_only=True)
class DPOData(ValidationOptions):
    """What the student prefers, and which student."""

    preferences: str = field(metadata={"help": "Dataset of preferences: rendered folder or Hub id."})
    adapter: str | None = field(
        default=None, metadata={"help": "Adapter folder to go on with; its LoRA shape holds. Default: a new one."}
    )
    preferences_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})


def main() -> None:
    """Train, or take up an interrupted training, and save the adapter folder."""
    if "-h" in sys.argv[1:] or "--help" in sys.argv[1:]:
        parse(DPOData, ["--help"], "accelerate launch train/dpo.py", __doc__ or "")
    from trl import DPOConfig, DPOTrainer, ModelConfig, get_peft_config

    from train.students.training import train_student

    data, config, model_args = parse((DPOData, DPOConfig, ModelConfig), None, "train/dpo.py", "")
    read = (data.preferences, data.adapter, model_args.model_name_or_path, *paths(data.validation_collection))
    require_own_folders(Path(config.output_dir), *read)
    checkpoint = resolve_base(model_args)
    parent = Path(data.adapter) if data.adapter else None
    if parent:
        read_training(parent, ADAPTER)
        check_adapter_base(str(parent), checkpoint)
    elif not model_args.use_peft:
        raise KitError("DPO begins with an adapter: give --adapter, or use_peft: true and a LoRA shape for a new one")
    pairs = load_pairs(data.preferences, "preferences", "preference", data.train_split, data.preferences_revision)
    require_differing(pairs, data.preferences)

    def trainer(config: DPOConfig) -> DPOTrainer:
        score_answers_only()
        tokenizer = load_tokenizer(checkpoint)
        rows = pairs.rows.map(
            render,
            fn_kwargs={"tokenizer": tokenizer, "answers": ("chosen", "rejected")},
            remove_columns=pairs.rows.column_names,
        )
        # Of a PeftModel TRL copies the adapter into a frozen one named "ref"; a new adapter it switches off instead.
        return DPOTrainer(
            model=continued(checkpoint, model_args, parent) if parent else load_base(checkpoint, model_args),
            args=config,
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=None if parent else get_peft_config(model_args),
        )

    train_student("dpo", trainer, config, model_args, checkpoint, {"preferences": pairs}, data, parent)


if __name__ == "__main__":
    run(main)

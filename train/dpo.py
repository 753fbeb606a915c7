"""Align a student with what retrieves better: DPO, going on with the adapter that SFT made.

    accelerate launch --config_file train/accelerate/cpu.yaml train/dpo.py \
        --config train/recipes/smollm2-135m/dpo-demo.yaml
    accelerate launch --config_file train/accelerate/single_gpu.yaml train/dpo.py \
        --config train/recipes/smollm2-135m/dpo-demo.yaml --output_dir out/dpo --beta 0.3

The reference is a frozen copy of the SFT adapter. Every field of trl's DPOConfig and ModelConfig can stand in the
recipe or on the command line as well.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.command import parse, run
from train.validation import ValidationOptions


@dataclass(kw_only=True)
class DPOData(ValidationOptions):
    """What the student prefers, and which student."""

    preferences: str = field(metadata={"help": "Dataset of preferences: rendered folder or Hub id."})
    adapter: str = field(metadata={"help": "Folder of the SFT adapter to go on with."})
    preferences_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})


def main() -> None:
    """Train, or take up an interrupted training, and save the adapter folder."""
    if "-h" in sys.argv[1:] or "--help" in sys.argv[1:]:
        parse(DPOData, ["--help"], "accelerate launch train/dpo.py", __doc__ or "")
    from trl import DPOConfig, DPOTrainer, ModelConfig

    from builders.expanders.adapter import check_adapter_base, read_training
    from train.conversation import render
    from train.pairs import load_pairs, require_differing
    from train.run import train_student
    from train.student import continued, load_tokenizer, resolve_base, score_answers_only

    data, config, model_args = parse((DPOData, DPOConfig, ModelConfig), None, "train/dpo.py", "")
    checkpoint = resolve_base(model_args)
    parent = Path(data.adapter)
    read_training(parent)
    check_adapter_base(data.adapter, checkpoint)
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
        # A PeftModel without peft_config: TRL copies its adapter into a frozen one named "ref".
        student = continued(checkpoint, model_args, parent)
        return DPOTrainer(model=student, args=config, train_dataset=rows, processing_class=tokenizer)

    train_student("dpo", trainer, config, model_args, checkpoint, {"preferences": pairs}, data, parent)


if __name__ == "__main__":
    run(main)

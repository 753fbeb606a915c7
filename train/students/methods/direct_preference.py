"""Align a student with what retrieves better: DPO, going on with the adapter that SFT made, or with a new one.

    accelerate launch --config_file train/accelerate/cpu.yaml train/dpo.py \
        --config train/recipes/smollm2-135m/dpo-qlora.yaml --preferences out/demo/preferences \
        --adapter out/demo/models/sft --output_dir out/dpo
    accelerate launch --config_file train/accelerate/single_gpu.yaml train/dpo.py \
        --config train/recipes/qwen3-0.6b/dpo.yaml --preferences DATASET --adapter out/sft \
        --output_dir out/dpo --beta 0.3

The reference is a frozen copy of that adapter. Without --adapter a new one is trained, whose shape the recipe gives as
for SFT, and the reference is the base model itself, as ExpandR has it. Every field of trl's DPOConfig and ModelConfig
can stand in the recipe or on the command line as well.
"""

from dataclasses import dataclass, field

from train.students.methods.method import Method, StudentData
from train.training_data import require_differing


@dataclass(kw_only=True)
class DPOData(StudentData):
    """What the student prefers, and which student."""

    preferences: str = field(metadata={"help": "Dataset of preferences: rendered folder or Hub id."})
    preferences_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})


DPO = Method(
    name="dpo",
    summary="preferences → an adapter that writes what retrieves better",
    usage=__doc__,
    data=DPOData,
    trainer="trl:DPOTrainer",
    trainer_config="trl:DPOConfig",
    dataset="preferences",
    config="preference",
    answers=("chosen", "rejected"),
    check=require_differing,
    # Of a PeftModel TRL copies the adapter into a frozen one named "ref"; a new adapter it switches off instead.
    references=("frozen copy of the SFT adapter", "the base model"),
    script="train/dpo.py",
)

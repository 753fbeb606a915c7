"""Teach a student to imitate expansions: supervised fine-tuning of a LoRA adapter, on a 4-bit base (QLoRA) or not.

    accelerate launch --config_file train/accelerate/cpu.yaml train/sft.py \
        --config train/recipes/smollm2-135m/sft-qlora.yaml --expansions out/demo/expansions --output_dir out/sft
    accelerate launch --config_file train/accelerate/single_gpu.yaml train/sft.py \
        --config train/recipes/qwen3-0.6b/sft.yaml --expansions DATASET --output_dir out/sft --learning_rate 5e-5

Every field of trl's SFTConfig and ModelConfig can stand in the recipe or on the command line as well.
"""

from dataclasses import dataclass, field

from train.students.methods.method import Method, StudentData


@dataclass(kw_only=True)
class SFTData(StudentData):
    """What the student imitates."""

    expansions: str = field(metadata={"help": "Dataset of expansions: rendered folder or Hub id."})
    expansions_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})


SFT = Method(
    name="sft",
    summary="expansions → an adapter that imitates them",
    usage=__doc__,
    data=SFTData,
    trainer="trl:SFTTrainer",
    trainer_config="trl:SFTConfig",
    dataset="expansions",
    config="distillation",
    answers=("completion",),
    script="train/sft.py",
)

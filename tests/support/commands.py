"""The kit's commands as a user runs them: in processes of their own, from the project's root."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent.parent
RECIPES = ROOT / "train/recipes/smollm2-135m"
DATA_RECIPES = ROOT / "builders/recipes/pydocs-demo"
# The demo's own numbers, cut down.
QUERIES, SAMPLES, TEST_QUERIES, TOKENS = 8, 3, 6, 10


def command(*arguments: str | Path, cwd: Path = ROOT, timeout: float = 600, **environment: str):
    """Run Python with these arguments; the answer holds returncode, stdout and stderr."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def launch(
    *arguments: str | Path, config: str = "cpu.yaml", cwd: Path = ROOT, timeout: float = 600, **environment: str
):
    """The same through `accelerate launch`."""
    where = ROOT / "train/accelerate" / config
    return command(
        "-m",
        "accelerate.commands.launch",
        "--quiet",
        "--config_file",
        where,
        *arguments,
        cwd=cwd,
        timeout=timeout,
        **environment,
    )


@dataclass(frozen=True)
class Demo:
    """Where the small demo lies, and what each of its commands printed."""

    folder: Path
    printed: dict[str, str]

    @property
    def expansions(self) -> Path:
        return self.folder / "expansions"

    @property
    def preferences(self) -> Path:
        return self.folder / "preferences"

    @property
    def sft(self) -> Path:
        return self.folder / "models/sft"

    @property
    def dpo(self) -> Path:
        return self.folder / "models/dpo"

    @property
    def results(self) -> Path:
        return self.folder / "results.json"


def stages(folder: Path, model: str) -> dict[str, list[str | Path]]:
    """The six stages, from the demo's recipes with smaller numbers and other folders on the command line."""
    small = ["--max_new_tokens", str(TOKENS)]
    return {
        "expansions": [
            *("-m", "builders", "expansions", "--config", DATA_RECIPES / "expansions.yaml"),
            *("--output_dir", folder / "expansions", "--model", model, *small),
            *("--num_train", str(QUERIES), "--num_validation", "2", "--samples", str(SAMPLES)),
        ],
        "preferences": [
            *("-m", "builders", "preferences", "--config", DATA_RECIPES / "preferences.yaml"),
            *("--expansions", folder / "expansions", "--output_dir", folder / "preferences", "--min_margin", "0.001"),
        ],
        "sft": [
            *("train/sft.py", "--config", RECIPES / "sft-demo.yaml", "--expansions", folder / "expansions"),
            *("--output_dir", folder / "models/sft", "--model_name_or_path", model),
            *("--num_train_epochs", "1", "--per_device_train_batch_size", "4"),
        ],
        "dpo": [
            *("train/dpo.py", "--config", RECIPES / "dpo-demo.yaml", "--preferences", folder / "preferences"),
            *("--adapter", folder / "models/sft", "--output_dir", folder / "models/dpo"),
            *("--model_name_or_path", model, "--max_steps", "2", "--per_device_train_batch_size", "2"),
        ],
        "evaluate": [
            *("train/evaluate.py", "--config", RECIPES / "evaluate-demo.yaml", "--output_dir", folder),
            *("--model", model, "--adapters", folder / "models/sft", folder / "models/dpo", *small),
            *("--num_queries", str(TEST_QUERIES)),
        ],
        "cards": [
            *("-m", "model_cards", "--adapters", folder / "models/sft", folder / "models/dpo"),
            *("--results", folder / "results.json"),
        ],
    }


def run_stage(name: str, arguments: list[str | Path], **environment: str):
    """One stage, as the Makefile runs it."""
    start = launch if name in ("sft", "dpo", "evaluate") else command
    return start(*arguments, **environment)


def run_demo(folder: Path, model: str) -> dict[str, str]:
    """All stages in their order; what each printed."""
    printed = {}
    for name, arguments in stages(folder, model).items():
        done = run_stage(name, arguments)
        assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
        printed[name] = done.stdout + done.stderr
    return printed


def refused(done) -> str:
    """The one line with which a command refused: exit code 2, one line, no traceback."""
    assert done.returncode == 2, f"exit code {done.returncode}: {done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]

"""Runs the kit's commands as a user does, from the project's root, in processes of their own or in this one."""

import importlib
import io
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders.cli import run


ROOT = Path(__file__).resolve().parent.parent.parent
RECIPES = ROOT / "train/recipes/smollm2-135m"
DATA_RECIPES = ROOT / "builders/recipes"
EXPERIMENTS = ROOT / "benchmarks/experiments"
TRAININGS = ("train/sft.py", "train/dpo.py", "train/filter.py", "train/retriever.py")
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


def entry(words: Sequence[str]) -> Callable[[], None]:
    """The `main` that these words start: `-m builders …`, `train/sft.py …`."""
    name = f"{words[1]}.__main__" if words[0] == "-m" else f"train.{Path(words[0]).stem}"
    return importlib.import_module(name).main


def command_here(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the kit in this process: seconds less than `command`."""
    words = [str(argument) for argument in arguments]
    return _here(lambda: run(entry(words)), words, cwd, environment)


def script_here(registry: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a script in this process that adds to a registry of the kit, `module.NAME`, for the time of the call."""
    module, _, name = registry.rpartition(".")
    loaded, words = importlib.import_module(module), [str(argument) for argument in arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaded, name, getattr(loaded, name))
        return _here(lambda: runpy.run_path(words[0], run_name="__main__"), words, cwd, {})


def _here(
    main: Callable[[], object], words: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    printed, told, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(told):
        patch.setattr(sys, "argv", list(words[1:] if words[0] == "-m" else words))
        patch.chdir(cwd)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, printed.getvalue(), told.getvalue())


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


# Bash with no program at hand: what it would have started, it tells.
TOLD = r"""
PATH=/nowhere
getconf() { echo 2; }
source() { :; }
command_not_found_handle() { printf '%s\x1f' "$@"; printf '\x1e'; }
"""


def started(text: str) -> list[list[str]]:
    """The commands in the bash blocks of a Markdown text, word by word as bash reads them; none is run."""
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", TOLD + block], capture_output=True, text=True, env={})
        assert done.returncode == 0, done.stderr
        found += [words.split("\x1f")[:-1] for words in done.stdout.split("\x1e")[:-1]]
    return found


def own_words(words: Sequence[str]) -> list[str]:
    """What Python is given: `train/sft.py …` or `-m builders …`, without the launcher."""
    if words[0] == "qexpand":
        return ["-m", *words]
    begin = next(number for number, word in enumerate(words) if word == "-m" or word.endswith(".py"))
    return list(words[begin:])


class Read(BaseException):
    """A command has read its settings. Nothing catches it."""


def settings(words: Sequence[str]) -> dict[str, Any]:
    """The values that a command of ours takes from its words and its recipe; it is stopped before it does anything."""
    from trl import TrlParser

    read = TrlParser.parse_args_into_dataclasses

    def stop(parser: TrlParser, **given: Any) -> None:
        raise Read(read(parser, **given))

    # A recipe for GPUs is read on a machine without one, too.
    script = f"train/{words[2]}.py" if words[0] == "-m" else words[0]
    cpu = ["--use_cpu", "true"] if script in TRAININGS else []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Read) as told:
        patch.setattr(TrlParser, "parse_args_into_dataclasses", stop)
        patch.setattr(sys, "argv", [*(words[1:] if words[0] == "-m" else words), *cpu])
        patch.chdir(ROOT)
        entry(words)()
    return {name: value for part in told.value.args[0] for name, value in vars(part).items()}


def stages(folder: Path, model: str) -> dict[str, list[str | Path]]:
    """The six stages of the demo's README, with smaller numbers and other folders; the model writes the candidates."""
    commands = started((EXPERIMENTS / "demo/README.md").read_text())
    expansions, preferences = folder / "expansions", folder / "preferences"
    sft, dpo = folder / "models/sft", folder / "models/dpo"
    few = ["--max_new_tokens", str(TOKENS)]
    prompts, formation = ["api-docs-zero-shot", "api-docs-few-shot"], ["--formation", "q*5+e"]
    other: dict[str, list[str | Path]] = {
        "expansions": [
            *("--output_dir", expansions, "--model", model, *few),
            *("--num_train", str(QUERIES), "--num_validation", "2", "--samples", str(SAMPLES)),
            *("--expander", "local", "--dtype", "float32", "--temperature", "0.9", "--prompts", *prompts, *formation),
        ],
        "preferences": [
            "--expansions",
            expansions,
            "--output_dir",
            preferences,
            "--min_margin",
            "0.001",
            "--with_plain",
            "false",
        ],
        "sft": [
            *("--expansions", expansions, "--output_dir", sft, "--model_name_or_path", model),
            *("--num_train_epochs", "1", "--per_device_train_batch_size", "4"),
        ],
        "dpo": [
            *("--preferences", preferences, "--adapter", sft, "--output_dir", dpo, "--model_name_or_path", model),
            *("--max_steps", "2", "--per_device_train_batch_size", "2"),
        ],
        "evaluate": [
            *("--output_dir", folder, "--model", model, "--adapters", sft, dpo, *few, "--dtype", "float32"),
            *("--num_queries", str(TEST_QUERIES), "--prompt", prompts[0], *formation),
        ],
        "cards": ["--adapters", sft, dpo, "--results", folder / "results.json"],
    }
    return {name: [*own_words(words), *more] for (name, more), words in zip(other.items(), commands, strict=True)}


def run_stage(name: str, arguments: list[str | Path], **environment: str):
    """One stage, as the Makefile runs it."""
    start = launch if name in ("sft", "dpo", "evaluate") else command
    return start(*arguments, **environment)


def run_demo(folder: Path, model: str) -> dict[str, str]:
    """All stages in their order, one of them as the Makefile runs it; what each printed."""
    printed = {}
    for name, arguments in stages(folder, model).items():
        done = run_stage(name, arguments) if name == "sft" else command_here(*arguments)
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

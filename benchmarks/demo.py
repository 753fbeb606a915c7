"""Runs the demo, stage by stage: the commands in the README of its experiment. `make demo` installs and calls it.

    python -m benchmarks.demo
    python -m benchmarks.demo -v

A finished stage is passed over, an interrupted one goes on. What the stages print goes to `out/demo/run.log`, with -v
to the terminal.
"""

import os
import re
import shlex
import sys
from pathlib import Path

from builders.cli import console_command, run
from builders.errors import KitError
from train.own_data.run import run_stages
from train.own_data.stage_list import Stage
from train.reports.gain_summary import gain_summary


ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "benchmarks/experiments/demo/README.md"
OUT = Path("out/demo")
# Nothing is fetched at run time, so the Hub is switched off.
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
# The shell's variable for the launcher with all cores; here the driver of the stages launches.
LAUNCHED, LAUNCHER = "$launch", "train/accelerate/cpu.yaml"
THREADS = {"OMP_NUM_THREADS": str(os.cpu_count() or 1)}


def main() -> None:
    """Run what is not done yet, and tell what came of it."""
    words = sys.argv[1:]
    if unknown := set(words) - {"-v", "--verbose"}:
        raise KitError(f"no such option: {' '.join(sorted(unknown))}; there is -v, which shows all")
    run_stages(stages(README.read_text(encoding="utf-8")), OUT, LAUNCHER, bool(words))
    sys.stdout.write(gain_summary(OUT, f"{console_command()} space --results {OUT}"))


def stages(text: str) -> list[Stage]:
    """The stages of the README: each a comment `# 1/6 what it does` and the command under it.

    Args:
        text (`str`):
            The page.

    Raises:
        KitError: there is none.
    """
    block = re.search(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    parts = re.split(r"^# \d+/\d+ ", block[1] if block else "", flags=re.MULTILINE)[1:]
    if not parts:
        raise KitError(f"{README}: no stages in it")
    return [_stage(*part.split("\n", 1)) for part in parts]


def _stage(title: str, command: str) -> Stage:
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    launched = words[0] == LAUNCHED
    own = words[1:]  # Without `python` or the launcher.
    folder = Path(own[own.index("--output_dir") + 1]) if "--output_dir" in own else OUT
    return Stage(title.strip(), own, folder, launched, ENVIRONMENT | (THREADS if launched else {}))


if __name__ == "__main__":
    run(main)

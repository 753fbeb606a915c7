"""A training command in its own process that takes an optimizer step whenever it is told to, and says what it took.

    python benchmarks/support/steps.py FOLDER train/sft.py --config …     # a checkout of the kit, a command of it
    python benchmarks/support/steps.py FOLDER trl.scripts.sft --model_name_or_path …   # a module

`Stepped` starts one. Several of them can so be measured in turn, each with its model loaded: a slow minute of the
machine falls on all of them.
"""

import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple


class Step(NamedTuple):
    """An optimizer step: its seconds, tokens without padding, loss, and the process's peak of memory up to its end.

    A pair of DPO counts as two rows, each a prompt and an answer. On a GPU the memory is what torch allocated there.
    """

    seconds: float
    tokens: int
    loss: float
    peak_mib: float


class Stepped:
    """Context manager: a training command that waits; it is ended with the block, or after its last step.

    Args:
        root (`Path`):
            Checkout whose code it runs.
        command (`Sequence[str]`):
            A script of the checkout or a module, and its arguments.
        log (`Path`):
            Where what it prints is written.
    """

    def __init__(self, root: Path, command: Sequence[str], log: Path) -> None:
        self._log = log
        environment = {**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(root), *command],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def __enter__(self) -> "Stepped":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ready(self) -> None:
        """Wait until everything is loaded and the next step could begin."""
        self._told()

    def step(self) -> Step:
        """Take the next step."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        step = Step(**self._told())
        return step

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise RuntimeError(f"{' '.join(self._process.args[2:])}: has ended\n{self._log.read_text()[-2000:]}")  # type: ignore[index]
        return dict(json.loads(line))


def main() -> None:
    """Run the command, its steps held back."""
    root, name, *_ = sys.argv[1:]
    sys.path[:1] = [root]  # In the place of this file's own folder.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _hold_back(told)
    sys.argv = sys.argv[2:]
    if name.endswith(".py"):
        runpy.run_path(str(Path(root) / name), run_name="__main__")
    else:
        runpy.run_module(name, run_name="__main__", alter_sys=True)


def _hold_back(told: Any) -> None:
    """Give every trainer a callback that waits for a line before each step and reports after it."""
    import torch
    from transformers import Trainer, TrainerCallback

    cuda = torch.cuda.is_available()
    now = {"tokens": 0, "loss": 0.0, "started": 0.0}
    train, training_step = Trainer.train, Trainer.training_step

    def say(**facts: Any) -> None:
        print(json.dumps(facts), file=told, flush=True)

    class Gate(TrainerCallback):
        def on_step_begin(self, *given: Any, **more: Any) -> None:
            if not sys.stdin.readline():
                os._exit(0)
            now.update(tokens=0, loss=0.0, started=_clock(cuda))

        def on_step_end(self, *given: Any, **more: Any) -> None:
            seconds = _clock(cuda) - now["started"]
            peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else _resident_mib()
            say(seconds=seconds, tokens=now["tokens"], loss=now["loss"], peak_mib=peak)

        def on_train_begin(self, *given: Any, **more: Any) -> None:
            say(ready=True)

    def gated(self: Any, *given: Any, **more: Any) -> Any:
        self.add_callback(Gate())
        return train(self, *given, **more)

    def counted(self: Any, model: Any, inputs: Any, *given: Any, **more: Any) -> Any:
        now["tokens"] += int(inputs["attention_mask"].sum())
        loss = training_step(self, model, inputs, *given, **more)
        now["loss"] += float(loss)
        return loss

    Trainer.train, Trainer.training_step = gated, counted


def _clock(cuda: bool) -> float:
    import torch

    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def _resident_mib() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()

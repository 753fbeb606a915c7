"""Write the folder of a trained model: whole or not at all, with its training's record beside the weights."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_folder, dump_json
from builders.artifacts.model_folder import TIMING, TRAINING
from builders.artifacts.ownership import MODEL
from train.memory import PeakMemory


# What differs from run to run, in the names of figures that a trainer logs. TRL counts `num_tokens` from the start of
# the process: a resumed run would differ in it, and in nothing else.
TIMED = ("second", "runtime", "num_tokens")


def untimed(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a trainer logged, without its clock."""
    return [{k: v for k, v in entry.items() if not any(part in k for part in TIMED)} for entry in history]


def timing_of(started: float, memory: PeakMemory, hardware: str, resumed: bool) -> dict[str, Any]:
    """The content of `timing.json`; of a resumed training the seconds are those of its last run."""
    return {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 1),
        "resumed": resumed,
        "peak_memory_mib": round(memory.mebibytes),
        "hardware": hardware,
    }


def save_model(
    folder: Path,
    save: Callable[[Path], Any],
    record: Mapping[str, Any],
    timing: Mapping[str, Any],
    files: Mapping[str, bytes],
) -> None:
    """Write the folder, whole or not at all.

    Args:
        folder (`Path`):
            Replaced as a whole if it exists and holds a trained model.
        save (`Callable`):
            Writes the model and what belongs to it into a folder.
        record (`Mapping`), timing (`Mapping`):
            The training's provenance, and what differs from run to run.
        files (`Mapping`):
            Further files, name → content.
    """
    with atomic_folder(folder, MODEL) as made:
        save(made)
        (made / TRAINING).write_text(dump_json(record))
        (made / TIMING).write_text(dump_json(timing))
        for name, content in files.items():
            (made / name).write_bytes(content)
        for path in made.rglob("*"):  # safetensors writes files that only their owner can read.
            path.chmod(0o755 if path.is_dir() else 0o644)

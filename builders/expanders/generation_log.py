"""Logs every generation on disk before the next counts as done, so that no answer is paid for twice."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from builders.artifacts.provenance import earlier_settings
from builders.artifacts.swap import sync_folder
from builders.expanders.expander import Expansion


# Older logs say more of an answer (`mean_logprob`), and stay good: they were paid for.
FIELDS = tuple(field.name for field in fields(Expansion))


class GenerationLog:
    """JSONL files of answers, one line a request, named after the settings that made them.

    Answers made under other settings lie in other files and are never mixed in. Every process appends to a file of its
    own and knows what all of them hold, so that a command may go on with another number of processes. A last line
    that a kill cut short is dropped when the log is opened.

    Args:
        folder (`Path`):
            Where the logs lie; created if missing.
        settings (`Mapping`):
            Everything that an answer depends on besides the request itself: model, prompt, sampling.
        process (`int`, *optional*, defaults to 0):
            Number of the process that appends.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], process: int = 0) -> None:
        digest, earlier = _digest(settings), _digest(earlier_settings(settings))
        folder.mkdir(parents=True, exist_ok=True)
        # The first to ask takes over what an earlier version kept; so whoever alters its model's tokenizer later does
        # not find these answers again.
        for path in folder.glob(f"{earlier}-*") if earlier != digest else ():
            taken = path.with_name(path.name.replace(earlier, digest))
            with suppress(FileNotFoundError):  # Another process was faster.
                if not taken.exists():
                    path.rename(taken)
        self.path = folder / f"{digest}-{process}.jsonl"
        self.answers: dict[str, list[Expansion]] = {}
        for path in sorted(folder.glob(f"{digest}-*.jsonl")):
            whole = self._read(path)
            if path == self.path and whole < path.stat().st_size:
                os.truncate(path, whole)

    def _read(self, path: Path) -> int:
        """Take in the whole lines; returns how many bytes they are."""
        whole = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    row = json.loads(line)
                    self.answers[row["key"]] = [_expansion(answer) for answer in row["answers"]]
                except (ValueError, KeyError, TypeError):
                    break
                whole += len(line)
        return whole

    def append(self, key: str, answers: list[Expansion]) -> None:
        """Write one request's answers through to the disk."""
        line = json.dumps({"key": key, "answers": [_row(answer) for answer in answers]}, ensure_ascii=False)
        new = not self.path.exists()
        with self.path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path.parent)
        self.answers[key] = answers


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _expansion(answer: Mapping[str, Any]) -> Expansion:
    return Expansion(**{name: answer[name] for name in FIELDS if name in answer})


def _row(answer: Expansion) -> dict[str, Any]:
    """An answer's fields; most have nothing taken out."""
    return {name: value for name, value in asdict(answer).items() if name != "stripped" or value}

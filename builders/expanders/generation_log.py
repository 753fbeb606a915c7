"""The generation log: every answer on disk before the next counts as done, so that no answer is paid for twice."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from builders.expanders.expander import Expansion


class GenerationLog:
    """A JSONL file of answers, one line a request, named after the settings that made them.

    Answers made under other settings lie in other files and are never mixed in. A last line that a kill cut short is
    dropped when the log is opened.

    Args:
        folder (`Path`):
            Where the logs lie; created if missing.
        settings (`Mapping`):
            Everything that an answer depends on besides the request itself: model, prompt, sampling.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{digest}.jsonl"
        self.answers: dict[str, list[Expansion]] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                    self.answers[row["key"]] = [Expansion(**answer) for answer in row["answers"]]
                except (ValueError, KeyError, TypeError):
                    break
                whole += len(line)
        if whole < self.path.stat().st_size:
            os.truncate(self.path, whole)

    def append(self, key: str, answers: list[Expansion]) -> None:
        """Write one request's answers through to the disk."""
        line = json.dumps({"key": key, "answers": [asdict(answer) for answer in answers]}, ensure_ascii=False)
        with self.path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.answers[key] = answers

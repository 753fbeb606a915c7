"""The cost of generating: kept beside the answers, so that an interrupted evaluation still knows it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from builders.artifacts.files import atomic_write


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds of generation (the model already loaded), queries answered, most memory in MiB."""

    seconds: float = 0.0
    queries: int = 0
    peak_mib: float = 0.0

    @classmethod
    def read(cls, log: Path) -> "Cost":
        """What earlier runs spent on the answers of this log; nothing when there were none."""
        try:
            return cls(**json.loads(_beside(log).read_text()))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, log: Path) -> None:
        """Keep it beside the log."""
        atomic_write(_beside(log), json.dumps(asdict(self)).encode())

    def plus(self, other: "Cost") -> "Cost":
        """Both together; of the memory the larger."""
        return Cost(self.seconds + other.seconds, self.queries + other.queries, max(self.peak_mib, other.peak_mib))


def _beside(log: Path) -> Path:
    return log.with_suffix(".cost.json")

"""Measure the peak memory of a stretch of work, and name the hardware it ran on."""

import gc
import threading
from types import TracebackType
from typing import Any

import psutil

from builders.artifacts.provenance import cores


class PeakMemory:
    """Context manager; `mebibytes` is the most memory in use inside it.

    On a GPU that is what torch allocated there; on the CPU it is the resident memory of the whole process, looked at
    every 50 ms.
    """

    def __init__(self) -> None:
        self.mebibytes = 0.0
        self._done = threading.Event()

    def __enter__(self) -> "PeakMemory":
        import torch

        gc.collect()
        self._cuda = torch.cuda.is_available()
        if self._cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        if self._cuda:
            import torch

            self.mebibytes = torch.cuda.max_memory_allocated() / 2**20

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.mebibytes = max(self.mebibytes, process.memory_info().rss / 2**20)
            if self._done.wait(0.05):
                return


def hardware(device: Any) -> str:
    """What a training ran on, for `timing.json`."""
    import torch

    if device.type == "cuda":
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(device)}"
    return cores()

"""Chooses float32 or bfloat16 for this machine, by a matrix product of either measured once."""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import atomic_write, dump_json
from builders.errors import KitError


# bfloat16 rounds more: it has to be worth it. Where a processor has instructions for it, products are several times as
# fast; where not, several times as slow.
WORTH_IT = 1.2
SECONDS = 0.2
# About a small model's largest product: positions × width × width of the MLP.
SHAPE = (1024, 576, 1536)
# float32 first: it is what bfloat16 has to beat.
DTYPES = ("float32", "bfloat16")


@functools.cache
def fastest_dtype() -> str:
    """`bfloat16` where this machine multiplies faster with it, else `float32`.

    The measurement is kept in the cache, so that the same machine always chooses the same.

    Raises:
        KitError: torch is missing.
    """
    key = hashlib.sha256(json.dumps(_machine()).encode()).hexdigest()[:16]
    path = cache_dir("dtype") / f"{key}.json"
    if not path.is_file():
        own = path.with_suffix(f".{os.getpid()}")
        atomic_write(own, dump_json(_measured()).encode())
        with suppress(
            FileExistsError
        ):  # Processes of one launch measure at once; the first one's choice is everybody's.
            os.link(own, path)
        own.unlink()
    return str(json.loads(path.read_text(encoding="utf-8"))["dtype"])


def _machine() -> list[str]:
    """What the measurement depends on; told without importing torch, which takes seconds."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else platform.processor()
    first = [
        line for line in info.split("\n\n")[0].splitlines() if line.startswith(("model name", "flags", "Features"))
    ]
    devices = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError as error:
        raise KitError("torch is missing: pip install 'query-expansion-kit[train]'") from error
    return [platform.machine(), version, *(first or [info]), *devices, os.environ.get("CUDA_VISIBLE_DEVICES", "")]


def _measured() -> dict[str, str | dict[str, float]]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows, width, columns = SHAPE
    factors = {
        name: [
            torch.ones(*shape, dtype=getattr(torch, name), device=device)
            for shape in ((rows, width), (width, columns))
        ]
        for name in DTYPES
    }

    def seconds(name: str) -> float:
        left, right = factors[name]
        started = time.perf_counter()
        (left @ right)[0, 0].item()  # A GPU has to be waited for.
        return time.perf_counter() - started

    found = {name: seconds(name) for name in DTYPES}  # Kernels are made at the first call.
    found = {name: seconds(name) for name in DTYPES}
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:  # In turn, and the fastest of each: other work falls on both.
        found = {name: min(found[name], seconds(name)) for name in DTYPES}
    faster = found["float32"] >= WORTH_IT * found["bfloat16"]
    return {"dtype": "bfloat16" if faster else "float32", "seconds": found}

"""A retriever of a few training steps under Hub names, and the matrix of an evaluation that measured it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.rendered_folders import VERSION
from tests.support.tiny_encoder import tiny_encoder, triplet_row, triplets


BASE, COMMIT = "kit-owner/tiny-encoder", "0123456789abcdef0123456789abcdef01234567"
REPO = "kit-owner/fruit-retriever"


def on_hub(model: Path) -> None:
    """Put a model where the Hub's client keeps what it downloaded, under an id of its own."""
    cached = Path(os.environ["HF_HOME"]) / "hub" / f"models--{BASE.replace('/', '--')}"
    shutil.copytree(model, cached / "snapshots" / COMMIT, dirs_exist_ok=True)
    (cached / "refs").mkdir(exist_ok=True)
    (cached / "refs/main").write_text(COMMIT)


def trained_retriever(folder: Path) -> Path:
    """Its folder; the triplets that it learned lie beside it in `data`."""
    import builders.artifacts.provenance
    import train.retriever

    on_hub(tiny_encoder(folder / "tiny"))
    data = triplets(folder / "data", [triplet_row(number) for number in range(16)])
    given = {"triplets": data, "model": BASE, "output_dir": folder / "retriever", "max_steps": 3}
    given |= {"learning_rate": 0.01, "per_device_train_batch_size": 4}
    given |= {"use_cpu": True, "report_to": "none", "disable_tqdm": True}
    with pytest.MonkeyPatch.context() as patch:
        # Of edited code nothing may be published.
        patch.setattr(builders.artifacts.provenance, "code_version", lambda: VERSION)
        words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
        patch.setattr(sys, "argv", ["train/retriever.py", *words])
        train.retriever.main()
    return folder / "retriever"


def row(expander: str, retriever: str, ndcg: float, p: float, low: float) -> dict[str, Any]:
    return {
        "expander": expander,
        "retriever": retriever,
        "formation": "mean",
        "ndcg_at_10": ndcg,
        "mrr_at_10": ndcg - 0.03125,
        "recall_at_100": 0.90625,
        "relative": (ndcg - 0.5) / 0.5,
        "interval": [low, low + 0.1],
        "p_corrected": p,
        "helped": 0.4375,
        "hurt": 0.1875,
        "generation_ms_per_query": 123.4 if expander != "none" else 0.0,
        "search_ms_per_query": 7.8,
        "peak_mib": 456.7,
    }


def matrix(folder: Path, revision: str) -> Path:
    """Three encoders, with and without an expander."""
    rows = [row("none", "zero-shot", 0.5, 1.0, -0.05), row("sft", "zero-shot", 0.48, 0.4, -0.09)]
    rows += [row("none", "trained", 0.55, 0.03, 0.01), row("sft", "trained", 0.6125, 0.004, 0.0625)]
    rows += [row("none", "other", 0.51, 0.9, -0.04), row("sft", "other", 0.52, 0.8, -0.03)]
    names = {"zero-shot": "sha256:0000000000000000", "trained": revision, "other": "sha256:2222222222222222"}
    results = {
        "rows": rows,
        "reference": "none/zero-shot",
        "retrievers": {
            short: {"spec": f"dense:{short}", "name": f"dense({short},{name},search=exact)", "formation": "mean"}
            for short, name in names.items()
        },
        "collection": {"name": "fruit", "fingerprint": "0123456789abcdef"},
        "split": "test",
        "queries": 64,
        "command": "accelerate launch train/matrix.py --config tiny.yaml",
    }
    path = folder / "matrix.json"
    path.write_text(json.dumps(results))
    return path

"""Small rendered folders of every kind, made by the kit's own renderer or as the kit's commands leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from builders.artifacts.render import render_dataset
from builders.artifacts.schema import TEMPLATE_KWARGS, features


VERSION = "0.1.0+g0123456789ab"
BASE = "kit-owner/tiny-base"
COLLECTION = {
    "name": "tiny",
    "language": "en",
    "source": "made up for a test",
    "licence": "CC BY 4.0",
    "judgments": "Made up.",
    "fingerprint": "0123456789abcdef",
}


def build(kind: str, queries: int, version: str = VERSION) -> dict[str, Any]:
    """Provenance as the builders record it."""
    common = {
        "kind": kind,
        "settings": {"queries": queries},
        "command": f"python -m builders {kind}",
        "code_version": version,
        "versions": {"python": "3.11"},
        "collection": COLLECTION,
        "expander": {
            "model_id": "someone/teacher",
            "revision": "main",
            "provider": "local",
            "adapter": None,
            "weights": "random",
        },
        "prompts": [{"id": "zero", "version": 1, "condition": "zero-shot", "sha256": "0" * 64}],
        "student_prompt": "zero",
        "sampling": {"temperature": 0.9, "top_p": 1.0, "top_k": 50, "max_new_tokens": 32, "seed": 0},
        "retriever": "bm25s",
        "formation": "q*5+e",
        "grading_depth": 100,
        "seed": 0,
        "queries": {"train": queries, "validation": 1},
    }
    counts = {"queries": queries, "pairs": queries, "queries_with_pairs": queries}
    if kind == "preferences":
        return common | {
            "rule": "ndcg-margin",
            "min_margin": 0.05,
            "max_length_ratio": 3.0,
            "pairs_per_query": 2,
            "yield": {"train": {**counts, "dropped_queries": {}, "rejected_candidates": {}}},
            "yield_by_margin": {"train": [{"margin": 0.05, "pairs": queries, "queries_with_pairs": queries}]},
        }
    return common | {
        "select": "best",
        "tokens": {"prompt": 10, "completion": 10},
        "yield": {
            "queries": queries,
            "candidates": queries,
            "checks": {"ok": queries},
            "mean_plain_ndcg_at_10": 0.5,
            "mean_ndcg_at_10": {"zero-shot": 0.6},
            "mean_best_ndcg_at_10": 0.7,
            "candidates_helping": 0.5,
            "candidates_hurting": 0.25,
            "mean_pairwise_cosine": 0.4321,
            "distillation_rows": queries,
        },
    }


def _query(number: int) -> dict[str, Any]:
    return {"query_id": f"q{number}", "query": f"what is {number}?"}


def preference_row(number: int) -> dict[str, Any]:
    """One pair; the same number gives the same row, so that more rows are an append."""
    return {
        "prompt": [{"role": "user", "content": f"what is {number}?"}],
        "chosen": [{"role": "assistant", "content": f"the number {number} ü"}],
        "rejected": [{"role": "assistant", "content": "nothing"}],
        "chat_template_kwargs": TEMPLATE_KWARGS,
        **_query(number),
        "chosen_id": f"q{number}#0",
        "rejected_id": f"q{number}#1",
        "rule": "ndcg-margin",
        "chosen_score": 0.75,
        "rejected_score": 0.25,
        "margin": 0.5,
        "plain_ndcg_at_10": 0.5,
    }


def raw_row(number: int) -> dict[str, Any]:
    """One graded candidate."""
    return {
        **_query(number),
        "candidate_id": f"q{number}#0",
        "candidate": f"the number {number}",
        "grounding": "",
        "condition": "zero-shot",
        "prompt_id": "zero",
        "prompt_version": 1,
        "model_id": "someone/teacher",
        "model_revision": "main",
        "adapter": None,
        "provider": "local",
        "temperature": 0.5,
        "top_p": 1.0,
        "top_k": 50,
        "max_new_tokens": 32,
        "seed": 0,
        "sample": 0,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "finish_reason": "stop",
        "check": "ok",
        "retriever": "bm25s",
        "formation": "q*5+e",
        "ndcg_at_10": 0.75,
        "reciprocal_rank": 1.0,
        "gold_rank": 1,
        "plain_ndcg_at_10": 0.5,
        "plain_reciprocal_rank": 0.5,
        "plain_gold_rank": 2,
    }


def distillation_row(number: int) -> dict[str, Any]:
    """One completion to imitate."""
    return {
        "prompt": [{"role": "user", "content": f"what is {number}?"}],
        "completion": [{"role": "assistant", "content": f"the number {number}"}],
        "chat_template_kwargs": TEMPLATE_KWARGS,
        **_query(number),
        "candidate_id": f"q{number}#0",
        "ndcg_at_10": 0.75,
        "plain_ndcg_at_10": 0.5,
    }


def preferences(folder: Path, rows: int = 4, version: str = VERSION) -> Path:
    """A preference dataset: `rows` train rows and one for validation."""
    tables = {"preference": {"train": [preference_row(n) for n in range(rows)], "validation": [preference_row(-1)]}}
    render_dataset(folder, tables, build("preferences", rows, version), {"total_seconds": 1.0})
    return folder


def expansions(folder: Path, rows: int = 4, version: str = VERSION) -> Path:
    """A dataset of two configs."""
    tables = {
        "raw": {"train": [raw_row(n) for n in range(rows)], "validation": [raw_row(-1)]},
        "distillation": {"train": [distillation_row(n) for n in range(rows)]},
    }
    render_dataset(folder, tables, build("expansions", rows, version), {"total_seconds": 1.0})
    return folder


def many_shards(folder: Path, monkeypatch: Any, shards: int = 302) -> Path:
    """A dataset of more than 300 files: two rows a shard."""
    from datasets import Dataset

    rows = [preference_row(number) for number in range(2 * shards)]
    size = Dataset.from_list(rows, features=features("preference")).data.nbytes
    with monkeypatch.context() as patch:
        patch.setattr("builders.artifacts.render.SHARD_BYTES", -(-size // shards))
        render_dataset(
            folder, {"preference": {"train": rows}}, build("preferences", len(rows)), {"total_seconds": 1.0}
        )
    assert sum(path.is_file() for path in folder.rglob("*")) > 300
    return folder


def adapter(folder: Path, seed: int = 1, version: str = VERSION, base: str = BASE, carded: bool = True) -> Path:
    """An adapter folder as training and `python -m model_cards` leave it; the weights depend on the seed."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = np.random.default_rng(seed).random((4, 8), dtype=np.float32)
    save_file(
        {"base_model.model.q.lora_A.weight": weights}, folder / "adapter_model.safetensors", metadata={"format": "pt"}
    )
    config = {"peft_type": "LORA", "base_model_name_or_path": base, "r": 4, "lora_alpha": 8}
    training = {"kind": "adapter", "stage": "sft", "base": {"model_id": base}, "code_version": version, "seed": seed}
    files = {"adapter_config.json": config, "training.json": training, "timing.json": {"seconds": 1.0}}
    files |= {"tokenizer.json": {"version": "1.0"}, "tokenizer_config.json": {"eos_token": "</s>"}}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    if carded:
        (folder / "README.md").write_text(adapter_card(base, value=0.5 + seed / 100))
    return folder


def adapter_card(base: str, value: float) -> str:
    """The card of an evaluated adapter."""
    return f"""---
base_model: {base}
base_model_relation: adapter
library_name: peft
license: apache-2.0
tags:
- lora
model-index:
- name: tiny
  results:
  - task:
      type: text-retrieval
    dataset:
      name: tiny
      type: tiny
    metrics:
    - type: ndcg_at_10
      value: {value}
---

<!-- generated: everything down to the closing mark is made; write your own words outside of it -->

# tiny

nDCG@10 {value}

    model = PeftModel.from_pretrained(model, "out/models/tiny")
    tokenizer = AutoTokenizer.from_pretrained("out/models/tiny")

<!-- end of the generated part -->
"""


def space(folder: Path, seed: int = 1) -> Path:
    """A Space folder; its card has no marks, as the Space's own template has none."""
    (folder / "collection").mkdir(parents=True, exist_ok=True)
    settings = {"model": BASE, "seed": seed}
    card = (
        f"---\ntitle: Tiny\nemoji: 🔎\nsdk: gradio\napp_file: app.py\nlicense: mit\n---\n\n# Tiny\n\nVersion {seed}\n"
    )
    (folder / "space.json").write_text(json.dumps(settings))
    (folder / "app.py").write_text(f"print('started', {seed})\n")
    (folder / "requirements.txt").write_text("gradio\n")
    (folder / "collection" / "vectors.npy").write_bytes(bytes(range(seed, seed + 100)))
    (folder / "README.md").write_text(card)
    return folder


REPO_TYPES = {"dataset": "dataset", "adapter": "model", "space": "space"}


def make(kind: str, folder: Path, step: int) -> Path:
    """A folder of a kind in its first, second, … version."""
    if kind == "dataset":
        return preferences(folder, rows=3 + step)
    return adapter(folder, step) if kind == "adapter" else space(folder, step)

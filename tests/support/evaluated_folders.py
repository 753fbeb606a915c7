"""What training, evaluation and export leave behind, small and the same every time, with all their provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builders.artifacts.files import dump_json, file_hash
from builders.artifacts.model_folder import adapter_name
from builders.exporting.export_card import export_card
from builders.prompts.load import load_prompt
from builders.publishing.staging.staged_export import EXPORT
from tests.support.rendered_folders import BASE, COLLECTION, VERSION, adapter, expansions, preferences


PROMPT = """id: tiny-prompt
version: 3
language: en
condition: zero-shot
task: a test
system: You write words.
user: "Question: {query}"
exemplars: 0
check:
  min_words: 2
  max_words: 80
"""
PACKAGES = {"python": "3.11", "transformers": "5.23.0", "trl": "1.16.0", "peft": "0.21.2", "torch": "2.13.0"}
WEIGHTS = {"model_id": BASE, "revision": "0123456789abcdef0123456789abcdef01234567", "weights": "the Hub"}
PLAIN = {
    "queries": 73,
    "ndcg_at_10": 0.5316371973858891,
    "mrr_at_10": 0.5868730158730159,
    "recall_at_100": 0.883008658008658,
    "helped": 0.0,
    "hurt": 0.0,
    "unchanged": 1.0,
    "delta_ndcg_at_10": 0.0,
    "delta_ci95": [0.0, 0.0],
    "p_value": 1.0,
    "search_ms_per_query": 0.85,
}
# Gains over the plain query: nothing that could be told from chance, a gain, a loss.
GAINS = {
    "pyserini+rm3": {"delta_ndcg_at_10": 0.01337, "delta_ci95": [-0.00717, 0.03391], "p_value": 0.2146},
    "base": {"delta_ndcg_at_10": 0.00951, "delta_ci95": [-0.00141, 0.02207], "p_value": 0.0957},
    "sft": {"delta_ndcg_at_10": 0.06172, "delta_ci95": [0.02083, 0.09243], "p_value": 0.0002},
    "dpo": {"delta_ndcg_at_10": -0.03286, "delta_ci95": [-0.06117, -0.01294], "p_value": 0.0036},
}
COSTS = {
    "tokens_per_query": 22.87,
    "prompt_tokens_per_query": 62.92,
    "ms_per_query": 334.32,
    "peak_memory_mib": 2209.9,
}
BASELINE = "pyserini+rm3"
QUERIES = ("what is 12?", "what is twelve?", "what is a dozen in words?")


def prompt_file(folder: Path) -> Path:
    """A prompt of the tests' own, so that the kit's may change their wording."""
    path = folder / "tiny-prompt.yaml"
    path.write_text(PROMPT)
    return path


def trained(folder: Path, stage: str, parent: Path | None = None, version: str = VERSION) -> Path:
    """An adapter as training leaves it: not yet evaluated, without a card."""
    adapter(folder, seed={"sft": 1, "dpo": 2}[stage], version=version, carded=False)
    prompt = load_prompt(str(prompt_file(folder.parent)))
    role = {"sft": "expansions", "dpo": "preferences"}[stage]
    dataset = folder.parent / f"data-{role}"
    make = {"sft": expansions, "dpo": preferences}[stage]
    if not dataset.exists():
        make(dataset, rows=7, version=version)
    data = json.loads((dataset / "build.json").read_text())
    data["student_prompt"] = prompt.id
    data["prompts"] = [
        {"id": prompt.id, "version": prompt.version, "condition": prompt.condition, "sha256": prompt.sha256}
    ]
    recipe: dict[str, Any] = {"learning_rate": 0.0002 if stage == "sft" else 5e-06, "max_length": 256, "bf16": False}
    training = {
        "kind": "adapter",
        "stage": stage,
        "base": WEIGHTS,
        "code_version": version,
        "versions": PACKAGES,
        "command": f"accelerate launch train/{stage}.py --config tiny.yaml",
        "settings": {"model": {"model_name_or_path": BASE, "load_in_4bit": True, "lora_r": 16}, "training": recipe},
        "effective_batch_size": 6,
        "steps": 11,
        "rows": {role: 7},
        "data": {role: data},
        "parent": adapter_name(str(parent)) if parent else None,
        "reference": "frozen copy of the SFT adapter" if parent else None,
        "quantization": "NF4 with double quantization",
        "log": [{"loss": 0.693147, "step": 1}, {"loss": 0.41263, "step": 11}],
    }
    (folder / "training.json").write_text(dump_json(training))
    timing = {"finished": "2026-11-21T13:41:46Z", "hardware": "2 CPU cores (x86_64)", "seconds": 51.3}
    (folder / "timing.json").write_text(dump_json(timing))
    return folder


def sft_and_dpo(folder: Path, version: str = VERSION) -> list[Path]:
    """Two adapters, the second trained on from the first."""
    sft = trained(folder / "sft", "sft", version=version)
    return [sft, trained(folder / "dpo", "dpo", parent=sft, version=version)]


def leakage(number: int, copies: bool) -> dict[str, Any]:
    """The audit of one system."""
    part = {key: PLAIN[key] for key in ("delta_ndcg_at_10", "delta_ci95", "p_value")}
    return {
        "copies": {"queries": 2 + number, "share_of_gain": 0.0513 + number / 1000} if copies else None,
        "seen_gold": {
            "queries": 31,
            "plain_ndcg_at_10": 0.55512,
            **part,
            "delta_ndcg_at_10": 0.04117 + number / 1000,
            "delta_ci95": [0.02719, 0.07015],
        },
        "unseen_gold": {
            "queries": 42,
            "plain_ndcg_at_10": 0.51438,
            **part,
            "delta_ndcg_at_10": -0.00321,
            "delta_ci95": [-0.02377, 0.01836],
        },
    }


def evaluated(folder: Path, adapters: list[Path], version: str = VERSION) -> Path:
    """`results.json` and `per_query.parquet` of an evaluation of these adapters; returns the first."""
    import pyarrow
    import pyarrow.parquet as parquet

    folder.mkdir(parents=True, exist_ok=True)
    prompt = load_prompt(str(prompt_file(folder)))
    systems: dict[str, Any] = {"plain": PLAIN}
    names = (BASELINE, "base", *(path.name for path in adapters))
    for number, name in enumerate(names):
        gain = GAINS[name] | {"p_corrected": min(1.0, len(names) * GAINS[name]["p_value"])}
        shares = {"helped": 0.1 + 0.0123 * number, "hurt": 0.05 + 0.0071 * number}
        systems[name] = {
            **{key: value + gain["delta_ndcg_at_10"] for key, value in PLAIN.items() if key.endswith(("_10", "_100"))},
            **gain,
            "queries": PLAIN["queries"],
            **shares,
            "unchanged": 1 - sum(shares.values()),
            "search_ms_per_query": 1.25,
            "leakage": leakage(number, copies=name != BASELINE),
        }
        if name == BASELINE:
            continue
        systems[name] |= {
            **{key: value + number for key, value in COSTS.items()},
            "checks": {"echo": 1, "ok": 72},
            "identity": {
                **WEIGHTS,
                "provider": "local",
                "adapter": None if name == "base" else adapter_name(str(adapters[number - 2])),
            },
            "silent": 0.2219 + number / 100,
            "echoes": 0.1357 + number / 100,
            "new_terms": 0.613 + number / 100,
            "new_terms_per_query": 7.2 + number,
            "against": {
                other: {**gain, "delta_ndcg_at_10": gain["delta_ndcg_at_10"] - 0.00123}
                for other in (BASELINE, "base")
                if other != name
            },
        }
    results = {
        "systems": systems,
        "settings": {
            "model": BASE,
            "adapters": [str(path) for path in adapters],
            "collection": "tiny",
            "split": "test",
            "prompt": str(folder / "tiny-prompt.yaml"),
            "retriever": "bm25s",
            "formation": "q*5+e",
            "max_new_tokens": 24,
            "block": 50,
            "seed": 0,
        },
        "command": "accelerate launch train/evaluate.py --config tiny.yaml",
        "code_version": version,
        "versions": PACKAGES,
        "seed": 0,
        "collection": {**COLLECTION, "without_relevant": {"test": 3}},
        "retriever": "bm25s(k1=0.9,b=0.4,analyzer=en-1)",
        "formation": "q*5+e",
        "depth": 100,
        "prompt": {"id": prompt.id, "version": prompt.version, "sha256": prompt.sha256},
        "decoding": {"greedy": True, "max_new_tokens": 24},
        "hardware": "2 CPU cores (x86_64)",
        "reference_teacher": None,
        "missing": {},
        "correction": {"method": "Holm", "tests": len(names)},
        "copied_terms": 5,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    rows = [
        {
            "system": system,
            "query_id": f"q{number}",
            "query": query,
            "expansion": "" if system == "plain" else f"{query} twelve",
            "completion_tokens": 5,
            "check": "ok",
            "ndcg_at_10": 0.5 + 0.1 * (number - 1) * (system != "plain"),
            "delta_ndcg_at_10": 0.1 * (number - 1) * (system != "plain"),
        }
        for system in systems
        for number, query in enumerate(QUERIES)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "per_query.parquet")
    return folder / "results.json"


def exported(folder: Path, kind: str, version: str = VERSION) -> Path:
    """A folder as `python -m builders export` leaves it, its weights a few bytes that nothing can load."""
    folder.mkdir(parents=True)
    names = {"merged": ("model.safetensors", "config.json", "tokenizer.json"), "gguf": ("tiny-base-dpo-F16.gguf",)}
    for name in names[kind]:
        (folder / name).write_bytes(f"{kind} {name}".encode())
    work = folder.with_name(f"{folder.name}.adapters")
    _, dpo = sft_and_dpo(work, version)
    prompt = load_prompt(str(prompt_file(work)))
    measured = [("nDCG@10", "ndcg_at_10", 0.49877), ("MRR@10", "mrr_at_10", 0.55403)]
    results = {
        "task": {"type": "text-retrieval"},
        "dataset": {"name": "tiny", "type": "tiny", "split": "test", "revision": "0123456789abcdef"},
        "metrics": [{"type": type, "value": value, "name": name} for name, type, value in measured],
    }
    record = {
        "kind": kind,
        "dtype": {"merged": "bfloat16", "gguf": "float16"}[kind],
        "adapter": adapter_name(str(dpo)),
        "base": WEIGHTS,
        "card": {
            "license": "apache-2.0",
            "language": "en",
            "datasets": ["kit-owner/tiny-preferences"],
            "model-index": [{"name": "dpo", "results": [results]}],
        },
        "prompt": {name: getattr(prompt, name) for name in ("id", "version", "language", "sha256", "system", "user")},
        "training": json.loads((dpo / "training.json").read_text()),
        "command": f"python -m builders export dpo --format {kind}",
        "code_version": version,
        "versions": PACKAGES,
        "files": {name: file_hash(folder / name) for name in names[kind]},
    }
    (folder / EXPORT).write_text(dump_json(record))
    (folder / "README.md").write_text(export_card(record, folder, None, "kit-owner/tiny-dpo"))
    return folder

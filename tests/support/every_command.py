"""Small inputs for every command of the kit, and a call of each that ends well; all paths in it are relative."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collection_folders import jsonl
from tests.support.commands import ROOT, command_here
from tests.support.evaluation_collection import LINE, TEST, WRITES, collection
from tests.support.rendered_folders import VERSION
from tests.support.tiny_student import base_model
from tests.support.word_encoder import word_encoder


PROMPT = "web-passage-zero-shot"
RECIPES = ROOT / "train/recipes"
OUT = "out"  # What a call makes; `expand` and `publish` make nothing.
FEW = ["--max_new_tokens", "4", "--block", "8"]
CPU = ["--use_cpu", "true", "--report_to", "none", "--disable_tqdm", "true", "--max_steps", "1"]
ASKED = ["--collection", "tiny", "--num_train", "6", "--num_validation", "2", "--select", "all"]
RECORDED = ["--expander", "recorded", "--recorded", "answers.jsonl"]
MODEL = ["--model", "base", "--num_queries", "3", "--collection", "tiny", "--prompt", PROMPT, *FEW]
STUDENT = ["--model_name_or_path", "base", "--load_in_4bit", "false", *CPU]
TO, INTO = ["--output_dir", OUT], ["--out", f"{OUT}.json"]
GOOD = ["--where", "kind=good"]
CALLS: dict[str, list[str]] = {
    "expansions": ["-m", "builders", "expansions", *RECORDED, *ASKED, "--prompts", PROMPT, *TO],
    "preferences": ["-m", "builders", "preferences", "--expansions", "expansions", "--min_margin", "0.001", *TO],
    "triplets": ["-m", "builders", "triplets", "--expansions", "expansions", "--depth", "20", *TO],
    "train/sft.py": [
        *("train/sft.py", "--config", f"{RECIPES}/smollm2-135m/sft-qlora.yaml", *STUDENT),
        *("--expansions", "expansions", *TO),
    ],
    "train/evaluate.py": [
        *("train/evaluate.py", *MODEL, "--adapters", "sft", "--baselines", "bm25s"),
        *("--teachers", "big=answers.jsonl,kind=good", *TO),
    ],
    "model_cards": ["-m", "model_cards", "--adapters", "sft", "--results", "results/results.json"],
    "space": ["-m", "space", "--results", "results", "--render_only", "true", *TO],
    "written": [
        *("-m", "builders", "expansions", "--model", "base", *ASKED, "--samples", "2", "--prompts", PROMPT),
        *("--max_new_tokens", "24", "--block", "4", *TO),
    ],
    "references": [
        *("-m", "builders", "references", "--expansions", "expansions", *RECORDED),
        *("--prompt", "web-passage-self-reference", *TO),
    ],
    "regrade": ["-m", "builders", "regrade", "--expansions", "expansions", "--retriever", "bm25s", *TO],
    "grade": ["-m", "builders", "grade", "--collection", "tiny", "--expansions", "answers.jsonl", *GOOD, *INTO],
    "grade runs": ["-m", "builders", "grade", "--collection", "tiny", "--run", "run.txt", *INTO],
    "expand": ["-m", "builders", "expand", "sft", "--file", "queries.txt", "--formulate", "lucene"],
    "publish": ["-m", "builders", "publish", "preferences", "--repo_id", "you/yours", "--dry_run"],
    "release": [
        *("-m", "builders", "release", "--owner", "you", "--tag", "v1", "--datasets", "expansions=e", "preferences=p"),
        *("--adapters", "sft=s", "--space", "space=x", "--collection", "All of it", *TO),
    ],
    "export": ["-m", "builders", "export", "sft", "--format", "merged", *TO],
    "train/dpo.py": [
        *("train/dpo.py", "--config", f"{RECIPES}/smollm2-135m/dpo-qlora.yaml", *STUDENT),
        *("--preferences", "preferences", "--adapter", "sft", *TO),
    ],
    "train/retriever.py": [
        *("train/retriever.py", "--triplets", "triplets", "--model", "encoder", *CPU),
        *("--max_seq_length", "16", "--per_device_train_batch_size", "2", *TO),
    ],
    "train/filter.py": [
        *("train/filter.py", "--expansions", "expansions", "--model", "encoder-parts", *CPU, "--max_length", "16"),
        *("--held_out", "0.5", "--per_device_train_batch_size", "2", *TO),
    ],
    "train/matrix.py": [
        *("train/matrix.py", *MODEL, "--adapters", "sft", "--retrievers", "bm25=bm25s", "dense=dense:encoder|mean"),
        *TO,
    ],
    "train/rounds.py": [
        *("train/rounds.py", "--adapter", "sft", "--model", "base", "--collection", "tiny", *FEW, "--rounds", "1"),
        *("--dpo_recipe", f"{RECIPES}/smollm2-135m/dpo-qlora.yaml", "--prompt", PROMPT, "--num_train", "2"),
        *("--samples", "2", "--num_validation", "2", "--min_margin", "0.001"),
        *("--accelerate_config", f"{ROOT}/train/accelerate/cpu.yaml", *TO),
    ],
}
# What later calls read → the call that makes it; the first three need no training.
MADE = {"expansions": "expansions", "preferences": "preferences", "triplets": "triplets", "sft": "train/sft.py"}
MADE |= {"results": "train/evaluate.py", "": "model_cards", "space": "space"}


def make_inputs(folder: Path, trained: bool = True) -> Path:
    """A folder in which every call ends well, or those that need nothing trained."""
    folder.mkdir()
    collection(folder / "tiny")
    if trained:
        base_model(folder / "base")
        word_encoder(folder / "encoder", [*WRITES, "shared"])
    texts = {"good": "second{n} third{n} fourth{n} fifth{n} sixth{n}", "bad": LINE.format(n=5)}
    rows = [
        {"query_id": f"q{n}", "model": "m/big", "kind": kind, "text": text.format(n=n)}
        for kind, text in texts.items()
        for n in range(42)
    ]
    (folder / "answers.jsonl").write_text(jsonl(rows))
    (folder / "queries.txt").write_text("shared7 of all\nein Wörterbuch\n")
    (folder / "run.txt").write_text("".join(f"{name} Q0 d{name[1:]} 1 1.5 mine\n" for name in TEST))
    with pytest.MonkeyPatch.context() as patch:
        # As if made by committed code: other folders are not published.
        patch.setattr("builders.artifacts.provenance.code_version", lambda: VERSION)
        for name, call in list(MADE.items())[: None if trained else 3]:
            done = command_here(*(name if word == OUT else word for word in CALLS[call]), cwd=folder)
            assert done.returncode == 0, f"{call}: {done.stderr}"
    (folder / "recipe.yaml").write_text("seed: 1\n")
    return folder

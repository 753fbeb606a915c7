"""What a Space is rendered from, small: a collection, a base model in a Hub cache, an adapter, and their results."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from builders.artifacts.model_folder import adapter_name


BASE = "someone/tiny-llama"
DOCUMENTS = {
    "d1": ("lib.lstsq", "Return the least-squares solution to a linear matrix equation by singular values."),
    "d2": ("lib.polyfit", "Least squares polynomial fit of points; a straight line has degree one."),
    "d3": ("lib.save", "Write an array to a file on disk in binary form."),
    "d4": ("lib.load", "Read arrays back from a file on disk."),
    "d5": ("lib.<b>odd</b>", "Markup such as <script>alert(1)</script> in a document about files & arrays."),
}
QUERIES = {"q1": "store arrays on disk", "q2": "fit a line", "q3": "matrix <i>equation</i>", "q4": "file"}
JUDGED = {"q1": ("d3", 2), "q2": ("d2", 2), "q3": ("d1", 2), "q4": ("d4", 1)}
# Starts a rendered folder's app in a process that cannot see the repository.
GUARD = """
import runpy, sys
from importlib.machinery import PathFinder

folder = sys.argv[1]
kit = ("builders", "space", "train", "model_cards", "tests")


class Guard:
    # What belongs to the kit comes from the rendered folder, or from nowhere.
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in kit:
            return None
        spec = PathFinder.find_spec(name, [folder] if path is None else path)
        if spec is None or not str(spec.origin).startswith(folder):
            raise ModuleNotFoundError(f"{name} is not in the rendered folder")
        return spec


sys.meta_path.insert(0, Guard())
sys.path[0] = folder
runpy.run_path("app.py", run_name="__main__")
"""


def measured_folder(folder: Path) -> Path:
    """A folder with a collection, a tiny model in a Hub cache, an adapter, and the results of an evaluation."""
    beir = folder / "tinydocs"
    write_collection(beir)
    write_model(folder)
    write_results(folder, beir)
    return folder


def write_collection(beir: Path) -> None:
    """Documents, queries and judgments in BEIR's form."""
    (beir / "qrels").mkdir(parents=True)
    rows = [{"_id": name, "title": title, "text": text} for name, (title, text) in DOCUMENTS.items()]
    corpus = "".join(json.dumps(row) + "\n" for row in rows)
    (beir / "corpus.jsonl.gz").write_bytes(gzip.compress(corpus.encode(), mtime=0))
    (beir / "collection.yaml").write_text("language: en\nlicence: public domain\n")
    rows = [{"_id": name, "text": text} for name, text in {**QUERIES, "q5": "singular values"}.items()]
    (beir / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judgments = "".join(f"{query}\t{document}\t{score}\n" for query, (document, score) in JUDGED.items())
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judgments)
    (beir / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq5\td1\t1\n")


def write_model(folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(["<|end|>", "<pad>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<pad>")
    fast.chat_template = "{% for turn in messages %}{{ turn.role }}: {{ turn.content }}\n{% endfor %}assistant: "
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
        eos_token_id=0,
        pad_token_id=1,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    cached = folder / "hub" / f"models--{BASE.replace('/', '--')}"
    snapshot = cached / "snapshots" / ("0" * 40)
    model.save_pretrained(snapshot)
    fast.save_pretrained(snapshot)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    lora = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], base_model_name_or_path=BASE))
    adapter = folder / "models" / "dpo"
    lora.save_pretrained(adapter)
    fast.save_pretrained(adapter)
    config_path = adapter / "adapter_config.json"
    config_path.write_text(json.dumps(json.loads(config_path.read_text()) | {"base_model_name_or_path": BASE}))
    (adapter / "optimizer.pt").write_bytes(b"state of a training")


def write_results(folder: Path, beir: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    results = folder / "results"
    results.mkdir()
    identity = {"model_id": BASE, "revision": "0" * 40, "weights": "the Hub", "provider": "local", "adapter": None}
    student = identity | {"adapter": adapter_name(str(folder / "models" / "dpo"))}
    measured = {
        "queries": 4,
        "ndcg_at_10": 0.5,
        "mrr_at_10": 0.4,
        "recall_at_100": 0.9,
        "helped": 0.25,
        "hurt": 0.25,
        "unchanged": 0.5,
        "delta_ndcg_at_10": 0.0,
        "delta_ci95": [-0.1, 0.1],
        "p_value": 1.0,
    }
    written = measured | {"tokens_per_query": 7.0, "ms_per_query": 11.0, "identity": identity}
    results_json = {
        # As dump_json does, in the order of the alphabet.
        "systems": {"base": written, "dpo": written | {"ndcg_at_10": 0.625, "identity": student}, "plain": measured},
        "settings": {
            "model": BASE,
            "adapters": [str(folder / "models" / "dpo")],
            "collection": str(beir),
            "prompt": "api-docs-zero-shot",
            "retriever": "pyserini",
            "formation": "q*5+e",
            "max_new_tokens": 4,
            "split": "test",
        },
        "collection": {"name": "tinydocs", "language": "en", "source": "a test", "judgments": "Made by hand."},
        "hardware": "2 CPU cores",
    }
    (results / "results.json").write_text(json.dumps(results_json))
    rows = []
    for number, (query_id, query) in enumerate(QUERIES.items()):
        for system, gain in (("plain", 0.0), ("base", 0.0), ("dpo", (0.5, -0.5, 0.0, 0.0)[number])):
            rows.append(
                {
                    "system": system,
                    "query_id": query_id,
                    "query": query,
                    "expansion": "" if system == "plain" else f"write binary file {system}",
                    "completion_tokens": 4,
                    "ndcg_at_10": 0.5 + gain,
                }
            )
    parquet.write_table(pyarrow.Table.from_pylist(rows), results / "per_query.parquet")

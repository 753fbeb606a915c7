"""An encoder of a few thousand weights, and triplets that it can learn: a fruit is told by the place it grows in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builders.artifacts.render import render_dataset
from tests.support.rendered_folders import VERSION, build


FRUITS = ("pear", "plum", "apple", "grape", "lemon", "lime", "fig", "date")
PLACES = ("hill", "lake", "moor", "wood", "farm", "yard", "isle", "park")
OTHER = ("which", "grows", "on", "the", "by", "red", "green", "query", "passage", ":")
WIDTH = 32


def tiny_encoder(
    folder: Path, width: int = WIDTH, prompts: dict[str, str] | None = None, dropout: float = 0.1
) -> Path:
    """A BERT with mean pooling whose vectors have no length 1, as sentence-transformers saves it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FRUITS, *PLACES, *OTHER]
    bert = folder.with_name(f"{folder.name}-bert")
    bert.mkdir(parents=True)
    (bert / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab=str(bert / "vocab.txt"), model_max_length=32).save_pretrained(bert)
    torch.manual_seed(1)
    shape = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=32, initializer_range=0.3, **shape, **drops)
    BertModel(config).save_pretrained(bert)
    model = SentenceTransformer(modules=[Transformer(str(bert)), Pooling(width)], prompts=prompts, device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def triplet_row(number: int, expansion: str | None = None) -> dict[str, Any]:
    """The query names a fruit, the expansion and the relevant document its place; the negative is another place."""
    fruit, place = FRUITS[number % len(FRUITS)], PLACES[number % len(PLACES)]
    colour = ("red", "green")[number // len(FRUITS) % 2]
    other = PLACES[(number + 3) % len(PLACES)]
    return {
        "query_id": f"q{number}",
        "query": f"which {colour} {fruit}",
        "expansion": f"{colour} {fruit} by the {place}" if expansion is None else expansion,
        "candidate_id": f"q{number}#0",
        "positive_id": f"d{number}",
        "positive": f"the {colour} {fruit} grows on the {place}",
        "positive_relevance": 1,
        "positive_similarity": None,
        "negative_ids": [f"n{number}"],
        "negatives": [f"{colour} {fruit} on the {other}"],
        "negative_ranks": [1 + number % 5],
        "negative_scores": [2.5],
        "negative_similarities": [],
    }


def triplets_build(rows: int, version: str = VERSION) -> dict[str, Any]:
    """Provenance as `builders triplets` records it."""
    counts = {"queries": rows, "candidates": rows, "queries_with_rows": rows, "rows": rows, "pooled": 5 * rows}
    return {
        **build("triplets", rows, version),
        "expansions": {"build_sha256": "0" * 64, "code_version": version},
        "miner": "bm25s",
        "filter_encoder": None,
        "max_similarity_ratio": 0.95,
        "choice": "random",
        "negatives": 1,
        "skip_top": 0,
        "depth": 5,
        "rows_per_query": 1,
        "queries": {"train": rows},
        "yield": {"train": {**counts, "rejected_candidates": {}, "dropped_queries": {}, "false_negatives": {}}},
    }


def triplets(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A rendered folder of triplets."""
    render_dataset(folder, {"retriever": {"train": rows}}, triplets_build(len(rows)), {"total_seconds": 1.0})
    return folder

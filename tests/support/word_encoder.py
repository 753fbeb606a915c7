"""Encoders of a few thousand random weights that know some words: texts that share words lie close together."""

from collections.abc import Iterable
from pathlib import Path


def tiny_bert(folder: Path, words: Iterable[str], seed: int = 1) -> Path:
    """A BERT and its tokenizer, which knows these words alone."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    known = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(known))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = BertConfig(vocab_size=len(known), max_position_embeddings=64, initializer_range=0.2, **shape)
    BertModel(config).save_pretrained(folder)
    return folder


def word_encoder(folder: Path, words: Iterable[str], seed: int = 1) -> Path:
    """A sentence-transformers model, mean pooling; words that it does not know are spelt."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    letters = [*map(chr, range(ord("a"), ord("z") + 1)), *"0123456789"]
    known = [*letters, *(f"##{letter}" for letter in letters), *words]
    transformer = Transformer(str(tiny_bert(folder.with_name(f"{folder.name}-parts"), known, seed)))
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder))
    return folder

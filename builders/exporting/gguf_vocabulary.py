"""Read the vocabulary for a GGUF file: tokens, their types, and how text is split before merges apply."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.artifacts.records import read_record
from builders.errors import KitError


# Words, digits, contractions and white space: what the splits below treat differently.
PROBE = "it's 2024, IT'S  x1y22\n\n Größe=3.14 ; naïve_name\t!"


@dataclass(frozen=True)
class Vocabulary:
    """What llama.cpp and transformers make a tokenizer of.

    Args:
        tokens (`list[str]`):
            In the order of their ids, as many as the model has embeddings.
        types (`list[int]`):
            `gguf.TokenType` of each.
        split (`str`):
            llama.cpp's name for the way text is cut up before merges apply.
    """

    tokens: list[str]
    types: list[int]
    split: str


def read_vocabulary(folder: Path, size: int, split: str | None = None) -> Vocabulary:
    """Read `tokenizer.json`.

    Args:
        folder (`Path`):
            Holds it.
        size (`int`):
            Rows of the model's embedding; ids without a token are filled up.
        split (`str`, *optional*):
            Known beforehand; otherwise recognised by what it does to a text.

    Raises:
        KitError: it is no byte-level BPE, is another model's, or splits text in a way that has no name here.
    """
    from gguf import TokenType

    path = folder / "tokenizer.json"
    try:
        data: dict[str, Any] = read_record(path)
        kind, vocabulary, added = data["model"]["type"], data["model"]["vocab"], data["added_tokens"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{path}: missing or broken; train the adapter again") from error
    if kind != "BPE":
        raise KitError(f"{path}: a tokenizer of type {kind}; a GGUF file is written for byte-level BPE only")
    if max([*vocabulary.values(), *(entry["id"] for entry in added)]) >= size:
        raise KitError(f"{path}: has tokens that the model has no embedding for; train the adapter again")
    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [int(TokenType.UNUSED)] * size
    for token, number in vocabulary.items():
        tokens[number], types[number] = token, int(TokenType.NORMAL)
    for entry in added:
        tokens[entry["id"]] = entry["content"]
        types[entry["id"]] = int(TokenType.CONTROL if entry["special"] else TokenType.USER_DEFINED)
    return Vocabulary(tokens, types, split or _split_of(path))


def _split_of(path: Path) -> str:
    from tokenizers import Regex, Tokenizer
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    plain = ByteLevel(add_prefix_space=False, use_regex=True)
    known = {
        "gpt-2": plain,
        "smollm": Sequence([Digits(individual_digits=True), plain]),
        "qwen2": Sequence(
            [
                Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
                ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    }
    own = Tokenizer.from_file(str(path)).pre_tokenizer
    for name, split in known.items():
        if own is not None and own.pre_tokenize_str(PROBE) == split.pre_tokenize_str(PROBE):
            return name
    raise KitError(f"{path}: splits text in another way than {', '.join(known)}; no GGUF file can be written for it")

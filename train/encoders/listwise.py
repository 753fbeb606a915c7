"""The listwise trainer: what teaches a cross-encoder to pick one candidate of a list."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import ListNetLoss
from transformers import set_seed
from transformers.utils import logging

from builders.filtering.candidate_lists import CandidateList
from builders.retrievers.encoder import Encoder
from train.callbacks import LastStepLog, LossGuard
from train.encoders.filter_evaluator import Picks


if TYPE_CHECKING:
    from train.filter import FilterData


def listwise_trainer(
    data: "FilterData",
    config: CrossEncoderTrainingArguments,
    encoder: Encoder,
    training: list[CandidateList],
    choosing: list[CandidateList],
    work: Path,
) -> CrossEncoderTrainer:
    """ListNet (Cao et al. 2007): the scores' softmax over the candidates is to be that of ΔnDCG@10 / sharpness.

    A filter is used for one thing, to pick among the candidates of one query; so only differences inside a query are
    learnt. A regression on ΔnDCG@10 would spend itself on which queries are easy, and a loss over pairs would take a
    difference of 0.01 as seriously as one of 0.5. Candidates with equal grades share their probability.
    """
    set_seed(config.seed)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # That the score's own weights are new is no news.
    model = CrossEncoder(
        str(encoder.folder),
        num_labels=1,
        max_length=data.max_length,
        activation_fn=torch.nn.Identity(),
        local_files_only=True,
        model_kwargs={"use_safetensors": True},
        device="cpu" if config.use_cpu else None,
    )
    logging.set_verbosity(verbosity)
    rows = [
        {
            "query": one.query,
            "candidates": list(one.candidates),
            "labels": [delta / data.sharpness for delta in one.deltas],
        }
        for one in training
    ]
    by_steps = config.eval_strategy == "steps"
    folder = Path(str(config.output_dir))
    config = replace(
        config,
        output_dir=str(work),
        eval_strategy="steps" if by_steps else "epoch",
        save_strategy="steps" if by_steps else "epoch",
        save_steps=config.eval_steps if by_steps and config.eval_steps else config.save_steps,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_picked_delta",
        greater_is_better=True,
        logging_nan_inf_filter=False,  # It would write an average in the place of a loss that is not a number.
    )
    return CrossEncoderTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        loss=ListNetLoss(model, mini_batch_size=-1),  # All candidates of a step at once.
        evaluator=Picks(choosing),
        callbacks=[LossGuard("filter", folder), LastStepLog()],
    )

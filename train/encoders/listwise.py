"""Train a query filter listwise: a cross-encoder learns to pick one candidate of a query's list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import ListNetLoss
from transformers.utils import logging

from builders.artifacts.model_folder import FILTER
from builders.expanders.checkpoint import loading
from builders.filtering.candidate_lists import CandidateList
from builders.filtering.cross_encoder import BATCH
from builders.retrievers.encoder import Encoder
from train.encoders.filter_data import FilterData
from train.loop import Training
from train.training_data import Pairs


OPTIONS = ("max_length", "held_out", "list_size", "sharpness")


class Picks(BaseEvaluator):
    """Mean ΔnDCG@10 of the candidate that the cross-encoder scores highest, beside that of any and of the best one.

    Args:
        lists (`Sequence`):
            The candidates of held-out queries.
    """

    def __init__(self, lists: Sequence[CandidateList]) -> None:
        super().__init__()
        self.primary_metric = "picked_delta"
        self._lists = lists

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """What sentence-transformers calls."""
        asked = [(one.query, candidate) for one in self._lists for candidate in one.candidates]
        scores = iter(model.predict(asked, batch_size=BATCH, show_progress_bar=False).tolist())
        picked = []
        for one in self._lists:
            own = [next(scores) for _ in one.candidates]
            picked.append(one.deltas[own.index(max(own))])
        return {
            "picked_delta": mean(picked),
            "mean_delta": mean(mean(one.deltas) for one in self._lists),
            "best_delta": mean(max(one.deltas) for one in self._lists),
        }


@dataclass
class FilterTraining(Training):
    """ListNet (Cao et al. 2007): the scores' softmax over the candidates is to be that of ΔnDCG@10 / sharpness.

    A filter is used for one thing, to pick among the candidates of one query; so only differences inside a query are
    learnt. A regression on ΔnDCG@10 would spend itself on which queries are easy, and a loss over pairs would take a
    difference of 0.01 as seriously as one of 0.5. Candidates with equal grades share their probability.

    Args:
        data ([`FilterData`]), config (`CrossEncoderTrainingArguments`):
            The recipe.
        base ([`Encoder`]):
            What the cross-encoder begins with.
        pairs ([`Pairs`]), training (`list[CandidateList]`), choosing (`list[CandidateList]`):
            What it learns from, and what it is chosen by: see `filter_lists`.
    """

    kind, stage, command = FILTER, "filter", "python train/filter.py"
    data: FilterData
    config: CrossEncoderTrainingArguments
    base: Encoder
    pairs: Pairs
    training: list[CandidateList]
    choosing: list[CandidateList]

    def settings(self, names: set[str]) -> dict[str, Any]:
        """See [`Training`]."""
        return {"filter": {name: getattr(self.data, name) for name in OPTIONS}, "data": self.pairs.settings()}

    def make_trainer(self, overrides: Mapping[str, Any]) -> CrossEncoderTrainer:
        """See [`Training`]."""
        config, sharpness = self.config, self.data.sharpness
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()  # That the score's own weights are new is no news.
        with loading(self.base.folder):
            model = CrossEncoder(
                str(self.base.folder),
                num_labels=1,
                max_length=self.data.max_length,
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
                "labels": [delta / sharpness for delta in one.deltas],
            }
            for one in self.training
        ]
        by_steps = config.eval_strategy == "steps"
        return CrossEncoderTrainer(
            model=model,
            args=replace(
                config,
                eval_strategy="steps" if by_steps else "epoch",
                save_strategy="steps" if by_steps else "epoch",
                save_steps=config.eval_steps if by_steps and config.eval_steps else config.save_steps,
                save_total_limit=1,
                load_best_model_at_end=True,
                metric_for_best_model="eval_picked_delta",
                greater_is_better=True,
                **overrides,
            ),
            train_dataset=Dataset.from_list(rows),
            loss=ListNetLoss(model, mini_batch_size=-1),  # All candidates of a step at once.
            evaluator=Picks(self.choosing),
        )

    def record(self, trainer: Any, history: Sequence[Mapping[str, Any]], work: Path) -> dict[str, Any]:
        """See [`Training`]."""
        checks = [entry for entry in history if "eval_picked_delta" in entry]
        best = max(checks, key=lambda entry: (entry["eval_picked_delta"], -entry["step"]))
        return {
            "base": {"model_id": self.base.model_id, "revision": self.base.revision},
            "data": self.pairs.build,
            "loss": "ListNet",
            "queries": {"train": len({one.query_id for one in self.training}), "held_out": len(self.choosing)},
            "lists": len(self.training),
            "kept_step": best["step"],
            "checks": checks,
        }

    def save(self, made: Path, trainer: Any, weights: Any) -> None:
        """See [`Training`]."""
        trainer.model.save_pretrained(str(made), create_model_card=False)

    def said(self, record: Mapping[str, Any]) -> str:
        """See [`Training`]."""
        kept, steps, held_out = record["kept_step"], record["steps"], record["queries"]["held_out"]
        best = next(check for check in record["checks"] if check["step"] == kept)
        return (
            f"filter of step {kept} saved after {steps} steps; on {held_out} held-out queries ΔnDCG@10 of the pick "
            f"{best['eval_picked_delta']:+.4f}, of a random one {best['eval_mean_delta']:+.4f}, of the best "
            f"{best['eval_best_delta']:+.4f}"
        )

    def files(self, record: Mapping[str, Any]) -> Mapping[str, bytes]:
        """None."""
        return {}

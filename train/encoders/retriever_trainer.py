"""Train a retriever: a sentence-transformers model learns that expanded queries lie close to their documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import BatchSamplers
from transformers import TrainerCallback, TrainerControl, TrainerState, set_seed

from builders.artifacts.model_folder import RETRIEVER, kind_of_model, read_training
from builders.errors import KitError
from builders.retrievers.encoder import Encoder
from train.encoders.expanded_query_loss import contrastive_loss
from train.encoders.triplet_rows import EXPANSION, LABEL, NEGATIVE, OPTIONS, QUERY, RetrieverData
from train.loop import Training, is_sharded
from train.training_data import Pairs


@dataclass
class RetrieverTrainingArguments(SentenceTransformerTrainingArguments):
    """sentence-transformers' settings, with the defaults of ExpandR (Yao et al. 2025, §4)."""

    learning_rate: float = field(default=1e-5, metadata={"help": "Learning rate."})
    per_device_train_batch_size: int = field(default=64, metadata={"help": "Rows of a batch; all give negatives."})
    batch_sampler: str = field(
        default="no_duplicates", metadata={"help": "`no_duplicates`: no document of one row is a negative of another."}
    )
    prompts: dict[str, str] | str | None = field(
        default=None,
        metadata={"help": "The model's prompts `query` and `document`, saved with it; by default those that it has."},
    )
    logging_steps: float = field(default=1, metadata={"help": "Steps between two values of the loss curve."})


class RetrieverTrainer(SentenceTransformerTrainer):
    """The library's trainer, with one clear line where a checkpoint is of another encoder, and no card of its own."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """The kit's card is made of the training's record."""

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:  # type: ignore[override]  # as the library's own
        try:
            super()._load_from_checkpoint(checkpoint_path)
        except RuntimeError as error:
            raise KitError(
                f"{checkpoint_path}: its weights do not fit this encoder, so they are of another one; delete "
                f"{Path(checkpoint_path).parent} and start again"
            ) from error


class Reshuffle(TrainerCallback):
    """Tells the sampler its epoch where a run of several processes was resumed and transformers does not reach it."""

    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """See `TrainerCallback`."""
        sampler = kwargs["train_dataloader"].batch_sampler
        while hasattr(sampler, "batch_sampler"):
            sampler = sampler.batch_sampler
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(int(state.epoch or 0))


@dataclass
class RetrieverTraining(Training):
    """The training of a retriever.

    Args:
        data ([`RetrieverData`]), config ([`RetrieverTrainingArguments`]):
            The recipe.
        base ([`Encoder`]):
            What is trained; a LoRA adapter is put on it where the recipe wants one.
        pairs ([`Pairs`]), rows (`list[dict]`):
            What it learns from, as it was read and as [`triplet_rows`] gives it.
    """

    kind, stage, command = RETRIEVER, "retriever", "accelerate launch train/retriever.py"
    data: RetrieverData
    config: RetrieverTrainingArguments
    base: Encoder
    pairs: Pairs
    rows: list[dict[str, Any]]

    def settings(self, names: set[str]) -> dict[str, Any]:
        """See [`Training`]."""
        options = {name: getattr(self.data, name) for name in OPTIONS}
        return {"retriever": options, "data": {"triplets": self.pairs.settings()}}

    def prepare(self, is_main: bool) -> None:
        """See [`Training`]."""
        if is_sharded():
            raise KitError(
                "retrievers are trained whole in each process: not with FSDP or ZeRO-3, take multi_gpu.yaml"
            )

    def make_trainer(self, overrides: Mapping[str, Any]) -> RetrieverTrainer:
        """See [`Training`].

        Raises:
            KitError: the recipe names a prompt that is neither for queries nor for documents.
        """
        data, model = self.data, self.base.load("cpu" if self.config.use_cpu else None)
        set_seed(self.config.seed)  # To load a model may take random numbers.
        self._reads = model.max_seq_length
        model.max_seq_length = min(data.max_seq_length, self._reads or data.max_seq_length)
        prompts = _prompts(model, self.config.prompts, self.rows[0])
        if data.lora_r:
            model.add_adapter(
                LoraConfig(
                    task_type="FEATURE_EXTRACTION",
                    r=data.lora_r,
                    lora_alpha=data.lora_alpha,
                    lora_dropout=data.lora_dropout,
                    target_modules="all-linear",
                )
            )
        sampler = BatchSamplers(self.config.batch_sampler)
        return RetrieverTrainer(
            model=model,
            args=replace(self.config, prompts=prompts, batch_sampler=sampler, **overrides),
            train_dataset=Dataset.from_list(self.rows),
            loss=contrastive_loss(
                model, data.tau, data.mini_batch_size, data.gather_across_processes, EXPANSION in self.rows[0]
            ),
            callbacks=[Reshuffle()],
        )

    def record(self, trainer: Any, history: Sequence[Mapping[str, Any]], work: Path) -> dict[str, Any]:
        """See [`Training`]."""
        base, parent = origin(self.base)
        processes = self.processes(trainer)
        compared = processes["processes"] if self.data.gather_across_processes else 1
        return {
            "stage": self.stage,
            "base": base,
            "parent": parent,
            **processes,
            "compared_batch_size": self.config.train_batch_size * compared,
            "rows": {"triplets": len(self.rows)},
            "negatives": sum(name.startswith(NEGATIVE) for name in self.rows[0]),
            "data": {"triplets": self.pairs.build},
            "dimension": trainer.accelerator.unwrap_model(trainer.model).get_embedding_dimension(),
            "max_seq_length": self._reads,
            # The row with the fewest letters, for the card.
            "example": min(self.rows, key=lambda row: (sum(len(str(v)) for v in row.values()), row[QUERY])),
        }

    def save(self, made: Path, trainer: Any, weights: Any) -> None:
        """See [`Training`]."""
        trained = plain_model(trainer.accelerator.unwrap_model(trainer.model), self.base)
        trained.max_seq_length = self._reads
        trained.save_pretrained(str(made), create_model_card=False)

    def said(self, record: Mapping[str, Any]) -> str:
        """See [`Training`]."""
        return f"retriever saved after {record['steps']} steps, last loss {record['log'][-1]['loss']:.4f}"


def origin(encoder: Encoder) -> tuple[dict[str, Any], str | None]:
    """The model that an encoder goes back to, and the retriever of the kit's that it is, if it is one."""
    own = {"model_id": encoder.model_id, "revision": encoder.revision}
    if kind_of_model(encoder.folder) != RETRIEVER:
        return own, None
    return dict(read_training(encoder.folder, RETRIEVER)["base"]), f"{encoder.model_id}@{encoder.revision}"


def _prompts(model: SentenceTransformer, given: Any, row: Mapping[str, Any]) -> dict[str, str] | None:
    """Column → prompt, as `encode_query` and `encode_document` of the trained model will use them."""
    if given:
        if not isinstance(given, dict) or set(given) - {"query", "document"}:
            raise KitError(f"prompts: give a mapping with `query` and `document`, not {given!r}")
        model.prompts.update(given)
    # Expansions are encoded as the documents that they imitate.
    roles = {column: "query" if column == QUERY else "document" for column in row if column != LABEL}
    return {column: prompt for column, role in roles.items() if (prompt := model.prompts.get(role))} or None


def plain_model(trained: SentenceTransformer, encoder: Encoder) -> SentenceTransformer:
    """The trained model with a LoRA adapter taken into its weights, so that every reader can load it."""
    layers = [layer for layer in trained.modules() if isinstance(layer, BaseTunerLayer)]
    if not layers:
        return trained
    for layer in layers:
        layer.merge()
    merged = {name: weight for name, weight in trained.state_dict().items() if ".lora_" not in name}
    plain = encoder.load("cpu")
    plain.load_state_dict({name.replace(".base_layer.", "."): weight for name, weight in merged.items()})
    plain.prompts = trained.prompts
    return plain

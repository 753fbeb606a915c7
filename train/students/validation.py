"""Validation of a student in training: nDCG@10 of its greedy expansions of validation queries, and the best check."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.engines.transformers_engine import TransformersEngine
from builders.expanders.local import LocalExpander
from builders.grading.grader import Grader
from builders.retrievers.formulation import formulation_help, load_formulation
from builders.retrievers.load import load_retriever, retriever_help
from train.evaluation.held_out import HeldOutQueries


if TYPE_CHECKING:
    from trl import ModelConfig


SCORE = "validation_ndcg_at_10"


@dataclass(kw_only=True)
class ValidationOptions:
    """How a training is watched, and which of its adapters is kept."""

    validation_steps: int = field(
        default=0, metadata={"help": "Optimizer steps from one check to the next; 0 checks never."}
    )
    validation_collection: str = field(default="pydocs", metadata={"help": "Collection that is searched."})
    validation_queries: int = field(default=64, metadata={"help": "Queries of its validation split; −1 takes all."})
    validation_prompt: str = field(default="api-docs-zero-shot", metadata={"help": "Zero-shot prompt id or YAML."})
    validation_retriever: str = field(default="bm25s", metadata={"help": retriever_help()})
    validation_formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    validation_max_new_tokens: int = field(default=32, metadata={"help": "Token limit of one expansion."})
    validation_block: int = field(default=32, metadata={"help": "Queries expanded together."})
    validation_patience: int = field(
        default=0, metadata={"help": "Checks without a new best nDCG@10 after which training ends; 0 never ends it."}
    )
    keep_best: bool = field(
        default=True, metadata={"help": "Save the adapter of the best check, the earliest of equals, not the last."}
    )

    def settings(self) -> dict[str, Any] | None:
        """What the adapter may depend on; `None` where nothing is checked."""
        own = {name: value for name, value in asdict(self).items() if name in ValidationOptions.__annotations__}
        return own if self.validation_steps else None


class Validation:
    """Greedy expansions of validation queries by a student in memory, graded by retrieval.

    Args:
        options ([`ValidationOptions`]):
            Which queries, and how they are asked and searched.
        model_args (`ModelConfig`):
            Names the base model, whose tokenizer and chat template are used.

    Raises:
        KitError: an option names nothing known, or the collection has too few validation queries.
    """

    def __init__(self, options: ValidationOptions, model_args: "ModelConfig") -> None:
        if not options.validation_queries:
            raise KitError("validation_queries: 0; give how many queries a check asks, or validation_steps: 0")
        collection = load_collection(options.validation_collection)
        self._held_out = HeldOutQueries(
            collection,
            options.validation_queries,
            0,
            options.validation_prompt,
            options.validation_max_new_tokens,
            options.validation_retriever,
        )
        retriever = load_retriever(options.validation_retriever, collection)
        self._grader = Grader(collection, retriever, load_formulation(options.validation_formation))
        self._plain = self._held_out.plain(self._grader)
        revision = None if model_args.model_revision == "main" else model_args.model_revision
        name = str(model_args.model_name_or_path)
        # The model will be that of the training, in its own dtype.
        engine, block = TransformersEngine.name, options.validation_block
        self._expander = LocalExpander(name, dtype="float32", block=block, revision=revision, engine=engine)

    def measure(self, student: Any) -> dict[str, float]:
        """Mean nDCG@10 of the student and of the plain query; shares of the queries helped and hurt.

        The student is left as it was found, and so is torch's random generator.
        """
        import torch

        engine = self._expander.engine
        assert isinstance(engine, TransformersEngine)
        engine.model = student.eval()
        try:
            with torch.random.fork_rng([student.device] if student.device.type == "cuda" else []):
                answers = dict(self._expander.expand(self._held_out.requests, self._held_out.sampling))
        finally:
            student.train()
        texts = {key: expansions[0].text for key, expansions in answers.items()}
        figures = self._held_out.figures(self._grader, texts, self._plain)
        return {f"validation_{name}": value for name, value in figures.items() if name != "queries"}


def checks(history: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The checks in a trainer's log; that of step 0 is the student before its training."""
    return [
        {"step": entry["step"], **{name: value for name, value in entry.items() if name.startswith("validation_")}}
        for entry in history
        if SCORE in entry
    ]


def best_check(history: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """The best check of a trained student, the earliest of equals."""
    trained = [check for check in checks(history) if check["step"]]
    return max(trained, key=lambda check: check[SCORE], default=None)


def checks_since_best(history: Sequence[Mapping[str, Any]]) -> int:
    """How many checks came after the best one."""
    best = best_check(history)
    return sum(check["step"] > best["step"] for check in checks(history)) if best else 0


def best_weights(folder: Path, step: float) -> Path:
    """Where the adapter of the best check lies while the training runs."""
    return folder / f"best-{int(step)}.safetensors"

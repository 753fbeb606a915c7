"""Filters candidates by a trained cross-encoder, which reads query and expansion together."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builders.artifacts.files import file_hash
from builders.artifacts.model_folder import FILTER, read_training
from builders.artifacts.records import refuse_pipes
from builders.collections.collection import Query
from builders.errors import KitError
from builders.expanders.expander import Expansion
from builders.filtering.candidate_filter import Filter, Score
from builders.retrievers.encoder import require_sentence_transformers


WEIGHTS = "model.safetensors"
BATCH = 64
# Fewer pairs are scored in a moment.
MANY = 1000


class CrossEncoderFilter(Filter):
    """Picks the candidate that a cross-encoder of `train/filter.py` scores highest.

    Nothing heavy is loaded before the first choice.

    Args:
        folder (`Path`):
            What `train/filter.py` saved.

    Raises:
        KitError: the folder is missing, unfinished or no filter, or the extra `dense` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require_sentence_transformers("query filters")
        self.training = read_training(folder, FILTER)
        self.identity = f"{folder.resolve().name}@sha256:{file_hash(folder / WEIGHTS)[:16]}"
        self._folder = folder

    def scores(self, asked: Sequence[tuple[Query, Expansion]]) -> list[Score]:
        """See [`Filter.scores`]: the cross-encoder's logit."""
        values = self._model.predict(
            [(query.text, expansion.text) for query, expansion in asked],
            batch_size=BATCH,
            show_progress_bar=len(asked) > MANY,
        )
        return [(float(value),) for value in values]

    def load(self) -> None:
        """Load the model now, so that what follows can be timed without it."""
        _ = self._model

    @functools.cached_property
    def _model(self) -> Any:
        from sentence_transformers import CrossEncoder

        refuse_pipes(self._folder)
        try:
            return CrossEncoder(str(self._folder), local_files_only=True, model_kwargs={"use_safetensors": True})
        except Exception as error:  # safetensors and torch raise classes of their own for a truncated file
            reason = " ".join(str(error).split())[:300]
            raise KitError(f"filter {self._folder} cannot be loaded: {reason}; train it again") from error

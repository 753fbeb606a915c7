"""Vectors of texts by an encoder, each text encoded once."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from builders.retrievers.encoder import Encoder


if TYPE_CHECKING:
    import numpy as np

# Texts encoded between two moves of the bar.
SHARD = 1024


class TextVectors:
    """Vectors by text.

    Args:
        encoder ([`Encoder`]):
            What encodes.
        texts (`Iterable[str]`):
            All that will be asked for; equal ones are encoded once.
    """

    def __init__(self, encoder: Encoder, texts: Iterable[str]) -> None:
        import numpy as np
        from tqdm import tqdm

        distinct = list(dict.fromkeys(texts))
        self._row = {text: row for row, text in enumerate(distinct)}
        parts = []
        with tqdm(desc="encoding", total=len(distinct), unit=" texts", delay=3) as bar:
            for start in range(0, len(distinct), SHARD):
                parts.append(encoder.encode_passages(distinct[start : start + SHARD]))
                bar.update(len(parts[-1]))
        self._vectors = np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)

    def __getitem__(self, text: str) -> "np.ndarray":
        """The vector of a text."""
        return self._vectors[self._row[text]]

    def cosines(self, texts: Sequence[str], with_text: str) -> "np.ndarray":
        """The cosine of each text with another one."""
        return self._vectors[[self._row[text] for text in texts]] @ self[with_text]

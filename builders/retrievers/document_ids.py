"""Maps an index's numbers to document ids, memory-mapped, so that millions of them take no memory."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import numpy as np

TEXTS = "document_ids.npy"
ENDS = "document_ids_ends.npy"


class DocumentIds:
    """Ids in the order of the index.

    Args:
        texts (`np.ndarray`):
            All ids in UTF-8, one after the other: uint8.
        ends (`np.ndarray`):
            Where each of them ends in `texts`, after a leading 0: int64, one more than there are ids.
    """

    def __init__(self, texts: "np.ndarray", ends: "np.ndarray") -> None:
        # Read without np.memmap, whose every slice takes microseconds.
        self._texts, self._ends = memoryview(texts.data), memoryview(ends.data)

    @classmethod
    def of(cls, ids: Sequence[str]) -> "DocumentIds":
        """From a list of ids."""
        import numpy as np

        encoded = [document_id.encode("utf-8", "surrogatepass") for document_id in ids]
        ends = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=ends[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends)

    @classmethod
    def load(cls, folder: Path) -> "DocumentIds":
        """From the folder of an index, memory-mapped.

        Raises:
            OSError, ValueError: the files are missing or damaged.
        """
        import numpy as np

        return cls(*(np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (TEXTS, ENDS)))

    def save(self, folder: Path) -> None:
        """Write two files into the folder of an index."""
        import numpy as np

        np.save(folder / TEXTS, self._texts, allow_pickle=False)
        np.save(folder / ENDS, self._ends, allow_pickle=False)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        return self._texts[self._ends[number] : self._ends[number + 1]].tobytes().decode("utf-8", "surrogatepass")

    def of_numbers(self, numbers: "np.ndarray") -> list[str]:
        """The ids at several places, kept once found: the candidates of a query find the same documents."""
        found: list[str] = self._found[numbers].tolist()
        if None in found:
            for number in numbers.tolist():
                self._found[number] = self[number]
            found = self._found[numbers].tolist()
        return found

    @cached_property
    def _found(self) -> "np.ndarray":
        import numpy as np

        return np.full(len(self), None, dtype=object)

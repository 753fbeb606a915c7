"""The ids of millions of documents in eight bytes each."""

from array import array
from collections.abc import Iterable


class IdSet:
    """A set of ids that keeps their hashes, sorted, instead of the ids.

    Ten million ids take 80 MB; as Python strings in a set they would take a gigabyte. Two different ids have the same
    64-bit hash with probability n²/2⁶⁵ (3·10⁻⁶ for ten million): `repeated` names hashes to look at again, and an id
    that is not there is taken for one that is with probability n/2⁶⁴.

    Args:
        ids (`Iterable[str]`):
            Read once.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        import numpy as np

        # The salt of Python's hash changes from process to process; a set lives in one.
        hashes = array("q", map(hash, ids))
        self._sorted = np.frombuffer(hashes, dtype=np.int64) if hashes else np.empty(0, dtype=np.int64)
        self._sorted.sort()

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, id: str) -> bool:
        number = self.number(id)
        return number < len(self._sorted) and bool(self._sorted[number] == hash(id))

    def number(self, id: str) -> int:
        """Where the id stands, or would stand, in the order of the hashes."""
        return int(self._sorted.searchsorted(hash(id)))

    @property
    def repeated(self) -> set[int]:
        """Hashes that more than one of the ids has: the same id twice, or by a rare chance two ids."""
        return set(self._sorted[1:][self._sorted[1:] == self._sorted[:-1]].tolist())

"""Ranks documents by the sums of what the terms of a query score in them, as a `bm25s` index has it.

The sums are those that `bm25s` makes, added up in the same order and so equal to the last bit. With numba (extra
`fast`) compiled code makes the same sums many times faster.
"""

import importlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from builders.artifacts.cache import cache_dir


if TYPE_CHECKING:
    import numpy as np

    # The numbers of a query's best documents, best first, and their scores.
    Best = tuple[np.ndarray, np.ndarray]

# Queries that a thread takes at once.
CHUNK = 64
# Scores added up before compiled code is loaded: as long as that takes, which a small job should not wait for.
WORTH_LOADING = 50_000_000
# A document in a heap is one integer: the bits of its score, and below them `BELOW` less its number.
BITS, BELOW = 32, 2**32 - 1


class TermScores:
    """Ranks the documents of a `bm25s` index.

    Args:
        index (`Mapping`):
            `scores` of the index: for each term, from `indptr` on, the numbers of the documents that have it
            (`indices`) and what it scores there (`data`).
    """

    def __init__(self, index: Mapping[str, Any]) -> None:
        import numpy as np

        # As plain arrays, since each slice of a np.memmap takes as long as adding up a term, and without sign, since
        # compiled code asks of a place with one whether it counts from the end.
        self._values, documents = np.asarray(index["data"]).view(), np.asarray(index["indices"])
        self._documents = documents.view(f"u{documents.itemsize}")
        # Like those of an index on disk: code is compiled for either kind by itself.
        self._values.flags.writeable = self._documents.flags.writeable = False
        self._starts, self._count = np.asarray(index["indptr"]).astype(np.uint64), int(index["num_docs"])
        self._added = 0

    def best(self, queries: Iterable[bytes], depth: int) -> Iterator["Best"]:
        """The best documents above 0, at most `depth`, for queries given as the numbers of their terms (int32).

        Documents with equal scores come in the order of their numbers.
        """
        waiting, cores, depth = iter(queries), os.cpu_count() or 1, min(depth, self._count)
        found: deque[Future[np.ndarray]] = deque()
        with ThreadPoolExecutor(cores) as threads:
            while chunk := list(islice(waiting, CHUNK if (compiled := self._compiled()) else 1)):
                if compiled is None:
                    yield from (self._best(terms, depth) for terms in chunk)
                    continue
                found.append(threads.submit(self._heaps, compiled, chunk, depth))
                if len(found) > 2 * cores:
                    yield from _rows(found.popleft().result())
            for future in found:
                yield from _rows(future.result())

    def _compiled(self) -> Callable[..., None] | None:
        return compiled_rank() if self._added >= WORTH_LOADING else None

    def _best(self, query: bytes, depth: int) -> "Best":
        import numpy as np

        sums, terms = np.zeros(self._count, dtype=np.float32), np.frombuffer(query, dtype=np.int32)
        for begin, end in zip(self._starts[terms].tolist(), self._starts[terms + 1].tolist(), strict=True):
            np.add.at(sums, self._documents[begin:end], self._values[begin:end])
            self._added += end - begin
        return self._ranked(sums, depth)

    def best_weighted(self, query: Mapping[int, float], depth: int) -> "Best":
        """As [`best`], for one query given as the numbers of its terms with their weights."""
        import numpy as np

        sums = np.zeros(self._count, dtype=np.float32)
        for term, weight in query.items():
            begin, end = int(self._starts[term]), int(self._starts[term + 1])
            sums[self._documents[begin:end]] += np.float32(weight) * self._values[begin:end]
        return self._ranked(sums, min(depth, self._count))

    def documents_with(self, term: int) -> int:
        """How many documents have a term, given by its number."""
        return int(self._starts[term + 1] - self._starts[term])

    @staticmethod
    def _ranked(sums: "np.ndarray", depth: int) -> "Best":
        import numpy as np

        # Everything that ties with the last place stays, so that the number decides and not the partition.
        least = np.partition(sums, -depth)[-depth]
        numbers = np.flatnonzero(sums >= least if least > 0 else sums > 0)
        order = np.argsort(-sums[numbers], kind="stable")[:depth]
        return numbers[order], sums[numbers[order]]

    def _heaps(self, compiled: Callable[..., None], queries: Sequence[bytes], depth: int) -> "np.ndarray":
        """What [`rank`], compiled, leaves for several queries."""
        import numpy as np

        terms = np.frombuffer(b"".join(queries), dtype=np.int32)
        ends = np.cumsum([0, *map(len, queries)]) // terms.itemsize
        sums, begun = np.zeros((2, self._count), dtype=np.float32)
        heaps = np.zeros((len(queries), depth + 1), dtype=np.int64)
        heaps[:, depth] = np.iinfo(np.int64).max
        index = self._values, self._documents, self._starts
        compiled(*index, terms, ends, sums, sums.view(np.int32), begun, heaps)
        return heaps


def _rows(heaps: "np.ndarray") -> Iterator["Best"]:
    """What [`rank`] left in each heap, best first."""
    import numpy as np

    ordered = np.sort(heaps[:, :-1], axis=1)[:, ::-1]
    numbers = BELOW - (ordered & BELOW)
    scores = (ordered >> BITS).astype(np.int32).view(np.float32)
    for row, found in enumerate(np.count_nonzero(ordered, axis=1).tolist()):
        yield numbers[row, :found].astype(np.int32), scores[row, :found]


@cache
def compiled_rank() -> Callable[..., None] | None:
    """[`rank`], compiled: in seconds for the first time, from the cache afterwards; `None` without numba.

    It needs no lock of Python's, so that threads run it side by side.
    """
    try:
        numba: Any = importlib.import_module("numba")
    except ImportError:
        return None
    before = numba.config.CACHE_DIR
    # By default numba writes beside this file, where an installation may be read-only.
    numba.config.CACHE_DIR = str(cache_dir("numba"))
    try:
        return numba.njit(nogil=True, cache=True)(rank)
    finally:
        numba.config.CACHE_DIR = before


def rank(
    values: Any,
    documents: Any,
    starts: Any,
    terms: Any,
    ends: Any,
    sums: Any,
    bits: Any,
    begun: Any,
    heaps: Any,
) -> None:
    """Find the best documents for several queries.

    A query that begins like the one before it, as the candidates of one query do, goes on from the sums of the terms
    that they have in common.

    Args:
        values, documents, starts:
            Of the index: see [`TermScores`].
        terms, ends:
            The numbers of the terms of all queries, and where each query ends in them, after a leading 0.
        sums, bits, begun:
            Zeros, one for each document: `bits` are those of `sums` as integers, which have the same order.
        heaps:
            Zeros, and a last column that nothing exceeds: filled with a heap a query, the worst of its best documents
            first. Of equal scores the first document is the better one.
    """
    # Loops where numpy has slices: those take numba seconds more to compile.
    count, depth, common = len(sums), heaps.shape[1] - 1, 0
    for query in range(len(ends) - 1):
        begin, end = ends[query], ends[query + 1]
        following, ahead = ends[min(query + 2, len(ends) - 1)], 0
        while begin + ahead < end and end + ahead < following and terms[begin + ahead] == terms[end + ahead]:
            ahead += 1
        for number in range(count):
            sums[number] = begun[number]
        for place in range(begin + common, end + 1):
            if place == begin + ahead:
                for number in range(count):
                    begun[number] = sums[number]
            if place == end:
                break
            for posting in range(starts[terms[place]], starts[terms[place] + 1]):
                sums[documents[posting]] += values[posting]
        if ahead < common:
            ahead = 0
            for number in range(count):
                begun[number] = 0
        common = ahead
        # The best documents of the query before have scores here, too, and the worst of these is in reach of as many.
        least = 0
        if query > 0 and heaps[query - 1, 0] > 0:
            least = bits[BELOW - (heaps[query - 1, 0] & BELOW)]
            for place in range(1, depth):
                least = min(least, bits[BELOW - (heaps[query - 1, place] & BELOW)])
        least = max(least - 1, 0)
        for place in range(depth):
            heaps[query, place] = least << BITS
        for number in range(count):
            if bits[number] <= least:
                continue
            one = (bits[number] << BITS) | (BELOW - number)
            place, child = 0, 1
            while child < depth:
                child += heaps[query, child + 1] < heaps[query, child]
                if heaps[query, child] >= one:
                    break
                heaps[query, place] = heaps[query, child]
                place, child = child, 2 * child + 1
            heaps[query, place] = one
            least = heaps[query, 0] >> BITS

"""Spools the terms of documents to disk while an index is built."""

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from builders.retrievers.analysis.words import Analyzer


class TermSpool:
    """The terms of all documents as numbers, in a temporary file: four bytes for each occurrence, none in memory.

    A context manager. Iterating, as often as wanted, gives a list of numbers for each document, by document id.

    Args:
        texts (`Iterable[tuple[str, str]]`):
            Document id and text.
        analyze (`Analyzer`):
            Text → terms.
        folder (`Path`):
            Where the temporary file lies, until the `with` block ends.

    Attributes:
        ids (`Sequence[str]`): the document ids, sorted.
        vocabulary (`dict[str, int]`): term → number, in the order of their first occurrence.
    """

    def __init__(self, texts: Iterable[tuple[str, str]], analyze: Analyzer, folder: Path) -> None:
        import numpy as np

        self.vocabulary: dict[str, int] = {}
        self._file = tempfile.TemporaryFile(dir=folder)
        ids: list[str] = []
        lengths = array("q")
        for document_id, text in texts:
            numbers = array("i", [self.vocabulary.setdefault(term, len(self.vocabulary)) for term in analyze(text)])
            numbers.tofile(self._file)
            ids.append(document_id)
            lengths.append(len(numbers))
        self._file.flush()
        self._ends = np.concatenate([[0], np.cumsum(np.frombuffer(lengths, dtype=np.int64))]).astype(np.int64)
        self._order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
        self.ids: Sequence[str] = sorted(ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[list[int]]:
        import numpy as np

        numbers = np.empty(0, dtype=np.int32)
        if self._ends[-1]:
            numbers = np.memmap(self._file, dtype=np.int32, mode="r", shape=(int(self._ends[-1]),))
        for place in self._order:
            yield numbers[self._ends[place] : self._ends[place + 1]].tolist()

"""Encodes the documents of a collection once, and keeps their vectors on disk, memory-mapped."""

import io
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import atomic_write, cached_folder
from builders.artifacts.swap import discard
from builders.collections.collection import Collection
from builders.errors import KitError
from builders.retrievers.document_ids import DocumentIds
from builders.retrievers.encoder import Encoder


if TYPE_CHECKING:
    import numpy as np

VECTORS = "vectors.npy"
# Documents encoded between two saves: what an interruption costs.
SHARD = 256


def vectors_folder(collection: Collection, encoder: Encoder) -> Path:
    """Where the vectors of a collection by an encoder lie, and what is made of them."""
    return cache_dir("dense") / f"{collection.fingerprint}-{encoder.fingerprint}"


def document_vectors(collection: Collection, encoder: Encoder) -> tuple["np.ndarray", DocumentIds]:
    """The vectors of all documents, in the order of the collection, and their ids.

    An interrupted encoding continues at the shard where it stopped.

    Returns:
        A memory-mapped float32 matrix, one row of length 1 for each document, and the ids of the rows.

    Raises:
        KitError: the encoder cannot be loaded.
    """
    from filelock import FileLock

    folder = vectors_folder(collection, encoder)
    # Of several processes one encodes, and the others wait for it.
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        found = _load(folder)
        if found is None:
            _encode(collection, encoder, folder)
            found = _load(folder)
        discard(_work(folder))
    if found is None:
        raise KitError(f"{folder}: the vectors just written cannot be read: is the disk full or damaged?")
    return found


def _load(folder: Path) -> tuple["np.ndarray", DocumentIds] | None:
    import numpy as np

    try:
        vectors, ids = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False), DocumentIds.load(folder)
    except (OSError, ValueError, EOFError):
        return None  # not there, or damaged: encoded again
    return (vectors, ids) if len(vectors) == len(ids) else None


def _encode(collection: Collection, encoder: Encoder, folder: Path) -> None:
    import numpy as np
    from tqdm import tqdm

    # Of one collection and encoder only, so that shards can be trusted.
    work = _work(folder)
    work.mkdir(exist_ok=True)
    texts, ids, shards = collection.indexed_texts(), list[str](), list[Path]()
    with tqdm(desc="encoding", unit=" documents", delay=3) as bar:
        while batch := list(islice(texts, SHARD)):
            ids += [document_id for document_id, _ in batch]
            shards.append(work / f"{len(shards):06}.npy")
            if _shard(shards[-1], len(batch)) is None:
                buffer = io.BytesIO()
                np.save(buffer, encoder.encode_passages([text for _, text in batch]), allow_pickle=False)
                atomic_write(shards[-1], buffer.getvalue())
            bar.update(len(batch))
    if not ids:
        raise KitError(f"collection {collection.name!r} has no documents to encode")
    with cached_folder(folder) as finished:
        _join(shards, len(ids), finished / VECTORS)
        DocumentIds.of(ids).save(finished)


def _work(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.work")


def _shard(path: Path, rows: int) -> "np.ndarray | None":
    """The vectors of a shard, if it is there and whole."""
    import numpy as np

    try:
        shard = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return shard if shard.ndim == 2 and len(shard) == rows else None


def _join(shards: Sequence[Path], rows: int, path: Path) -> None:
    import numpy as np

    columns = np.load(shards[0], allow_pickle=False).shape[1]
    joined = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, columns))
    start = 0
    for shard in shards:
        vectors = np.load(shard, allow_pickle=False)
        joined[start : start + len(vectors)] = vectors
        start += len(vectors)
    joined.flush()

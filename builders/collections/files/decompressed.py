"""Reads compressed files as they come, and not on without end: what unpacks to a hundred times its size is refused."""

import gzip
import io
from pathlib import Path
from typing import Any

from builders.errors import KitError


# Text is compressed to a third, lists of ids to a thirtieth. What repeats itself goes further: gzip takes zeros to a
# thousandth, and a few public topics that repeat a term by its weight to a four-hundredth; whoever trusts these
# unpacks them.
RATIO = 100
# What takes no harm in any memory or on any disk.
HARMLESS = 64 * 2**20
BLOCK = 2**20


def require_plausible(path: Path, unpacked: int) -> None:
    """Raise KitError if so many bytes come of a compressed file that it was made to fill memory or disk."""
    size = path.stat().st_size
    if unpacked > max(HARMLESS, RATIO * size):
        raise KitError(
            f"{path}: {size:,} bytes unpack to more than {RATIO} times as many, as hardly any collection's do; do "
            "not trust it, or unpack it yourself"
        )


class Decompressed(io.RawIOBase):
    """The bytes in a gzip or, by its name, a Zstandard file; no more of them than [`require_plausible`] lets pass.

    Args:
        path (`Path`):
            The file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0
        self._file: Any
        if path.suffix.lower() == ".zst":
            import pyarrow

            self._file = pyarrow.input_stream(str(path), compression="zstd")
        else:
            self._file = gzip.open(path)

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        require_plausible(self._path, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase`; from the beginning, or from where the file stands."""
        target = offset + (self._at if whence == io.SEEK_CUR else 0)
        # Before it is gone there, which takes reading of what lies between.
        require_plausible(self._path, target)
        self._at = self._file.seek(target)
        return self._at

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._at

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return bool(self._file.seekable())

    def close(self) -> None:
        """See `io.IOBase`."""
        if not self.closed:
            self._file.close()
        super().close()

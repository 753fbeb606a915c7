"""Lines of text files, plain or compressed, and the JSON objects in them: each with the place where it stands."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from builders.artifacts.records import parse_json, refuse_pipe
from builders.collections.files.decompressed import BLOCK, Decompressed
from builders.errors import KitError


COMPRESSED = (".gz", ".zst")
# What a download that was cut off or a damaged disk leaves.
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)

Record = dict[str, Any]


class Place(NamedTuple):
    """Where a row stands: a file, or what else rows come from, and the row's number from 1."""

    path: Path | str
    row: int

    def __str__(self) -> str:
        return f"{self.path}, row {self.row}"

    @property
    def short(self) -> str:
        """The place without its folder."""
        return f"{Path(self.path).name}, row {self.row}"


def form_of(path: Path) -> str:
    """What a file's name says it holds: `jsonl`, `tsv`, … without the compression; empty when it says nothing.

    A name like `msmarco_passage_00.gz` says that it is compressed and no more: such files hold JSON lines.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    inner = [suffix for suffix in suffixes if suffix not in COMPRESSED]
    return inner[-1].removeprefix(".") if inner else "jsonl" if suffixes else ""


def read_lines(path: Path) -> Iterator[tuple[Place, str]]:
    """The lines of a UTF-8 file, plain, gzip or Zstandard, without their line ends.

    Raises:
        KitError: the file is missing, compressed data is cut off or damaged, or a line is no UTF-8 text.
    """
    row = 0
    try:
        with _opened(path) as handle:
            for row, line in enumerate(handle, start=1):
                if "\0" in line:
                    raise KitError(
                        f"{Place(path, row)}: zero bytes are no text; is the file UTF-16? Convert it to UTF-8"
                    )
                yield Place(path, row), line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise KitError(f"{path}, after row {row}: not UTF-8 ({error.reason}); convert the file") from error
    except FileNotFoundError as error:
        raise KitError(f"{path}: no such file") from error
    except _DAMAGED as error:
        raise KitError(f"{path}, after row {row}: gzip data cut off or damaged; fetch the file again") from error
    except OSError as error:
        if path.suffix.lower() == ".zst" and error.errno is None:
            raise KitError(f"{path}, after row {row}: zst data cut off or damaged; fetch the file again") from error
        raise


def read_json(path: Path) -> Iterator[tuple[Place, Record]]:
    """The objects of a JSON file: one a line, blank lines passed over; a `.json` file may be one list of them.

    Raises:
        KitError: as [`read_lines`]; or a line is not a JSON object, or holds half of a surrogate pair.
    """
    numbered = read_lines(path)
    if form_of(path) == "json":
        first = next((line for _, line in read_lines(path) if line.strip()), "")
        if first.lstrip().startswith("["):
            yield from _json_list(path, "\n".join(line for _, line in numbered))
            return
    for place, line in numbered:
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except json.JSONDecodeError as error:
            where = f"{error.msg}, column {error.colno}"
            raise KitError(f"{place}: not valid JSON ({where}); mend the line") from error
        yield place, _checked(place, record, line)


def _json_list(path: Path, text: str) -> Iterator[tuple[Place, Record]]:
    try:
        records = parse_json(text)
    except json.JSONDecodeError as error:
        raise KitError(f"{path}, row {error.lineno}: not valid JSON ({error.msg}); mend the line") from error
    for number, record in enumerate(records, start=1):
        yield Place(path, number), _checked(Place(path, number), record, text if "\\ud" in text.lower() else "")


def _checked(place: Place, record: Any, line: str) -> Record:
    if not isinstance(record, dict):
        raise KitError(f"{place}: not a JSON object; one object a line is expected")
    # JSON can spell what no UTF-8 text can hold; better said here than by whatever writes it out again.
    if "\\ud" in line.lower():
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise KitError(f"{place}: half of a surrogate pair (\\ud…) is no character; convert the file") from error
    return record


def _opened(path: Path) -> TextIO:
    refuse_pipe(path)
    # Lines end at \n alone: texts may hold other separators. utf-8-sig passes over a byte order mark.
    if path.suffix.lower() not in COMPRESSED:
        return path.open(encoding="utf-8-sig", newline="\n")
    return io.TextIOWrapper(io.BufferedReader(Decompressed(path), BLOCK), encoding="utf-8-sig", newline="\n")

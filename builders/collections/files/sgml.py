"""Reads documents in TREC's own form: `<DOC>`, `<DOCNO>`, and the text between tags."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from builders.collections.collection import Document
from builders.collections.files.lines import Place, read_lines
from builders.errors import KitError


# The tags that Anserini reads a document's contents from.
TITLE_TAGS = ("title", "headline", "head", "hl", "ttl", "ti")
TEXT_TAGS = ("leadpara", "lp", "text")

_OPEN, _CLOSE = re.compile(r"<doc(?:\s[^<>]*)?>", re.IGNORECASE), re.compile(r"</doc\s*>", re.IGNORECASE)
_NUMBER = re.compile(r"<docno(?:\s[^<>]*)?>\s*([^<]*?)\s*<", re.IGNORECASE)
_NAMES = re.compile(r"<(docno|docid)(?:\s[^<>]*)?>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_BEGINNING = 64
_TAG = re.compile(r"</?[a-z!][^<>]*>", re.IGNORECASE)


def holds_sgml(path: Path) -> bool:
    """Whether a file's first line opens a document, also where it is no UTF-8, which `read_sgml` says."""
    try:
        first = next((line for _, line in read_lines(path) if line.strip()), "")
    except KitError:
        with path.open("rb") as handle:
            first = handle.read(_BEGINNING).decode("latin-1")
    return _OPEN.match(first.lstrip()) is not None


def read_sgml(path: Path) -> Iterator[tuple[Place, Document]]:
    """The documents of a file: the id in `<DOCNO>`; headline and text without their tags.

    Raises:
        KitError: the file cannot be read, or a document has no `<DOCNO>` or no end.
    """
    start: Place | None = None
    lines: list[str] = []
    for place, line in read_lines(path):
        while True:
            if start is None:
                opened = _OPEN.search(line)
                if opened is None:
                    break
                start, lines, line = place, [], line[opened.end() :]
            closed = _CLOSE.search(line)
            if closed is None:
                lines.append(line)
                break
            yield start, _document(start, "\n".join([*lines, line[: closed.start()]]))
            start, line = None, line[closed.end() :]
    if start is not None:
        raise KitError(f"{start}: this document has no </DOC>; is the file cut off?")


def _document(place: Place, content: str) -> Document:
    number = _NUMBER.search(content)
    if number is None or not number[1]:
        raise KitError(f"{place}: a document without <DOCNO>; give it one")
    titles, rest = _taken(content, TITLE_TAGS)
    texts, more = _taken(rest, TEXT_TAGS)
    return Document(number[1], _plain(" ".join(titles)), _plain("\n".join(texts) if texts else _NAMES.sub(" ", more)))


def _taken(content: str, tags: tuple[str, ...]) -> tuple[list[str], str]:
    """What stands between these tags, in order, and what is left."""
    element = re.compile(rf"<({'|'.join(tags)})(?:\s[^<>]*)?>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
    return [match[2] for match in element.finditer(content)], element.sub(" ", content)


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())

"""Reads a docstring in the numpydoc form: its summary, its body, and what its See Also names."""

import inspect
import re
from dataclasses import dataclass


# Sections that would give a document away (examples repeat the calls, See Also repeats other summaries) or that say
# nothing about the object (bibliography).
LEFT_OUT = frozenset({"examples", "example", "references", "reference", "see also"})

_UNDERLINE = re.compile(r"^(-{3,}|={3,}|~{3,})\s*$")
_SIGNATURE = re.compile(r"^[\w.$]+\s*\(.*\)(\s*->.*)?$")
_ROLE = re.compile(r":[\w:+.-]+:`([^`]*)`")
_LINK_TARGET = re.compile(r"\s*<[^<>`]*>`?_*$")
_FILLED_BY_DECORATOR = re.compile(r"^[ \t]*\$\{\w+\}[ \t]*\n?", re.MULTILINE)
_CITATION = re.compile(r"\s*\[[\w.+#*-]+\]_")
_NAME = re.compile(r"^[A-Za-z_][\w.]*$")


@dataclass(frozen=True, slots=True)
class Docstring:
    """One docstring, taken apart.

    Args:
        summary (`str`):
            The first paragraph as one line of plain text, reStructuredText markup removed; empty where there is none.
        body (`str`):
            Everything after the summary, without the sections in `LEFT_OUT`.
        sections (`frozenset[str]`):
            The section names in lower case.
        see_also (`tuple[str, ...]`):
            The names in See Also, as written.
    """

    summary: str
    body: str
    sections: frozenset[str]
    see_also: tuple[str, ...]

    @property
    def words(self) -> int:
        """How many words the body has."""
        return len(self.body.split())


def read_docstring(raw: str) -> Docstring:
    """Take a docstring apart.

    Leading signature paragraphs are dropped, as the C-implemented functions of NumPy and SciPy write them before the
    summary. `${...}` on a line of its own (NumPy's shared text on the argument `like`) is dropped too.

    Source: https://numpydoc.readthedocs.io/en/latest/format.html
    """
    lines = _FILLED_BY_DECORATOR.sub("", inspect.cleandoc(raw)).splitlines()
    summary_lines, start = _summary(lines)
    blocks = _sections(lines[start:])
    body = "\n".join("\n".join(block) for name, block in blocks if name not in LEFT_OUT)
    return Docstring(
        summary=_plain(" ".join(summary_lines)),
        body=re.sub(r"\n{3,}", "\n\n", body).strip(),
        sections=frozenset(name for name, _ in blocks if name),
        see_also=tuple(name for title, block in blocks if title == "see also" for name in _see_also(block[2:])),
    )


def _summary(lines: list[str]) -> tuple[list[str], int]:
    """The lines of the first paragraph that is no signature, and the index of the line after it."""
    at = 0
    while at < len(lines):
        while at < len(lines) and not lines[at].strip():
            at += 1
        end = at
        while end < len(lines) and lines[end].strip() and not _heading(lines, end):
            end += 1
        paragraph = [line.strip() for line in lines[at:end]]
        # "name(...)", over several lines too, and in C code "--" below it; a summary may follow without a blank line.
        mark = paragraph.index("--") if "--" in paragraph else len(paragraph)
        if paragraph and (_SIGNATURE.match(paragraph[0]) or _SIGNATURE.match(" ".join(paragraph[:mark]))):
            rest = 1 if _SIGNATURE.match(paragraph[0]) else mark
            while rest < len(paragraph) and (paragraph[rest] == "--" or _SIGNATURE.match(paragraph[rest])):
                rest += 1
            at += rest
            continue
        # A directive (".. deprecated::", ".. note::") is no summary.
        return ([], at) if paragraph and paragraph[0].startswith("..") else (paragraph, end)
    return [], len(lines)


def _heading(lines: list[str], at: int) -> bool:
    title = lines[at]
    return bool(
        title.strip() and not title[0].isspace() and at + 1 < len(lines) and _UNDERLINE.match(lines[at + 1].strip())
    )


def _sections(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Pairs (name in lower case, lines with their heading); the text before the first heading has the name ""."""
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for at, line in enumerate(lines):
        if _heading(lines, at):
            blocks.append((line.strip().rstrip(":").lower(), []))
        blocks[-1][1].append(line)
    return blocks


def _see_also(lines: list[str]) -> list[str]:
    """Names of lines such as `f, g : text`, `:func:`f``, or ``f``; indented lines describe and name nothing."""
    names = []
    for line in lines:
        if not line.strip() or line[0].isspace() or line.startswith(".."):
            continue
        head = re.split(r"\s+:\s*|:\s+|:$", _ROLE.sub(r"\1", line))[0]
        for part in head.split(","):
            name = _LINK_TARGET.sub("", part.strip().strip("`")).strip("`~").removesuffix("()").rstrip(".")
            if _NAME.match(name):
                names.append(name)
    return names


def _plain(text: str) -> str:
    """Text without reStructuredText roles, link targets, citations and backticks."""

    def shown(match: re.Match[str]) -> str:
        target = _LINK_TARGET.sub("", match.group(1))
        return target[1:].rsplit(".", 1)[-1] if target.startswith("~") else target

    text = _CITATION.sub("", _ROLE.sub(shown, text))
    return " ".join(re.sub(r"`+_*", "", text).split())

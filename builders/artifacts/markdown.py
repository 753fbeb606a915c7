"""Writes Markdown in which data stands as text: nothing that comes from data is read as HTML, Markdown or a mark."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any


HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
# Everything that ends a line for somebody, and what would be shown as one blank.
_BLANK = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*|[ \t]{2,}|\t")
# What means something in the middle of a text (CommonMark and GFM), and what does at the beginning of a line. A number
# with its sign is none of it, nor an underscore within a name, nor brackets that no address follows.
_MEANS = re.compile(
    r"""(?P<slash> \\(?=[!-/:-@\[-`{-~]) | [`~|*] | (?<![^\W_])_ | _(?![^\W_]) | \](?=[(\[:]) )
      | (?P<html> <(?=[a-z/!?]|\Z) | &(?=\#?\w+;) )""",
    re.VERBOSE | re.IGNORECASE,
)
_BEGINS = re.compile(r"(\s*)(?:(>|\#{1,6}(?=\s|\Z)|=+\s*\Z|[-+](?=[\s-]|\Z))|(\d{1,9})([.)])(?=\s|\Z))")


class Markdown(str):
    """Markdown that the kit wrote itself: it stands as it is where other texts are escaped."""


def text(value: object) -> Markdown:
    """Anything as the text that it is, in one line, wherever it stands; in a cell of a table, too."""
    line = _within(value)
    found = None if isinstance(value, Markdown) else _BEGINS.match(line)
    if found is None:
        return line
    blank, mark, digits, point = found.groups()
    begin = f"{blank}\\{mark}" if mark else f"{blank}{digits}\\{point}"
    return Markdown(begin + line[found.end() :])


def _within(value: object) -> Markdown:
    """Anything as text that does not begin a line."""
    if isinstance(value, Markdown):
        return value
    return Markdown(_MEANS.sub(_escaped, _BLANK.sub(" ", str(value))))


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[0]}" if found["slash"] else {"<": "&lt;", "&": "&amp;"}[found[0]]


def code(value: object) -> Markdown:
    """Anything as code in a text: within backticks, or within tags where these could not hold it."""
    line = _BLANK.sub(" ", str(value))
    if re.search(r"[`|]|\A\s|\s\Z|\A\Z", line):
        return Markdown(f"<code>{text(line)}</code>")
    return Markdown(f"`{line}`")


def python(value: str) -> Markdown:
    """A string as it stands in Python source, in one line."""
    return Markdown(json.dumps(value, ensure_ascii=False))


def hub_link(repo_id: str, endpoint: str = "https://huggingface.co") -> Markdown:
    """A link to a model on the Hub; a name that is none of the Hub's is only shown."""
    if not HUB_ID.fullmatch(repo_id):
        return code(repo_id)
    return Markdown(f"[{text(repo_id)}]({endpoint}/{repo_id})")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table: titles, rule, rows of as many cells."""
    rule = [Markdown("---")] * len(titles)
    return [f"| {' | '.join(map(_within, cells))} |" for cells in (titles, rule, *rows)]


def render_card(template: Path, card_data: Any, **facts: Any) -> str:
    """A card of its template: what the template inserts is escaped, unless one of its filters says how it stands.

    Args:
        template (`Path`):
            The template, for Jinja. Filters: `code`, `python`, `hub_link`, and `markdown`: it is Markdown already.
        card_data (`CardData`):
            The front matter, of the Hub's library.
        facts:
            The template's variables.
    """
    from jinja2 import Environment

    environment = Environment(finalize=text)
    environment.filters |= {"code": code, "python": python, "hub_link": hub_link, "markdown": Markdown}
    read = environment.from_string(template.read_text(encoding="utf-8"))
    return read.render(card_data=Markdown(card_data.to_yaml()), **facts)

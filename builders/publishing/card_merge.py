"""Merge cards: what the kit generates anew, and what people wrote around it on the Hub.

A card is front matter and text. The kit owns the keys that it wrote and the text between its two marks; keys that
somebody added, tags that somebody added, and text outside of the marks belong to people and survive a re-publish.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from builders.errors import KitError


OPEN = "<!-- generated:"
CLOSE = "<!-- end of the generated part -->"
# At the beginning of a line, and as one: what data holds stands in the middle of one.
MARKS = re.compile(rf"^(?:(?P<open>{re.escape(OPEN)})|(?P<close>{re.escape(CLOSE)})(?=[ \t]*\r?$))", re.M)
FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.S | re.M)
# The one in C is ten times faster, and not everywhere.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Where a generated card loads its own repository from; rendered before that has a name, it is a folder of ours.
LOADERS = (
    *(r"load_dataset\(", r"load_expander\(", r"SentenceTransformer\("),
    *(r"PeftModel\.from_pretrained\(model, ", r"AutoTokenizer\.from_pretrained\("),
)
ADDRESS = re.compile(rf"""(?:{"|".join(LOADERS)})("(?:[^"\\\n]|\\.)+")""")
# Only used where a template has no marks of its own: then all of its text is generated.
OPENING_LINE = f"{OPEN} everything down to the closing mark; write your own words outside of it -->"


@dataclass(frozen=True)
class Card:
    """A card in its parts; joined they are the text again.

    Args:
        front (`str`):
            The front matter with its dashes, as it was written.
        data (`dict`):
            The front matter, read.
        before (`str`), generated (`str`), after (`str`):
            The text up to the opening mark, the marks with what is between them, and the rest. Without marks all is
            `before`.
    """

    front: str
    data: dict[str, Any]
    before: str
    generated: str = ""
    after: str = ""

    def __str__(self) -> str:
        return self.front + self.before + self.generated + self.after

    @property
    def by_hand(self) -> str:
        """The text outside of the generated part."""
        return "\n\n".join(part for part in (self.before.strip(), self.after.strip()) if part)


@dataclass(frozen=True)
class WrittenByKit:
    """What of a published card came from the folder, as the manifest remembers it.

    Keys and tags of the front matter, and the hash of the text that the folder's card had outside of its marks.
    """

    keys: frozenset[str] = field(default_factory=frozenset)
    tags: frozenset[str] = field(default_factory=frozenset)
    by_hand: str = ""


def read_card(text: str, where: str) -> Card:
    """Take a card apart.

    Args:
        text (`str`):
            The content of `README.md`.
        where (`str`):
            Named in errors.

    Raises:
        KitError: the front matter is not a YAML mapping, or one of the marks is missing.
    """
    match = FRONT.match(text)
    front, body = (match[0], text[match.end() :]) if match else ("", text)
    try:
        data = yaml.load(match["yaml"], LOADER) if match else {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # The block begins one line below the top of the file.
        line = f", line {mark.line + 2}" if mark is not None else ""
        raise KitError(f"{where}{line}: the front matter is not valid YAML: mend it there, then run again") from error
    if not isinstance(data, dict | None) or (match is None and text.lstrip("\ufeff").startswith("---")):
        raise KitError(f"{where}: the front matter is no YAML mapping between two lines of dashes: mend it there")
    marks = list(MARKS.finditer(body))
    if not marks:
        return Card(front, data or {}, body)
    if [mark.lastgroup for mark in marks] != ["open", "close"]:
        raise KitError(f"{where}: one of the two marks around the generated part is missing or double: mend it there")
    start, end = marks[0].start(), marks[1].end()
    return Card(front, data or {}, body[:start], body[start:end], body[end:])


def marked(card: Card) -> Card:
    """A rendered card, its whole text put between marks where its template has none."""
    if card.generated:
        return card
    return Card(card.front, card.data, "\n", f"{OPENING_LINE}\n\n{card.before.strip()}\n\n{CLOSE}", "\n")


def addressed(card: Card, repo_id: str) -> Card:
    """A rendered card whose load lines name the repository that it goes to, and no folder of this machine."""
    generated = card.generated
    for address in set(ADDRESS.findall(generated)):
        generated = generated.replace(address, f'"{repo_id}"')
    return replace(card, generated=generated)


def with_data(card: Card, data: dict[str, Any]) -> Card:
    """A card with another front matter; where it stays the same, it stays as it was written."""
    if data == card.data:
        return card
    from huggingface_hub.utils import yaml_dump

    return replace(card, front=f"---\n{yaml_dump(data, sort_keys=False)}---\n", data=data)


def written_by_kit(card: Card) -> WrittenByKit:
    """What goes up with a rendered card."""
    return WrittenByKit(frozenset(map(str, card.data)), frozenset(_tags(card.data)), _hash(card.by_hand))


def merge(rendered: Card, published: Card, before: WrittenByKit | None) -> Card:
    """The card to publish: the rendered one with what people wrote into the published one.

    Args:
        rendered (`Card`):
            The card of the folder, with marks.
        published (`Card`):
            The card on the Hub.
        before (`WrittenByKit`, *optional*):
            What the kit itself wrote there last time; `None` where it never did.

    Returns:
        A card that stays the same when it is merged again. Text outside of the marks that was changed on the Hub
        wins over the folder's.

    Raises:
        KitError: the kit's marks were removed from a card that it published.
    """
    if before is not None and not published.generated:
        raise KitError(
            "README.md on the Hub lost the marks around its generated part: put them back there, or delete the file"
        )
    data = _with_hand_edits(rendered.data, published.data, before or WrittenByKit())
    card = with_data(rendered, data)
    if not published.by_hand or (before is not None and _hash(published.by_hand) == before.by_hand):
        return card
    if published.generated:
        return replace(card, before=published.before, after=published.after)
    # A card that the kit has not touched yet: all of its text is somebody's own, and goes below.
    return replace(card, before="\n", after=f"\n\n{published.before.strip()}\n")


def _with_hand_edits(
    rendered: Mapping[str, Any], published: Mapping[str, Any], before: WrittenByKit
) -> dict[str, Any]:
    data = dict(rendered)
    for key, value in published.items():
        if key not in rendered and str(key) not in before.keys:
            data[key] = value
    added = [tag for tag in _tags(published) if tag not in before.tags and tag not in _tags(data)]
    if added and "tags" in rendered:
        data["tags"] = [*_tags(data), *added]
    return data


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _tags(data: Mapping[str, Any]) -> list[str]:
    tags = data.get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list) else [tags] if isinstance(tags, str) else []

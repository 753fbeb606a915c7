"""Texts that would be markup, front matter, a template or a mark of the kit's if they were not escaped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builders.publishing.card_merge import CLOSE, read_card
from tests.support.markdown_reader import shape, words


HARMLESS = " said"
EVIL = f""" | <script>alert(1)</script> ![i](https://evil.example/i.png) [x](https://evil.example)
<!-- generated: x -->
{CLOSE}

# Heading

- **item** `code` {{{{ 7 * 7 }}}} {{% raw %}}

```
fence
```
---
license: mit
---
| a | b |
| --- | --- |
| &lt; | _c_ |
"""
# What decides the way of a card, names a file, or is looked up.
FIXED = frozenset(
    {
        "kind",
        "stage",
        "parent",
        "identity",
        "sha256",
        "language",
        "licence",
        "license",
        "datasets",
        "files",
        "settings",
    }
    | {"base", "versions", "choice", "type", "spec", "reference", "expander", "retriever", "prompt", "dtype"}
)


def said(value: Any, more: str, fixed: frozenset[str] = FIXED) -> Any:
    """A record with something added to all of its texts but those of some names."""
    if isinstance(value, dict):
        return {key: each if key in fixed else said(each, more, fixed) for key, each in value.items()}
    if isinstance(value, list):
        return [said(each, more, fixed) for each in value]
    return value + more if isinstance(value, str) else value


def poison(path: Path, more: str, *places: str) -> dict[str, Any]:
    """Add to the texts of a JSON file, and to all of those in places that are left alone otherwise."""
    record = said(json.loads(path.read_text()), more)
    for place in places:
        *above, last = place.split(".")
        part = record
        for name in above:
            part = part[name]
        part[last] = said(part[last], more, frozenset())
    path.write_text(json.dumps(record))
    return record


def body(card: str, where: str) -> str:
    """The text of a card; its marks are found."""
    read = read_card(card, where)
    assert read.data.get("license") in ("apache-2.0", "cc-by-4.0"), read.data
    assert where == "space" or read.generated.endswith(CLOSE) and not read.by_hand
    return read.before + read.generated + read.after


def is_only_shown(evil: str, harmless: str) -> None:
    """Both have the same elements, and what was added is there to be read."""
    assert shape(evil) == shape(harmless)
    shown, times = words(evil), words(harmless).count(HARMLESS.strip())
    assert times > 1 and shown.count("{% raw %}") == times

"""Reads Markdown with a parser that is none of the kit's: what it is made of, and what a reader sees."""

from __future__ import annotations

from typing import Any

import pytest


def _tokens(markdown: str) -> list[Any]:
    parser = pytest.importorskip("markdown_it", reason="cards are read with markdown-it-py")
    return parser.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)


def shape(markdown: str) -> list[tuple[str, str]]:
    """Its elements in their order, with where links lead; code is one element, however it was written."""
    found, tagged = [], False
    for token in (part for block in _tokens(markdown) for part in (block.children or [block])):
        if token.type == "html_inline" and token.content in ("<code>", "</code>"):
            tagged = token.content == "<code>"
            found += [("code_inline", "")] if tagged else []
        elif token.type not in ("text", "softbreak") and not tagged:
            to = str(token.attrGet("href") or token.attrGet("src") or "")
            found.append((token.type, token.content if token.type.startswith("html") else to))
    return found


def words(markdown: str) -> str:
    """What a reader sees, in one line."""
    blocks = [token.children or [token] for token in _tokens(markdown) if token.type in ("inline", "fence")]
    shown = (
        "".join(" " if part.type == "softbreak" else part.content for part in block if part.type != "html_inline")
        for block in blocks
    )
    return " ".join(" ".join(shown).split())

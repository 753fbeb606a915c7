"""Every number of a card, and whether the JSON that the card was made of holds it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from builders.artifacts.schema import CONFIGS


# A number wherever it stands, a sign before it if it has one, and the percent sign that may follow.
NUMBER = re.compile(r"(?P<sign>(?<![\w.)\]])[+-])?(?P<digits>\d+(?:\.\d+)*(?:[eE][+-]?\d+)?)(?P<percent> ?%)?")
# What the templates themselves say. Everything else has to be found.
PROSE = {
    r"nDCG@10|MRR@10|Recall@100": "names of the measures, which are fixed",
    r"< 0\.001": "a p-value too small to be told",
    r"95 % interval": "what delta_ci95 is, by its name",
    r"BM25": "name of a ranking function",
    r"papers/\d{4}\.\d{5}": "arXiv ids of the methods",
    r"shape\[1\]|output\[0,": "Python of the snippet",
    r"--temp 0": "greedy decoding, in the example of a command line",
    r"^license: \S+": "given on the command line: the licence's name on the Hub",
    r"^- n<1K$": "the Hub's name for the size of a dataset; see its own test",
    r"\b(?:int|float)\d+\b": "names of column types; the schema's own test holds them",
    r"http://127\.0\.0\.1:7860": "where Gradio serves, in the example of a client",
    r"^python_version: '3\.12'$": "the Python that the Hub is asked for",
    r"merged in \| float32": "the arithmetic of every merge",
}


def unexplained(text: str, sources: Sequence[Any]) -> list[str]:
    """The numbers of a card that are in none of its sources, each with its line.

    Args:
        text (`str`):
            The card, front matter included, or a part of it.
        sources (`Sequence`):
            JSON values. A number of the card is found when one of their numbers, rounded to the card's digits, is the
            same; after a percent sign also when that is a hundredth of it. Strings are found as a whole.
    """
    leaves = list(_leaves(sources))
    numbers = {leaf for leaf in leaves if isinstance(leaf, int | float) and not isinstance(leaf, bool)}
    strings = {leaf for leaf in leaves if isinstance(leaf, str)}
    plain = {string for string in strings if re.fullmatch(r"[\d.]+", string)}
    own_words = {word for columns in CONFIGS.values() for column in columns for word in (column.meaning, column.name)}
    rest = _without(text, {s for s in strings if re.search(r"\d", s)} - plain | own_words)
    for pattern in PROSE:
        rest = re.sub(pattern, lambda match: "·" * len(match[0]), rest, flags=re.MULTILINE)
    missing = []
    for match in NUMBER.finditer(rest):
        if match["digits"] not in plain and not any(_shows(match, number) for number in numbers):
            line = text[text.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0]
            missing.append(f"{match[0]} in: {line}")
    return missing


def checked_numbers(text: str) -> list[re.Match[str]]:
    """The numbers with a decimal point that stand in tables and sentences, of which a card is made."""
    return [match for match in NUMBER.finditer(text) if re.fullmatch(r"\d+\.\d+", match["digits"])]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _without(text: str, strings: set[str]) -> str:
    """Blank out whole strings, as they are and as JSON and Python write them; positions stay."""
    written = {form for string in strings for form in (string, json.dumps(string, ensure_ascii=False)[1:-1])}
    for string in sorted(written, key=len, reverse=True):
        whole = rf"(?<![\w.]){re.escape(string)}(?!\w)"
        text = re.sub(whole, lambda match: re.sub(r"[^\n]", "·", match[0]), text)
    return text


def _shows(match: re.Match[str], number: float) -> bool:
    """Whether the card's digits are this number's, as a card rounds it."""
    digits, sign = match["digits"], match["sign"] or ""
    if digits == json.dumps(abs(number)) and sign in ("", "-" if number < 0 else "+"):
        return True
    if "e" in digits.lower() or digits.count(".") > 1:
        return False
    form = f"{'+' if sign else ''}.{len(digits.partition('.')[2])}f"
    if match["percent"] and format(100 * number, form) == sign + digits:
        return 0 <= number <= 1
    # Whole numbers out of fractions would find anything.
    return format(number, form) == sign + digits and ("." in digits or abs(number) >= 1 or number == 0)

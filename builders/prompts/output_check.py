"""Checks whether an expander's answer is an expansion at all."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from builders.prompts.phrases import PREAMBLES, REFUSALS
from builders.prompts.script import each_segment, in_script_of, segments


# Share of distinct word trigrams below which a text that ran into the token limit counts as going round in circles.
DISTINCT_TRIGRAMS = 0.5


@dataclass(frozen=True)
class OutputCheck:
    """What a prompt's answers must look like.

    Args:
        language (`str`):
            ISO 639-1 code: decides the script, and the preambles and refusals that are known.
        min_words (`int`), max_words (`int`):
            Bounds on the number of words; in Chinese and Japanese, of characters. With `min_words` 0 an answer may be
            empty: it leaves the query alone.
        forbidden (`Sequence[str]`):
            Further regular expressions (case-insensitive) that no answer may match.
    """

    language: str
    min_words: int
    max_words: int
    forbidden: Sequence[str] = ()

    def reason(self, text: str, query: str, finish_reason: str) -> str | None:
        """Why an answer is rejected, or `None`.

        * `empty`: no word in it, and at least one is asked for.
        * `repeats`: it ran to the token limit and most of its word trigrams are copies.
        * `echo`: it says no word that the query does not say.
        * `preamble`, `refusal`: the model speaks of its task, or declines it.
        * `wrong language`: most of it is in another script.
        * `too short`, `too long`: the bounds.
        * `forbidden`: the prompt's own patterns.
        """
        words = segments(text)
        if not words:
            return "empty" if self.min_words else None
        trigrams = list(zip(words, words[1:], words[2:], strict=False))
        if finish_reason == "length" and len(trigrams) >= 8 and len(set(trigrams)) < DISTINCT_TRIGRAMS * len(trigrams):
            return "repeats"
        if is_silent(text, query):
            return "echo"
        if _matches(PREAMBLES.get(self.language, ()), text):
            return "preamble"
        if _matches(REFUSALS.get(self.language, ()), text):
            return "refusal"
        if not in_script_of(text, self.language):
            return "wrong language"
        if len(words) < self.min_words:
            return "too short"
        if len(words) > self.max_words:
            return "too long"
        return "forbidden" if _matches(self.forbidden, text) else None


def is_silent(text: str, query: str) -> bool:
    """Whether a text says no word that the query does not say: it is empty, or an echo."""
    asked = _said(query)
    return all(segment in asked for segment in each_segment(text))


@lru_cache(maxsize=1_024)  # a query's candidates are looked at one after the other
def _said(query: str) -> frozenset[str]:
    return frozenset(segments(query))


def _matches(patterns: Iterable[str], text: str) -> bool:
    return any(re.search(pattern, text.strip(), re.IGNORECASE) for pattern in patterns)

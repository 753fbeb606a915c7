"""The output check: whether an expander's answer is an expansion at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


# Share of distinct word trigrams below which a text that ran into the token limit counts as going round in circles.
DISTINCT_TRIGRAMS = 0.5


@dataclass(frozen=True)
class OutputCheck:
    """What a prompt's answers must look like.

    Args:
        min_words (`int`), max_words (`int`):
            Bounds on the number of words.
        forbidden (`Sequence[str]`):
            Regular expressions (case-insensitive) that no answer may match: preambles, refusals.
    """

    min_words: int
    max_words: int
    forbidden: Sequence[str] = ()

    def reason(self, text: str, query: str, finish_reason: str) -> str | None:
        """Why an answer is rejected (`empty`, `repeats`, `echo`, `too short`, `too long`, `forbidden`), or `None`.

        `repeats` means: it ran to the token limit and most of its word trigrams are copies. `echo` means: it says
        no word that the query does not say.
        """
        words = re.findall(r"\w+", text.lower())
        if not words:
            return "empty"
        trigrams = list(zip(words, words[1:], words[2:], strict=False))
        if finish_reason == "length" and len(trigrams) >= 8 and len(set(trigrams)) < DISTINCT_TRIGRAMS * len(trigrams):
            return "repeats"
        if not set(words) - set(re.findall(r"\w+", query.lower())):
            return "echo"
        if len(words) < self.min_words:
            return "too short"
        if len(words) > self.max_words:
            return "too long"
        if any(re.search(pattern, text, re.IGNORECASE) for pattern in self.forbidden):
            return "forbidden"
        return None

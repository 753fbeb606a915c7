"""Analyzes English as Anserini does by default."""

import re
from functools import lru_cache

from builders.retrievers.analysis.words import ENGLISH_STOP_WORDS, REMEMBERED, Analyzer, words


_POSSESSIVE = re.compile(r"['\u2019\uff07][sS]$")


def english_analyzer() -> Analyzer:
    """Anserini's default: tokens of UAX #29, possessive 's removed, lower case, stop words removed, Porter's stemmer.

    Source: org.apache.lucene.analysis.en.EnglishAnalyzer. Differences: words without spaces (Chinese, Thai) stay whole
    here, and PyStemmer's `porter` follows Porter (1980) to the letter, where Lucene makes two of its author's later
    departures (-bli, -logi).
    """
    import Stemmer

    stem, token = Stemmer.Stemmer("porter").stemWord, words()

    @lru_cache(maxsize=REMEMBERED)
    def term(word: str) -> str | None:
        word = _POSSESSIVE.sub("", word).lower()
        if word in ENGLISH_STOP_WORDS:
            return None
        # Porter's own programs, and Lucene's, leave words of one or two letters alone.
        return stem(word) if len(word) > 2 else word

    return lambda text: [found for word in token.findall(text) if (found := term(word)) is not None]

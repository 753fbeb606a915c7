"""Analyzers: how text becomes the terms that are matched, per language."""

import re
from collections.abc import Callable
from functools import lru_cache

from builders.errors import KitError


# Part of the cache key of every index: raise it whenever an analyzer gives other terms.
ANALYSIS = 1

Analyzer = Callable[[str], list[str]]

# The 33 words of Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET.
ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with".split()
)

# Unicode's default word boundaries (UAX #29, rules WB5 to WB13b), as Lucene's StandardTokenizer applies them: letters
# are joined by one of . : ' and their like (MidLetter, MidNumLet), digits by one of . , ; ' (MidNum, MidNumLet),
# letters and digits by nothing or underscores (ExtendNumLet).
_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(
    rf"_*(?:{_LETTER}|\d)"
    rf"(?:\w|[\u0300-\u036f]|(?<={_LETTER})[.:'\u2018\u2019\u2024\u2027\u00b7](?={_LETTER})|(?<=\d)[.,;'\u2018\u2019\u2024](?=\d))*"
)
_POSSESSIVE = re.compile(r"['\u2019\uff07][sS]$")


def analyzer_for(language: str) -> Analyzer:
    """The analyzer of a language: text → terms, in order, repeated as often as they occur.

    Args:
        language (`str`):
            ISO 639-1 code. Supported: `en`.

    Raises:
        KitError: no analyzer for the language.
    """
    if language != "en":
        raise KitError(f"no analyzer for language {language!r}: supported is en")
    return _english()


@lru_cache(maxsize=1)
def _english() -> Analyzer:
    """Anserini's default: tokens of UAX #29, possessive 's removed, lower case, stop words removed, Porter's stemmer.

    Source: org.apache.lucene.analysis.en.EnglishAnalyzer. Differences: words without spaces (Chinese, Thai) stay whole
    here, and PyStemmer's `porter` follows Porter (1980) to the letter, where Lucene makes two of its author's later
    departures (-bli, -logi).
    """
    import Stemmer

    stem = Stemmer.Stemmer("porter").stemWord

    def terms(text: str) -> list[str]:
        words = (_POSSESSIVE.sub("", token).lower() for token in _TOKEN.findall(text))
        # Porter's own programs, and Lucene's, leave words of one or two letters alone.
        return [stem(word) if len(word) > 2 else word for word in words if word not in ENGLISH_STOP_WORDS]

    return terms

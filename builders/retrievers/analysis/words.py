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
_POSSESSIVE = re.compile(r"['\u2019\uff07][sS]$")
_LETTER = r"[^\W\d_]"
# Most words of a text are among the frequent ones of its language.
REMEMBERED = 50_000


@lru_cache(maxsize=64)
def analyzer_for(language: str) -> Analyzer:
    """The analyzer of a language: text → terms, in order, repeated as often as they occur.

    Args:
        language (`str`):
            ISO 639-1 code: `en`, `zh`, or a language of `builders.retrievers.analysis.snowball`.

    Raises:
        KitError: no analyzer for the language, or its extra is not installed.
    """
    from builders.retrievers.analysis.snowball import STEMMERS, snowball_analyzer

    if language == "en":
        return _english()
    if language == "zh":
        from builders.retrievers.analysis.chinese import chinese_analyzer

        return chinese_analyzer()
    if language in STEMMERS:
        return snowball_analyzer(language)
    raise KitError(
        f"bm25s: no analyzer for language {language!r}: supported are en, zh, {', '.join(STEMMERS)}; "
        "retriever pyserini has others"
    )


def words(marks: str = "\u0300-\u036f", joiners: str = ".:'\u2018\u2019\u2024\u2027\u00b7") -> re.Pattern[str]:
    """The pattern of a word by Unicode's default boundaries (UAX #29, WB5 to WB13b), as Lucene's StandardTokenizer.

    Letters are joined by one of . : ' and their like (MidLetter, MidNumLet), digits by one of . , ; ' (MidNum,
    MidNumLet), letters and digits by nothing or underscores (ExtendNumLet).

    Args:
        marks (`str`, *optional*):
            Combining characters that belong to the letter before them, as the inside of a character class.
        joiners (`str`, *optional*):
            What joins two letters.
    """
    more = rf"[\w{marks}]"
    joint = rf"(?:(?<={_LETTER})[{joiners}](?={_LETTER})|(?<=\d)[.,;'\u2018\u2019\u2024](?=\d))"
    return re.compile(rf"_*(?:{_LETTER}|\d){more}*(?:{joint}{more}+)*")


def _english() -> Analyzer:
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

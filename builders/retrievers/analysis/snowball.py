"""Analyzes languages written with spaces, by Snowball's stemmers and the stop words that `bm25s` ships."""

import sys
import unicodedata
from functools import lru_cache

from builders.retrievers.analysis.words import REMEMBERED, Analyzer, words


# ISO 639-1 code → algorithm of PyStemmer.
STEMMERS = dict(
    pair.split(":")
    for pair in (
        "ar:arabic ca:catalan cs:czech da:danish de:german el:greek es:spanish et:estonian eu:basque fa:persian "
        "fi:finnish fr:french ga:irish hi:hindi hu:hungarian hy:armenian id:indonesian it:italian lt:lithuanian "
        "ne:nepali nl:dutch no:norwegian pl:polish pt:portuguese ro:romanian ru:russian sr:serbian sv:swedish "
        "ta:tamil tr:turkish yi:yiddish"
    ).split()
)
# What comes before the apostrophe (French l'avion, Italian dell'aria) or after it (Turkish Türkiye'de) is no part of
# the word there.
APOSTROPHE_PARTS = ("ca", "fr", "it", "tr")


def snowball_analyzer(language: str) -> Analyzer:
    """Words by UAX #29 in lower case, without stop words where `bm25s` has a list, stemmed.

    Args:
        language (`str`):
            A key of [`STEMMERS`].
    """
    import Stemmer
    from bm25s import stopwords

    algorithm = STEMMERS[language]
    stem = Stemmer.Stemmer(algorithm).stemWord
    stop_words = frozenset(getattr(stopwords, f"STOPWORDS_{algorithm.upper()}", ()))
    joiners = {"joiners": ".:\u2024\u2027\u00b7"} if language in APOSTROPHE_PARTS else {}
    # All combining characters: vowel signs of Hindi and Tamil, points of Arabic and Yiddish, accents.
    every = map(chr, range(0x300, sys.maxunicode))
    token = words("".join(char for char in every if unicodedata.category(char)[0] == "M"), **joiners)

    @lru_cache(maxsize=REMEMBERED)
    def term(word: str) -> str | None:
        word = word.lower()
        return None if word in stop_words else stem(word)

    def terms(text: str) -> list[str]:
        if language == "tr":  # the one language whose I is not the capital of i
            text = text.replace("\u0130", "i").replace("I", "\u0131")
        return [found for word in token.findall(text) if (found := term(word)) is not None]

    return terms

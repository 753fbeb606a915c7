"""Loads the analyzer of a language, text → terms."""

from functools import lru_cache

from builders.errors import KitError
from builders.retrievers.analysis.bigrams import SCRIPTS, bigram_analyzer
from builders.retrievers.analysis.chinese import chinese_analyzer
from builders.retrievers.analysis.english import english_analyzer
from builders.retrievers.analysis.snowball import STEMMERS, snowball_analyzer
from builders.retrievers.analysis.words import Analyzer


# Part of the cache key of every index: raise it whenever an analyzer gives other terms.
ANALYSIS = 1


@lru_cache(maxsize=64)
def analyzer_for(language: str) -> Analyzer:
    """The analyzer of a language: text → terms, in order, repeated as often as they occur.

    Args:
        language (`str`):
            ISO 639-1 code: `en`, `zh`, or a language of `builders.retrievers.analysis.snowball` or `…bigrams`.

    Raises:
        KitError: no analyzer for the language, or its extra is not installed.
    """
    if language == "en":
        return english_analyzer()
    if language == "zh":
        return chinese_analyzer()
    if language in STEMMERS:
        return snowball_analyzer(language)
    if language in SCRIPTS:
        return bigram_analyzer(language)
    raise KitError(
        f"bm25s: no analyzer for language {language!r}: supported are en, zh, {', '.join((*STEMMERS, *SCRIPTS))}; "
        "retriever pyserini has others"
    )


def reads_word_by_word(language: str) -> bool:
    """Whether a text has the terms of what stands between its spaces, each read as if it stood alone."""
    return language == "en" or language in STEMMERS

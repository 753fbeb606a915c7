"""Analyzes Chinese: words by the segmenter jieba."""

import importlib.util
import re
import unicodedata

from builders.artifacts.cache import cache_dir
from builders.errors import KitError
from builders.retrievers.analysis.words import ENGLISH_STOP_WORDS, Analyzer


_WORD = re.compile(r"[^\W_]")


def chinese_analyzer() -> Analyzer:
    """jieba's words without punctuation and English stop words; Latin words in lower case, wide letters narrow.

    jieba guesses no new words here (`HMM=False`): what its dictionary lacks falls into single characters, which then
    match wherever they stand. On CMRC 2018 that is better than guessing (nDCG@10 0.989 against 0.984), and than its
    overlapping words for searching (0.983 with guessing, 0.989 without). Common words stay: the list of `bm25s`
    removes such as 行为 (behaviour) and gains 0.0005.

    Raises:
        KitError: the extra `chinese` is not installed.
    """
    if importlib.util.find_spec("jieba") is None:
        raise KitError("Chinese needs jieba, which is not installed: pip install 'query-expansion-kit[chinese]'")
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # Its own default is a file in the folder for temporary files, which others could have written.
    tokenizer.tmp_dir = str(cache_dir("jieba"))

    def terms(text: str) -> list[str]:
        words = tokenizer.lcut(unicodedata.normalize("NFKC", text).lower(), HMM=False)
        return [word for word in words if _WORD.search(word) and word not in ENGLISH_STOP_WORDS]

    return terms

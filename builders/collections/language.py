"""The language that the script of texts suggests, where nobody has stated one."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import islice


SAMPLE = 200
# How Unicode names the letters of a script, and the language that most texts in it are in.
_LANGUAGES = {
    "ARABIC": "ar",
    "BENGALI": "bn",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "DEVANAGARI": "hi",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "LATIN": "en",
    "TELUGU": "te",
    "THAI": "th",
}


def guess_language(texts: Iterable[str], default: str = "en") -> str:
    """The language that most letters of the first 200 texts suggest: `zh` for Chinese characters, `en` for Latin.

    It tells scripts apart, not the languages of one script: French is taken for English, Persian for Arabic. Japanese
    is told by its syllables, however many Chinese characters stand among them.
    """
    scripts: Counter[str] = Counter()
    for text in islice(texts, SAMPLE):
        scripts.update(unicodedata.name(letter, " ").split(" ")[0] for letter in text if letter.isalpha())
    languages: Counter[str] = Counter()
    for script, number in scripts.items():
        if script in _LANGUAGES:
            languages[_LANGUAGES[script]] += number
    if not languages:
        return default
    best = languages.most_common(1)[0][0]
    return "ja" if best == "zh" and languages["ja"] > 0.1 * languages["zh"] else best

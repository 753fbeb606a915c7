"""Which script a text is written in, and what counts as one word of it."""

import re
import unicodedata
from collections.abc import Iterator


# Chinese characters and Japanese syllables: scripts that put no spaces between words.
_UNSPACED = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SEGMENT = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
# As above, with the punctuation that belongs to it: full stops and commas are no words of their own.
_WRITTEN = re.compile(rf"[{_UNSPACED}\u3000-\u303f\uff00-\uffef]|[^\s{_UNSPACED}\u3000-\u303f\uff00-\uffef]+")

# How Unicode's names of a language's letters begin. Languages that are not here are not checked.
SCRIPTS = {
    **dict.fromkeys(("ar", "fa"), ("ARABIC",)),
    **dict.fromkeys(("de", "en", "es", "fi", "fr", "id", "sw", "yo"), ("LATIN",)),
    "bn": ("BENGALI",),
    "hi": ("DEVANAGARI",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA"),
    "ko": ("HANGUL",),
    "ru": ("CYRILLIC",),
    "te": ("TELUGU",),
    "th": ("THAI",),
    "zh": ("CJK",),
}
# These say about as much as three letters each: a Chinese text full of Latin names is still Chinese.
_DENSE, _DENSE_WEIGHT = ("CJK", "HIRAGANA", "KATAKANA"), 3


def segments(text: str) -> list[str]:
    """The words of a text, lower case; in Chinese and Japanese, where no space parts them, the single characters."""
    return _SEGMENT.findall(text.lower())


def each_segment(text: str) -> Iterator[str]:
    """[`segments`] one after the other, for those who may stop at the first."""
    return (found[0] for found in _SEGMENT.finditer(text.lower()))


def opening(text: str, words: int) -> str:
    """The first words of a text, white space collapsed, and an ellipsis.

    Two Chinese characters count as one word: Chinese words are one or two characters long.
    """
    text = " ".join(text.split())
    room, end = 2 * words, 0
    for written in _WRITTEN.finditer(text):
        room -= 1 if len(written[0]) == 1 and written[0] > "\u2fff" else 2
        if room < 0:
            break
        end = written.end()
    return f"{text[:end]}…" if end and text[end - 1] > "\u2fff" else f"{text[:end]} …"


def in_script_of(text: str, language: str) -> bool:
    """Whether at least half of a text is in the script of a language.

    This tells Chinese from English, not English from French. Figures and punctuation have no script; a text without
    letters, and a language that `SCRIPTS` does not know, pass.
    """
    expected = SCRIPTS.get(language)
    own = others = 0
    for letter in filter(str.isalpha, text if expected else ""):
        # "FULLWIDTH LATIN …" is Latin too.
        name = unicodedata.name(letter, "").removeprefix("FULLWIDTH ")
        weight = _DENSE_WEIGHT if name.startswith(_DENSE) else 1
        if expected and name.startswith(expected):
            own += weight
        else:
            others += weight
    return own >= others

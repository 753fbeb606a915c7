"""What analyzers of several languages share: the pattern of a word, English stop words."""

import re
from collections.abc import Callable


Analyzer = Callable[[str], list[str]]

# The 33 words of Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET.
ENGLISH_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with".split()
)
_LETTER = r"[^\W\d_]"
# Most words of a text are among the frequent ones of its language.
REMEMBERED = 50_000


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

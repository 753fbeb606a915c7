"""The language of texts, guessed where nobody has stated one, by their script and their function words."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby, islice


SAMPLE = 200
# How Unicode names the letters of a script, and the language that most texts in it are in.
_LANGUAGES = dict(
    pair.split(":")
    for pair in (
        "ARABIC:ar ARMENIAN:hy BENGALI:bn BOPOMOFO:zh CJK:zh CYRILLIC:ru DEVANAGARI:hi ETHIOPIC:am GEORGIAN:ka "
        "GREEK:el GUJARATI:gu GURMUKHI:pa HANGUL:ko HEBREW:he HIRAGANA:ja KANNADA:kn KATAKANA:ja KHMER:km LAO:lo "
        "MALAYALAM:ml MONGOLIAN:mn MYANMAR:my ORIYA:or SINHALA:si TAMIL:ta TELUGU:te THAANA:dv THAI:th TIBETAN:bo"
    ).split()
)
# Letters that another language of the same script has and the usual one lacks.
_OWN_LETTERS = {
    "ar": {"ur": "ٹڈڑںے", "fa": "پچژگ"},
    "ru": {"kk": "әғқңұһ", "uk": "їєґі", "sr": "ђћљњџј"},
    "hi": {"mr": "ळ"},
}
# Words that tell languages in Latin letters apart: frequent ones, and few that two of them share.
_FUNCTION_WORDS = {
    "en": "the of and to in is that for with as was are by this from which it be not what how",
    "de": "der die das und ist nicht ein eine den dem von mit für auf wie werden wird zu im auch sich oder",
    "fr": "le la les des est une dans pour que qui sur pas avec par du et au sont comment quel quelle",
    "es": "el la los las es una para que con por del y en se como cuál qué son su al",
    "it": "il lo gli è una per che di con non sono della nel del come si alla dei e",
    "pt": "o os as é uma para que com não por do da em no na dos como são ao e",
    "nl": "de het een van en is niet met voor dat op zijn aan ook hoe wordt te bij",
    "sv": "och att det som en är på för med av till inte den ett hur har om",
    "da": "og at det som en er på for med af til ikke den et hvordan har der",
    "no": "og å det som en er på for med av til ikke den et hvordan har seg",
    "fi": "ja on ei se että oli mutta kuin hän myös tai ovat joka mitä miten",
    "pl": "i w na z się nie jest do że jak to dla przez są od jego",
    "cs": "a v na se je že z do pro jako jsou jak nebo by s o ve",
    "ro": "și în de la cu care nu este pe din un o să pentru sunt ce",
    "hu": "a az és hogy nem egy is van ez mint meg csak volt azt",
    "tr": "ve bir bu için ile da de ne olarak olan nasıl daha çok gibi",
    "id": "yang dan di dari untuk dengan pada ini itu adalah dalam tidak apa bagaimana",
    "vi": "của và là các có không được cho một những trong với người này",
}
# What texts in Latin letters need to be taken for another language than English: its function words are that much more
# frequent than English ones, make up that share of all words, are more than so many, and so many different ones that
# no English text has. Fewer are names, or English: `a` is a Czech word too.
_MORE_THAN_ENGLISH, _SHARE, _FEWEST, _DIFFERENT = 1.5, 0.05, 3, 3
_ALSO_ENGLISH = frozenset("a i o s v z do on no so by me are den per pro die is in to as con come sun su el".split())
# Share of a text's words that are in a script other than Latin; of the Chinese characters that syllables come to in
# Japanese; of the texts that have a language's own letters.
_SCRIPT_SHARE, _SYLLABLE_SHARE, _OWN_LETTERS_SHARE = 0.2, 0.1, 0.3
_SYLLABLES = ("HIRAGANA", "KATAKANA")
_WITHOUT_SPACES = ("CJK", "THAI", "LAO", "KHMER", "MYANMAR")
_WORD = re.compile(r"[^\W\d_]+")

# ISO 639-3 and 639-2 → 639-1.
_CODES = dict(
    pair.split(":")
    for pair in (
        "afr:af amh:am ara:ar arb:ar asm:as aze:az azj:az bak:ba bel:be ben:bn bod:bo tib:bo bos:bs bre:br bul:bg "
        "cat:ca ces:cs cze:cs cmn:zh cym:cy wel:cy dan:da deu:de ger:de div:dv ell:el gre:el eng:en epo:eo est:et "
        "ekk:et eus:eu baq:eu fao:fo fas:fa per:fa pes:fa fin:fi fra:fr fre:fr fry:fy gla:gd gle:ga glg:gl guj:gu "
        "hat:ht hau:ha heb:he hin:hi hrv:hr hun:hu hye:hy arm:hy ibo:ig ind:id isl:is ice:is ita:it jav:jv jpn:ja "
        "kan:kn kat:ka geo:ka kaz:kk khm:km kin:rw kir:ky kor:ko kur:ku lao:lo lat:la lav:lv lvs:lv lit:lt ltz:lb "
        "mal:ml mar:mr mkd:mk mac:mk mlg:mg mlt:mt mon:mn khk:mn mri:mi mao:mi msa:ms may:ms zsm:ms mya:my bur:my "
        "nep:ne npi:ne nld:nl dut:nl nno:no nob:no nor:no oci:oc ori:or ory:or orm:om pan:pa pol:pl por:pt pus:ps "
        "pbt:ps que:qu ron:ro rum:ro run:rn rus:ru san:sa sin:si slk:sk slo:sk slv:sl sna:sn snd:sd som:so sot:st "
        "spa:es sqi:sq alb:sq srp:sr sun:su swa:sw swh:sw swe:sv tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tir:ti "
        "tsn:tn tuk:tk tur:tr uig:ug ukr:uk urd:ur uzb:uz uzn:uz vie:vi wol:wo xho:xh yid:yi yor:yo zho:zh chi:zh "
        "zul:zu"
    ).split()
)


def short_code(language: str) -> str:
    """The ISO 639-1 code of a language in ISO 639-3 or 639-2, perhaps with a script or country: `deu`, `zho-Hans`.

    What is neither, such as `multilingual`, comes back as it is.
    """
    code = re.split(r"[-_]", language)[0].lower()
    if code in _CODES:
        return _CODES[code]
    return code if len(code) == 2 and len(language) > 2 and len(language.split("-")[-1]) in (2, 4) else language


def long_codes(language: str) -> tuple[str, ...]:
    """The codes of three letters that mean the same as an ISO 639-1 code."""
    return tuple(code for code, short in _CODES.items() if short == language)


def guess_language(queries: Iterable[str], documents: Iterable[str] = (), default: str = "en") -> str:
    """The language of a sample of queries and documents, as far as script, letters and function words tell.

    * A text is in a script other than Latin where a fifth of its words are, so that Latin names do not hide it. The
      script of most queries decides, and where that is Latin the one of most documents.
    * In Latin letters it is English unless the function words of another language are clearly more frequent.

    Args:
        queries (`Iterable[str]`), documents (`Iterable[str]`):
            The first 200 of each are looked at.
        default (`str`, *optional*, defaults to `"en"`):
            What texts without any letter are taken for.
    """
    asked, read = list(islice(queries, SAMPLE)), list(islice(documents, SAMPLE))
    for texts in (asked, read):
        scripts = Counter(script for script in map(_script, texts) if script)
        best, most = next(iter(scripts.most_common(1)), ("LATIN", 0))
        if best != "LATIN" and 2 * most >= sum(scripts.values()):
            return _by_letters(best, texts)
    return _by_words(" ".join([*asked, *read])) or default


def _script(text: str) -> str:
    """The script of a text; Chinese characters stand for the syllables of Japanese too."""
    counts: Counter[str] = Counter()
    for word in unicodedata.normalize("NFKC", text).split():
        for script, letters in groupby(filter(None, map(_script_of, word))):
            number = sum(1 for _ in letters)
            if script in _WITHOUT_SPACES:
                counts[script] += (number + 1) // 2
            elif number > 1 or script == "LATIN":  # a single Greek letter is a symbol
                counts[script] += 1
    others = ((number, script) for script, number in counts.items() if script != "LATIN")
    number, script = max(others, default=(0, ""))
    return script if number > _SCRIPT_SHARE * sum(counts.values()) else "LATIN" if counts["LATIN"] else ""


@lru_cache(maxsize=4096)
def _script_of(character: str) -> str:
    """The script of a letter, or of a mark that belongs to letters of one script; empty for all else."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    name = unicodedata.name(character, " ").replace("-", " ").split(" ")[0]
    if name in _SYLLABLES:
        return "CJK"
    return name if name == "LATIN" or name in _LANGUAGES else ""


def _by_letters(script: str, texts: Sequence[str]) -> str:
    """The language among those of one script."""
    usual = _LANGUAGES[script]
    if script == "CJK":
        names = Counter(unicodedata.name(letter, " ").split(" ")[0] for text in texts for letter in text)
        return "ja" if sum(names[syllable] for syllable in _SYLLABLES) > _SYLLABLE_SHARE * names["CJK"] else usual
    for language, letters in _OWN_LETTERS.get(usual, {}).items():
        if sum(not set(letters).isdisjoint(text.lower()) for text in texts) > _OWN_LETTERS_SHARE * len(texts):
            return language
    return usual


def _by_words(text: str) -> str:
    """The language whose function words are most frequent; empty where there are no words."""
    words = Counter(_WORD.findall(text.lower()))
    counts = {language: sum(words[word] for word in listed.split()) for language, listed in _FUNCTION_WORDS.items()}
    best = max(counts, key=lambda language: counts[language])
    enough = max(_MORE_THAN_ENGLISH * counts["en"], _SHARE * words.total(), _FEWEST)
    different = {word for word in _FUNCTION_WORDS[best].split() if words[word]} - _ALSO_ENGLISH
    return "" if not words else best if counts[best] > enough and len(different) >= _DIFFERENT else "en"

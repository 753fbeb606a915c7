"""Reduces passages to the words that several of them agree on."""

from benchmarks.support.agreed_words import agreed_words
from builders.retrievers.analysis.load import analyzer_for


PASSAGES = (
    "The Moon's tides are pulled by gravity, and tides again.",
    "Tidal waves: gravity of the moon, in 1969.",
    "A moon and its tide.",
    "Nothing of it in 1969.",
)


def test_words_of_three_passages_are_kept_most_agreed_first_as_they_are_first_written():
    analyze = analyzer_for("en")
    assert agreed_words(PASSAGES, analyze, passages=2, words=9) == ["moon's", "tides", "gravity", "1969"]
    assert agreed_words(PASSAGES, analyze, passages=2, words=1) == ["moon's"]
    assert agreed_words(PASSAGES, analyze, passages=4, words=9) == []
    assert agreed_words([], analyze, passages=1, words=9) == []

"""The words of a collection that an expansion could add, and what they weigh in a document."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builders.collections.collection import Collection
from builders.retrievers.analysis.words import Analyzer


# BM25's saturation, as all of the kit's BM25 indexes have it.
K1, B = 0.9, 0.4
# Rarer terms are known from too few documents to be learned, more frequent ones tell no document from another.
FEWEST_DOCUMENTS, LARGEST_SHARE = 6, 0.25

_WRITTEN = re.compile(r"[^\W\d_][\w.]*\w|[^\W\d_]{2,}")


@dataclass(frozen=True)
class TermVocabulary:
    """Terms by their number, with how they are written, how rare they are, and the relevant documents' weights.

    Args:
        number (`Mapping[str, int]`):
            Term, as the analyzer gives it → its number.
        written (`Sequence[str]`):
            By number: the commonest way the collection writes the term, lower case.
        idf (`Sequence[float]`):
            By number: ln(documents / documents with the term).
        weights (`Mapping[str, Mapping[int, float]]`):
            Document id → term number → BM25's saturated frequency tf / (tf + k1 (1 − b + b · length / mean length)),
            between 0 and 1, of the documents asked for.
    """

    number: Mapping[str, int]
    written: tuple[str, ...]
    idf: tuple[float, ...]
    weights: Mapping[str, Mapping[int, float]]


def read_vocabulary(collection: Collection, analyzer: Analyzer, weighed: Iterable[str]) -> TermVocabulary:
    """Read the documents once.

    Args:
        collection ([`Collection`]):
            With documents.
        analyzer (`Callable`):
            Text → terms.
        weighed (`Iterable[str]`):
            Ids of the documents whose weights are wanted.
    """
    wanted, kept, lengths = set(weighed), {}, []
    frequency: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    term_of: dict[str, str | None] = {}
    for document_id, text in collection.indexed_texts():
        counts = Counter(analyzer(text))
        frequency.update(counts.keys())
        lengths.append(counts.total())
        if document_id in wanted:
            kept[document_id] = counts
        for word in _WRITTEN.findall(text):
            lower = word.lower()
            if lower not in term_of:
                terms = analyzer(lower)
                term_of[lower] = terms[0] if len(terms) == 1 else None
            term = term_of[lower]
            if term is not None:
                forms.setdefault(term, Counter())[lower] += 1
    documents, mean_length = len(lengths), sum(lengths) / max(len(lengths), 1)
    terms = sorted(
        term
        for term, count in frequency.items()
        if FEWEST_DOCUMENTS <= count <= LARGEST_SHARE * documents and len(term) > 1 and not term[0].isdigit()
    )
    number = {term: position for position, term in enumerate(terms)}
    weights = {
        document_id: {
            number[term]: count / (count + K1 * (1 - B + B * counts.total() / mean_length))
            for term, count in counts.items()
            if term in number
        }
        for document_id, counts in kept.items()
    }
    # The commonest form; of equals the first in the alphabet.
    written = tuple(min(forms.get(term, {term: 1}).items(), key=lambda form: (-form[1], form[0]))[0] for term in terms)
    return TermVocabulary(number, written, tuple(math.log(documents / frequency[term]) for term in terms), weights)

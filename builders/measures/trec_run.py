"""Reads rankings that a search engine wrote to a file, in TREC's form of a run."""

from math import isfinite
from pathlib import Path

from builders.collections.files.lines import Place, read_lines
from builders.collections.files.qrels import COMMENT
from builders.errors import KitError


COLUMNS = ("topic", "Q0", "document", "rank", "score", "tag")
# MS MARCO's own form, which names no scores.
MSMARCO_COLUMNS = ("topic", "document", "rank")


def read_run(path: Path) -> dict[str, list[str]]:
    """Read a run (`.gz` and `.zst` too): one row a hit, `topic Q0 document rank score tag`, parted by white space.

    MS MARCO's form has `topic document rank` alone; a smaller rank stands before a larger one.

    As trec_eval has it, lines that begin with `#` and what follows the sixth column are passed over.

    Returns:
        Topic → document ids, best first: by falling score, and where scores tie by falling document id, as trec_eval
        orders them. The column `rank` is not looked at, nor does trec_eval.

    Raises:
        KitError: the file cannot be read, a row has other columns, a score is no number, or a topic names a document
            twice.
    """
    scored: dict[str, dict[str, float]] = {}
    for place, line in read_lines(path):
        cells = line.split()
        if not cells or line.startswith(COMMENT):
            continue
        if len(cells) == len(MSMARCO_COLUMNS) and cells[2].isdecimal():
            topic, document, score = cells[0], cells[1], f"-{cells[2]}"
        elif len(cells) >= len(COLUMNS):
            topic, _, document, _, score = cells[:5]
        else:
            raise KitError(
                f"{place}: {len(cells)} columns where {len(COLUMNS)} are expected: {' '.join(COLUMNS)}; is it a run?"
            )
        found = scored.setdefault(topic, {})
        if document in found:
            raise KitError(f"{place}: topic {topic!r} names document {document!r} twice; keep one")
        found[document] = _score(score, place)
    if not scored:
        raise KitError(f"{path}: no hits in it")
    return {
        topic: [document for _, document in sorted(((score, key) for key, score in found.items()), reverse=True)]
        for topic, found in scored.items()
    }


def _score(text: str, place: Place) -> float:
    try:
        score = float(text)
    except ValueError:
        score = float("nan")
    if not isfinite(score):
        raise KitError(f"{place}: score {text!r} is not a number")
    return score

"""Reduce the passages of each query to the words that several of them use: targets for one short expansion.

    python -m benchmarks.support.agreed_words --expansions out/agreed/passages --output out/agreed/words.jsonl

What a small model says in most of its samples is more often right than what it says once (self-consistency, Wang et
al. 2022, arXiv 2203.11171). Reads the config `raw` of an expansions dataset, and writes one JSON line a query, which
`--expander recorded` reads. No judgment is looked at.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from builders.artifacts.files import atomic_write
from builders.retrievers.analysis.load import analyzer_for
from builders.retrievers.analysis.words import Analyzer
from train.training_data import load_pairs


WORD = re.compile(r"[^\W\d_][\w'’-]*|\d{3,}")


def main() -> None:
    """Read, count, write."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__, formatter_class=raw)
    parser.add_argument("--expansions", required=True, help="folder of an expansions dataset")
    parser.add_argument("--output", required=True, help="JSONL file to write")
    parser.add_argument("--passages", type=int, default=3, help="passages that have to use a word")
    parser.add_argument("--words", type=int, default=16, help="words kept of each query, at most")
    args = parser.parse_args()
    dataset = load_pairs(args.expansions, "expansions", "raw", "train")
    analyze = analyzer_for(dataset.build["collection"]["language"])
    passages: dict[str, list[str]] = {}
    for row in dataset.rows:
        passages.setdefault(row["query_id"], []).append(row["candidate"])
    rows = [
        {"query_id": query, "expansion": " ".join(agreed_words(texts, analyze, args.passages, args.words))}
        for query, texts in passages.items()
    ]
    atomic_write(Path(args.output), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    silent = sum(not row["expansion"] for row in rows)
    print(f"{args.output}: words of {len(rows)} queries; the passages of {silent} agree on none")


def agreed_words(texts: Iterable[str], analyze: Analyzer, passages: int, words: int) -> Sequence[str]:
    """The words that at least so many texts use, most agreed first, as they are first written.

    Words are alike if the retriever's analyzer makes one term of them; what it drops (stop words) is no word.
    """
    counts: Counter[str] = Counter()
    written: dict[str, str] = {}
    for text in texts:
        found: dict[str, str] = {}
        for word in WORD.findall(text.lower()):
            for term in analyze(word)[:1]:
                found.setdefault(term, word)
        counts.update(found.keys())
        for term, word in found.items():
            written.setdefault(term, word)
    return [written[term] for term, count in counts.most_common(words) if count >= passages]


if __name__ == "__main__":
    main()

"""Reads every public topics and qrels file of anserini-tools, and compares with Anserini and with a plain split.

    python -m benchmarks.parse_sweep FOLDER

FOLDER is a copy of the public repository castorini/anserini-tools, which pyserini fetches its topics and qrels from:
`topics/`, `qrels/`, and `topics.json`, which names Anserini's reader of each file. Ids and texts of topics are
compared with what Anserini's own reader finds, judgments with the four columns of each line; and wherever topics and
qrels have one name, the kit loads both as a collection, and its judged queries are compared with those that both
files name. Needs the extra pyserini. Writes results/parse_sweep.json.
"""

import argparse
import gzip
import html
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from builders.artifacts.files import atomic_write
from builders.artifacts.provenance import made_by
from builders.collections.files.qrels import read_qrels
from builders.collections.files.questions import read_questions
from builders.collections.files.topics import read_topics
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.retrievers.java import start_java


RESULTS = ROOT / "benchmarks/results/parse_sweep.json"
READERS = "io.anserini.search.topicreader."
# Where Anserini's readers file the text of a query.
TEXTS = ("title", "query", "text", "question")
RIGHT, REFUSED, WRONG, COUNTED = "right", "refused", "wrong", "right by count"
SHOWN = 2
# Weights of words written as repeated words (SPLADE) make files that Anserini's own readers have no memory for.
COUNTED_FROM = 5_000_000


def main() -> None:
    """Read everything and write the results."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="A copy of the repository castorini/anserini-tools.")
    folder = parser.parse_args().folder
    if not (folder / "topics.json").is_file():
        sys.exit(f"error: {folder}: no topics.json there; give a copy of castorini/anserini-tools")
    results = {**made_by("python -m benchmarks.parse_sweep FOLDER"), "anserini": start_java(), **sweep(folder)}
    atomic_write(RESULTS, (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
    for kind in ("topics", "qrels", "collections"):
        print(f"{kind}: {results[kind]['tried']} tried, {results[kind]['counts']}")


def sweep(folder: Path) -> dict[str, Any]:
    """Topics, qrels, and both together: how many were tried, and what became of them."""
    named = json.loads((folder / "topics.json").read_text())
    judged = json.loads((folder / "qrels.json").read_text())
    readers = {entry["path"]: entry["reader_class"] for entry in named.values()}
    texts, pairs = Anserini(), [(named[name]["path"], judged[name]) for name in named if name in judged]
    topics, qrels = ({path.name: path for path in sorted((folder / kind).iterdir())} for kind in ("topics", "qrels"))
    together = [(topics[one], qrels[other]) for one, other in pairs if one in topics and other in qrels]
    return {
        "topics": summary((path, one_of_topics(path, readers.get(path.name), texts)) for path in topics.values()),
        "qrels": summary((path, one_of_qrels(path)) for path in qrels.values()),
        "collections": summary((one, one_collection(one, other)) for one, other in together),
    }


def summary(found: Iterable[tuple[Path, dict[str, Any]]]) -> dict[str, Any]:
    """The counts, and every file that was not read right."""
    counts: Counter[str] = Counter()
    others = {}
    for path, one in found:
        counts[one["found"]] += 1
        if one["found"] in (REFUSED, WRONG):
            others[path.name] = one
    return {"tried": counts.total(), "counts": dict(sorted(counts.items())), "not_right": others}


def one_of_topics(path: Path, reader: str | None, texts: Callable[[Path, str], dict[str, str]]) -> dict[str, Any]:
    """One file of topics; without a reader of Anserini's, or of too many characters, its topics are counted."""

    def read() -> dict[str, str]:
        topics = read_topics([path])
        topics.check()
        return {bare(id): plain(text) for id, text in topics.texts.items()}

    def read_alone() -> dict[str, str]:
        # Questions with answers, which Anserini numbers.
        return {str(number): plain(text) for number, text in enumerate(read_questions([path]).topics.texts.values())}

    def number() -> int:
        topics = read_topics([path])
        return len(topics.texts) + len(topics.empty)

    if reader is None or sum(map(len, lines(path))) > COUNTED_FROM:
        return compared(path, number, lambda: counted(path))
    return compared(path, read_alone if "Dpr" in reader else read, lambda: texts(path, reader))


def one_of_qrels(path: Path) -> dict[str, Any]:
    """One file of judgments; of a document that is judged twice, the last judgment counts on both sides."""
    return compared(
        path,
        lambda: {(one.query_id, one.document_id): one.relevance for one in read_qrels(path, "test")},
        lambda: {(query, document): max(0, int(grade)) for query, _, document, grade in rows(path)},
    )


def one_collection(topics: Path, qrels: Path) -> dict[str, Any]:
    """Topics and qrels together, as a collection without its documents."""

    def load() -> dict[str, int]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "collection"
            folder.mkdir()
            for path in (topics, qrels):
                (folder / path.name).symlink_to(path.resolve())
            found = load_collection(str(folder), "en")
            return {bare(id): len(judged) for id, judged in found.qrels.items()}

    def expected() -> dict[str, int]:
        known = {bare(id) for id in read_topics([topics]).texts}
        pairs = {(bare(query), document) for query, _, document, _ in rows(qrels)}
        return dict(Counter(query for query, _ in pairs if query in known))

    return compared(topics, load, expected)


def compared(path: Path, read: Callable[[], Any], expected: Callable[[], Any]) -> dict[str, Any]:
    """What the kit reads against what is expected: a number, or key → value."""
    try:
        own = read()
    except KitError as error:
        return {"found": REFUSED, "said": re.sub(r"/\S*/", "", str(error))}
    other = expected()
    if isinstance(own, int):
        return {"found": COUNTED if own == other else WRONG, "kit": own, "expected": other}
    different = [key for key in dict.fromkeys((*own, *other)) if own.get(key) != other.get(key)]
    shown = {str(key): {"kit": own.get(key), "expected": other.get(key)} for key in different[:SHOWN]}
    return {"found": WRONG if different else RIGHT, "different": len(different), "of": len(other), "first": shown}


class Anserini:
    """Anserini's own readers of topics, called over one JSON text a file: object by object takes minutes."""

    def __init__(self) -> None:
        import jnius

        self._reader = jnius.autoclass(f"{READERS}TopicReader")
        self._mapper = jnius.autoclass("com.fasterxml.jackson.databind.ObjectMapper")()

    def __call__(self, path: Path, reader: str) -> dict[str, str]:
        """Topic id → text."""
        found = self._reader.getTopicsWithStringIdsFromFileWithTopicReaderClass(reader, str(path))
        topics = json.loads(self._mapper.writeValueAsString(found))
        return {bare(id): plain(next((of[name] for name in TEXTS if of.get(name)), "")) for id, of in topics.items()}


def lines(path: Path) -> list[str]:
    """The lines of a file that are not blank."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig", "replace")
    return [line for line in text.split("\n") if line.strip()]


def rows(path: Path) -> list[list[str]]:
    """The columns of qrels."""
    return [line.split() for line in lines(path)]


def counted(path: Path) -> int:
    """How many topics a file has: entries of a JSON list, opening tags, or lines."""
    if path.suffix == ".json":
        return len(json.loads(path.read_text(encoding="utf-8")))
    found = lines(path)
    return sum("<top>" in line for line in found) or len(found)


def bare(id: str) -> str:
    """An id without the zeros, and the letters of the track, that Anserini and qrels leave out."""
    return re.sub(r"^[A-Z]{,2}0*(?=\d+$)", "", id.strip())


def plain(text: str) -> str:
    """A text in one line, `&amp;` and its like resolved."""
    return " ".join(html.unescape(text).split())


if __name__ == "__main__":
    main()

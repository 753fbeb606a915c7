"""Japanese, Korean and Thai: the kit's pairs of characters against Lucene's analyzers of these languages, by BM25.

    python benchmarks/languages.py --cldr FOLDER --gnome FOLDER [--anserini JAR]

No judged collection in these languages is small enough to lie about, so known items are searched: the query is one
text about a thing, the only relevant document another. Signs of Unicode's CLDR (npm package `cldr-annotations-full`,
its folder `annotations`): the name finds the other keywords. Pages of GNOME's user documentation (Debian package
`gnome-user-docs`, its folder `help`; not in Thai): the summary of a page finds its text. Lucene's analyzers are
Kuromoji's words for Japanese, pairs of characters for Korean, and for Thai the dictionary of a full JDK: where the
runtime of the extra pyserini has none, `--anserini` names a jar of Anserini (0.22.1 is known to do), which the `java`
of the path runs. Writes results/languages.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from builders.artifacts.files import atomic_write
from builders.artifacts.provenance import made_by
from builders.commands.grade import GradeArguments, grade
from builders.errors import KitError
from builders.grading.comparison import PLAIN


RESULTS = ROOT / "benchmarks/results/languages.json"
LANGUAGES = ("ja", "ko", "th")
CLDR, GNOME = "cldr", "gnome"
# Signs with fewer other keywords than that have nothing to be found by, pages with fewer letters are only links.
KEYWORDS, LETTERS = 3, 100
MALLARD = "{http://projectmallard.org/1.0/}"
# What a system is measured by.
FIGURES = ("queries", "ndcg_at_10", "mrr_at_10", "recall_at_100")
Item = tuple[str, str, str]  # id, query, document


def main() -> None:
    """Search every collection by both, and write the results."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cldr", type=Path, required=True, help="The folder annotations of cldr-annotations-full.")
    parser.add_argument("--gnome", type=Path, required=True, help="The folder help of gnome-user-docs.")
    parser.add_argument("--anserini", type=Path, help="A jar for languages that pyserini's own Java cannot analyze.")
    args = parser.parse_args()
    found = []
    for language in LANGUAGES:
        for name, items in ((CLDR, signs(args.cldr, language)), (GNOME, pages(args.gnome, language))):
            if known := list(items):
                found.append({"language": language, "texts": name, **measured(known, language, args.anserini)})
                print(json.dumps(found[-1]))
    results = {**made_by("python benchmarks/languages.py --cldr FOLDER --gnome FOLDER"), "collections": found}
    atomic_write(RESULTS, (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())


def signs(folder: Path, language: str) -> Iterator[Item]:
    """Names of signs, and their other keywords."""
    named = json.loads((folder / language / "annotations.json").read_text())["annotations"]["annotations"]
    for sign, of in named.items():
        (name,) = of["tts"]
        others = [word for word in of["default"] if word != name]
        if len(others) >= KEYWORDS:
            yield sign, name, " ".join(others)


def pages(folder: Path, language: str) -> Iterator[Item]:
    """Summaries of pages that are translated, and their texts without title and summary."""
    for path in sorted((folder / language).glob("gnome-help/*.page")):
        page, original = (ElementTree.parse(one).getroot() for one in (path, folder / "C/gnome-help" / path.name))
        summary, english = (
            " ".join("".join(one.find(f".//{MALLARD}desc").itertext()).split()) for one in (page, original)
        )
        texts = [part for part in page if part.tag not in (f"{MALLARD}info", f"{MALLARD}title")]
        text = " ".join(" ".join("".join(part.itertext()) for part in texts).split())
        if summary != english and len(text) >= LETTERS:
            yield path.stem, summary, text


def measured(items: list[Item], language: str, jar: Path | None) -> dict[str, Any]:
    """Both retrievers' figures over items, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, items)
        kit, _ = grade(GradeArguments(name, language=language))
        try:
            lucene, _ = grade(GradeArguments(name, language=language, retriever="pyserini"))
        except KitError:
            if jar is None:
                raise
            lucene = run_of(folder, language, jar)
        return {
            "documents": len(items),
            "kit": figures(kit, PLAIN),
            "lucene": figures(lucene, next(iter(lucene["systems"]))),
        }


def figures(results: dict[str, Any], system: str) -> dict[str, Any]:
    """What a search found, by whom."""
    by = results["settings"]["retriever"] if system == PLAIN else system
    return {"retriever": by, **{name: results["systems"][system][name] for name in FIGURES}}


def written(folder: Path, items: list[Item]) -> None:
    """Items as a collection in BEIR form; two that share a query are both relevant to it."""
    alike: dict[str, list[str]] = {}
    for id, query, _ in items:
        alike.setdefault(query, []).append(id)
    rows = [(ids[0], query, ids) for query, ids in alike.items()]
    (folder / "corpus.jsonl").write_text(lines({"_id": id, "title": "", "text": text} for id, _, text in items))
    (folder / "queries.jsonl").write_text(lines({"_id": id, "text": query} for id, query, _ in rows))
    (folder / "qrels").mkdir()
    judged = [f"{id}\t{one}\t1\n" for id, _, ids in rows for one in ids]
    (folder / "qrels/test.tsv").write_text("".join(["query-id\tcorpus-id\tscore\n", *judged]))


def lines(records: Any) -> str:
    """JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def run_of(folder: Path, language: str, jar: Path) -> dict[str, Any]:
    """What Anserini's own commands find, graded as a run."""
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    (folder / "anserini").mkdir()
    (folder / "anserini/docs.jsonl").write_text(lines({"id": one["_id"], "contents": one["text"]} for one in corpus))
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    (folder / "asked.tsv").write_text("".join(f"{one['_id']}\t{one['text']}\n" for one in asked))
    java = ["java", "-Dfile.encoding=UTF-8", "-cp", str(jar)]
    said = ["-language", language, "-index", "index"]
    index = ["-collection", "JsonCollection", "-input", "anserini", "-generator", "DefaultLuceneDocumentGenerator"]
    run = folder / f"{jar.stem}-{language}.run"
    search = ["-topics", "asked.tsv", "-topicreader", "TsvString", "-output", run.name, "-bm25", "-hits", "100"]
    for command, words in (("index.IndexCollection", index), ("search.SearchCollection", search)):
        subprocess.run([*java, f"io.anserini.{command}", *words, *said], cwd=folder, check=True, capture_output=True)
    return grade(GradeArguments(str(folder), language=language, run=[str(run)]))[0]


if __name__ == "__main__":
    main()

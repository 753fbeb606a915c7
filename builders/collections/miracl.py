"""Reads MIRACL: Wikipedia in eighteen languages, with topics and judgments by native speakers (arXiv 2210.09984)."""

import re
from collections.abc import Iterator
from pathlib import Path

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import Collection, Split, split_of
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import Judgment, read_splits
from builders.collections.files.topics import read_topics
from builders.collections.hub_snapshot import snapshot
from builders.collections.source import FolderKind, Source
from builders.collections.trec import TrecFiles, corpus_of, find_files
from builders.errors import KitError


PREFIX = "miracl:"
LANGUAGES = tuple("ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh".split())
TOPICS_REPOSITORY = "miracl/miracl"
CORPUS_REPOSITORY = "miracl/miracl-corpus"
FORM = "topics.*.tsv, qrels.*.tsv, docs-*.jsonl.gz"

_NAME = re.compile(rf"miracl.*?[-_.]({'|'.join(LANGUAGES)})(?:[-_.]|$)", re.IGNORECASE)


def is_miracl(folder: Path) -> bool:
    """Whether a folder holds topics and qrels that say they are MIRACL's, or does so itself."""
    files = find_files(folder)
    return bool(files.topics and files.qrels) and _language(folder, files) is not None


def load_miracl(folder: Path, language: str | None, stated: Metadata) -> Collection:
    """Read MIRACL v1.0 from a folder: `topics.*.tsv`, `qrels.*.tsv`, and the passages `docs-*.jsonl.gz`.

    * Train queries are train queries, but for one in ten, by a hash of its id, which is a validation query. The
      queries of dev are **test** queries: those of MIRACL's own test sets have no published judgments, and dev is
      what papers report. Topics without judgments are left out and counted.
    * The language is the one in the folder's or files' names (`miracl-zh`, `topics.miracl-v1.0-zh-dev.tsv`).
    * Without passages the topics and judgments load all the same; what needs a document says that it is missing.

    Args:
        folder (`Path`), language (`str`, *optional*), stated ([`Metadata`]):
            As in `load_beir`.

    Raises:
        KitError: as in `load_beir`.
    """
    files = find_files(folder)
    if not files.topics or not files.qrels:
        raise KitError(f"{folder}: topics or qrels are missing; a folder of MIRACL holds {FORM}")
    return _assembled(folder, files, stated, language, {})


def load_hub_miracl(name: str, _: str | None = None) -> Collection:
    """MIRACL in the language that its name states, such as `miracl:zh`, from two repositories of the Hub.

    Of `miracl/miracl` and `miracl/miracl-corpus` the data files are fetched, and nothing else.

    Raises:
        KitError: MIRACL has no such language, or the repositories cannot be read.
    """
    language = name.removeprefix(PREFIX)
    if language not in LANGUAGES:
        raise KitError(f"{name}: no such language; give one of {', '.join(LANGUAGES)}")
    start = f"miracl-v1.0-{language}"
    judged = snapshot(TOPICS_REPOSITORY, None, [f"{start}/topics/*.tsv", f"{start}/qrels/*.tsv"])
    corpus = snapshot(CORPUS_REPOSITORY, None, [f"miracl-corpus-v1.0-{language}/*.jsonl.gz"])
    versions = {TOPICS_REPOSITORY: judged.commit, CORPUS_REPOSITORY: corpus.commit}
    passages = corpus.folder / f"miracl-corpus-v1.0-{language}"
    found = find_files(judged.folder / start)
    if not found.topics or not found.qrels or not passages.is_dir():
        raise KitError(
            f"{name}: {TOPICS_REPOSITORY} or {CORPUS_REPOSITORY} holds no such files; put them into a "
            f"folder yourself ({FORM}) and give its path"
        )
    facts = Metadata(name=f"miracl-{language}", corpus=str(passages))
    return _assembled(judged.folder / start, found, facts, language, versions)


def _assembled(
    folder: Path, files: TrecFiles, stated: Metadata, language: str | None, versions: dict[str, str]
) -> Collection:
    facts = stated.or_else(
        language=_language(folder, files),
        source="MIRACL v1.0: passages of Wikipedia",
        licence="Apache-2.0 (MIRACL); CC BY-SA 3.0 (Wikipedia)",
        judgments="Native speakers judged passages that several systems found (MIRACL v1.0). Its dev queries are "
        "test queries here, and a tenth of its train queries are validation queries.",
    )

    def judgments() -> Iterator[Judgment]:
        for judgment in read_splits(files.qrels):
            yield judgment._replace(split=_trained(judgment.query_id) if judgment.split == "train" else "test")

    topics = read_topics(files.topics)
    return assemble(Parts(facts, corpus_of(folder, facts, files), topics, judgments(), language, versions=versions))


def _trained(query_id: str) -> Split:
    return "validation" if split_of(query_id) == "validation" else "train"


def _language(folder: Path, files: TrecFiles) -> str | None:
    names = (path.name for path in (folder.resolve(), *files.topics))
    return next((match[1].lower() for name in names if (match := _NAME.search(name))), None)


MIRACL = FolderKind("miracl", FORM, "topics, qrels and passages of MIRACL", is_miracl, load_miracl)
MIRACL_ON_HUB = Source(
    (f"{PREFIX}LANGUAGE",),
    f"MIRACL from the Hub, Chinese (`{PREFIX}zh`) and {len(LANGUAGES) - 1} other languages",
    lambda name: name.startswith(PREFIX),
    load_hub_miracl,
)

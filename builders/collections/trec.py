"""Reads a local folder in TREC form: topics, qrels and a corpus; MS MARCO passages are one."""

import re
from dataclasses import dataclass
from pathlib import Path

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import AbsentDocuments, Collection
from builders.collections.files.archive import is_archive, unpack
from builders.collections.files.documents import FileDocuments
from builders.collections.files.lines import form_of
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import read_splits
from builders.collections.files.sgml import holds_sgml
from builders.collections.files.tables import RECORD_FORMS
from builders.collections.files.topics import holds_markup, read_topics
from builders.collections.source import FolderKind
from builders.errors import KitError


FORM = "topics*.tsv, qrels*, corpus.jsonl or collection.tsv"
DEEP_LEARNING_LEVEL = 2

# Topics and qrels have names of all kinds (topics.301-450, qrels.trec8.adhoc); these are neither.
_OTHERS = re.compile(r"^\.|^run\.|^readme|^licen[cs]e|\.(md|pdf|py|yaml|yml)$")
_TOPICS = re.compile(r"topics|queries")
_CORPUS = re.compile(r"corpus|collection|docs|documents|passages|psgs|msmarco_passage|msmarco_v2")
# TREC Deep Learning, by the names that are usual: 2019qrels-pass.txt, qrels.dl20-passage.txt, a folder dl19.
_DEEP_LEARNING = re.compile(r"(?:^|[^a-z])dl-?(?:20)?(?:19|2[0-3])|20(?:19|2[0-3])\.?qrels[.-]pass|trec-dl-20")
_MS_MARCO = re.compile(r"msmarco|passv2")


@dataclass(frozen=True)
class TrecFiles:
    """What a folder, and the folders in it, hold of a test collection."""

    topics: tuple[Path, ...]
    qrels: tuple[Path, ...]
    corpus: tuple[Path, ...]


def find_files(folder: Path) -> TrecFiles:
    """Topics, qrels and corpus by their names, or by that of the folder they lie in; runs are passed over.

    An archive of passages (`msmarco_v2_passage.tar`) is unpacked into the cache.
    """
    topics, qrels, corpus = [], [], []
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        name = path.name.lower()
        if not path.is_file() or _OTHERS.search(name):
            continue
        place = name if path.parent == folder else f"{path.parent.name.lower()}/{name}"
        if "qrels" in place and not name.endswith(".xml"):
            qrels.append(path)
        elif name.endswith(".xml"):
            # Indexes and schemas have names like these too.
            topics += [path] if _TOPICS.search(place) and holds_markup(path) else []
        elif _TOPICS.search(place):
            topics.append(path)
        elif _CORPUS.match(place) and form_of(path) in RECORD_FORMS:
            corpus.append(path)
        elif _CORPUS.match(place) and is_archive(path):
            corpus += find_files(unpack(path)).corpus
        elif _CORPUS.match(place) and holds_sgml(path):
            corpus.append(path)
    return TrecFiles(tuple(topics), tuple(qrels), tuple(corpus))


def is_trec(folder: Path) -> bool:
    """Whether a folder holds topics and qrels."""
    files = find_files(folder)
    return bool(files.topics and files.qrels)


def load_trec(folder: Path, language: str | None, stated: Metadata) -> Collection:
    """Read topics (TSV, JSONL, `<top>`, XML), qrels (four columns), a corpus (JSONL, TSV, `<DOC>`), compressed or not.

    This reads MS MARCO passages as they are distributed: v1's `collection.tsv`, `queries.*.tsv` and `qrels.*.tsv`,
    v2's folder of `msmarco_passage_*.gz`, and the topics and qrels of TREC Deep Learning 2019 to 2021.

    * A qrels file whose name says `train` or `dev` puts its queries into train or validation. All others are test
      queries: a test collection is not divided unless `collection.yaml` says `split: divide`.
    * Files of TREC Deep Learning are graded 0 to 3, and binary measures count from 2 (`relevance_level`), where no
      other judgments lie beside them: keep the topics of each year in a folder of their own, which names the corpus
      in its `collection.yaml` (`corpus: ../msmarco/collection.tsv`).
    * A corpus whose rows name the `pools` that they come from is a pooled subset: judgments of passages outside of it
      are kept, so that the ideal ranking still counts them, and `source` says so.
    * Without a corpus the topics and judgments load all the same; what needs a document says that it is missing.

    Args:
        folder (`Path`), language (`str`, *optional*), stated ([`Metadata`]):
            As in `load_beir`.

    Raises:
        KitError: as in `load_beir`.
    """
    files = find_files(folder)
    if not files.topics or not files.qrels:
        missing = "topics" if not files.topics else "qrels"
        raise KitError(f"{folder}: no file with {missing} in its name; a folder in TREC form holds {FORM}")
    documents = corpus_of(folder, stated, files)
    names = [path.name for path in files.qrels]
    deep = all(_DEEP_LEARNING.search(f"{folder.resolve().name}/{name}") for name in names)
    ms_marco = any(_MS_MARCO.search(path.name) for path in (*files.topics, *files.corpus))
    name = folder.resolve().name
    facts = stated.or_else(
        source=f"{'MS MARCO passages' if ms_marco else 'a local folder in TREC form'}, {name}",
        licence="MS MARCO: non-commercial research only" if ms_marco else "not stated in the folder",
        judgments=f"TREC judgments ({', '.join(names)})."
        + (f" Binary measures count grade {DEEP_LEARNING_LEVEL} or more as relevant." if deep else ""),
        pooled=isinstance(documents, FileDocuments) and documents.pooled,
        relevance_level=DEEP_LEARNING_LEVEL if deep else None,
    )
    return assemble(Parts(facts, documents, read_topics(files.topics), read_splits(files.qrels), language))


def corpus_of(folder: Path, stated: Metadata, files: TrecFiles) -> FileDocuments | AbsentDocuments:
    """The documents that `collection.yaml` names, else those found beside the topics, else what says they are absent.

    Raises:
        KitError: `collection.yaml` names a corpus that is not there.
    """
    paths = stated.corpus_files(folder) or files.corpus
    if not paths:
        return AbsentDocuments(
            f"{folder}: its documents are not there; put corpus.jsonl, or docs-*.jsonl.gz, beside the topics, or name "
            "them in collection.yaml (corpus: PATH)"
        )
    return FileDocuments(paths)


TREC = FolderKind("trec", FORM, "TREC topics, qrels and a corpus; MS MARCO passages with TREC DL", is_trec, load_trec)

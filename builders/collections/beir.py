"""Reads a local folder in BEIR form."""

from pathlib import Path

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import AbsentDocuments, Collection
from builders.collections.files.documents import FileDocuments
from builders.collections.files.lines import COMPRESSED
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import read_splits
from builders.collections.files.topics import read_topics
from builders.collections.source import FolderKind
from builders.errors import KitError


QRELS_FILES = ("train.tsv", "dev.tsv", "validation.tsv", "test.tsv")


def is_beir(folder: Path) -> bool:
    """Whether a folder holds what only this form has."""
    corpus, queries = find_jsonl(folder, "corpus"), find_jsonl(folder, "queries")
    return queries is not None or (corpus is not None and (folder / "qrels").is_dir())


def load_beir(folder: Path, language: str | None, stated: Metadata) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl` and `qrels/{train,dev,validation,test}.tsv`, or `qrels.tsv` beside them.

    Form: https://github.com/beir-cellar/beir/wiki/Load-your-custom-dataset; all may be compressed (.gz, .zst). A query
    belongs to the split whose qrels file judges it, and a file that names no split is *test*. Where one split holds
    all there is nothing to train on: `split: divide` in `collection.yaml` parts the queries 70/10/20 by a hash of
    their ids. Queries that no file judges are left out and counted. Where queries have a list `answers`, it is kept.
    Without a corpus queries and judgments load all the same; what needs a document says that it is missing.

    Args:
        folder (`Path`):
            The folder.
        language (`str`, *optional*):
            ISO 639-1 code of documents and queries; by default what `collection.yaml` states, else what the script
            of the queries suggests.
        stated ([`Metadata`]):
            What the folder states, and the collection's name.

    Returns:
        The collection. Its documents are read from the file anew on every pass and never held in memory.

    Raises:
        KitError: a file is missing or damaged, a row is not what it should be, or more than 1 % of the judgments
            name a query or document that does not exist.
    """
    corpus = stated.corpus_files(folder) or tuple(filter(None, [find_jsonl(folder, "corpus")]))
    documents = FileDocuments(corpus) if corpus else AbsentDocuments(_missing(folder, "corpus"))
    topics = read_topics([_needed(folder, "queries")])
    files = _qrels_files(folder)
    facts = stated.or_else(
        source=f"a local folder in BEIR form, {folder.resolve().name}",
        licence="not stated in the folder",
        judgments=f"The qrels files of the folder ({', '.join(path.name for path in files)}).",
        pooled=isinstance(documents, FileDocuments) and documents.pooled,
    )
    return assemble(Parts(facts, documents, topics, read_splits(files), language))


def find_jsonl(folder: Path, stem: str) -> Path | None:
    """`STEM.jsonl` of a folder, plain or compressed."""
    names = (f"{stem}.jsonl{suffix}" for suffix in ("", *COMPRESSED))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _needed(folder: Path, stem: str) -> Path:
    path = find_jsonl(folder, stem)
    if path is None:
        raise KitError(_missing(folder, stem))
    return path


def _missing(folder: Path, stem: str) -> str:
    return f"{folder}: {stem}.jsonl (or {stem}.jsonl.gz, .zst) is missing; a BEIR folder holds it"


def _qrels_files(folder: Path) -> list[Path]:
    within = [folder / "qrels" / f"{name}{suffix}" for name in QRELS_FILES for suffix in ("", *COMPRESSED)]
    beside = [folder / f"qrels.{form}{suffix}" for form in ("tsv", "txt") for suffix in ("", *COMPRESSED)]
    files = [path for path in within if path.is_file()] or [path for path in beside if path.is_file()]
    if not files:
        raise KitError(
            f"{folder / 'qrels'}: no judgments (query-id, corpus-id, score, with tabs between them); put one of "
            f"{', '.join(QRELS_FILES)} there"
        )
    return files


BEIR = FolderKind(
    "beir",
    "corpus.jsonl, queries.jsonl, qrels/",
    "[BEIR](https://github.com/beir-cellar/beir) files: `corpus.jsonl`, `queries.jsonl`, `qrels/*.tsv` (`.gz`, `.zst` "
    "too)",
    is_beir,
    load_beir,
)

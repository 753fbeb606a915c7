"""Reads a collection in BEIR form from a dataset repository of the Hub, in the layouts of `BeIR/*` and `mteb/*`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import Collection, Split
from builders.collections.files.documents import FileDocuments, LocatedDocuments, OnceDocuments
from builders.collections.files.language import long_codes, short_code
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import read_qrels, split_named
from builders.collections.files.topics import read_topics
from builders.collections.hub_snapshot import CARD, DATA_SUFFIXES, snapshot
from builders.collections.source import Source
from builders.errors import KitError


NAME = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./+-]+))?")
COMPANION = "-qrels"

# Split → paths, perhaps with wildcards.
Patterns = Mapping[str, list[str]]


@dataclass(frozen=True)
class Layout:
    """Where a repository keeps its parts: path patterns by split. An empty one is a part that it does not have."""

    corpus: Patterns
    queries: Patterns
    qrels: Patterns


def load_hub(name: str, language: str | None = None) -> Collection:
    """Read the configs `corpus` and `queries`, and the judgments: config `qrels`, `default`, or `OWNER/NAME-qrels`.

    Only the card and the data files (Parquet, JSONL, CSV, TSV) are fetched, at one commit, which `versions` names, and
    read as text and tables: code in a repository is neither fetched nor run. A repository whose card names no configs
    is read by the names of its files (`corpus.jsonl.gz`, `queries.jsonl.gz`, `qrels/test.tsv`). A language in front of
    the configs' names (`zh-corpus`, `deu-deu-corpus`) is chosen by `language`. Of a corpus that is repeated in every
    split each document is taken once.

    Args:
        name (`str`):
            `OWNER/NAME`, or `OWNER/NAME@REVISION` (branch, tag or commit). A companion repository is read at its head.
        language (`str`, *optional*):
            ISO 639-1 code; by default the card's, else what the texts suggest.

    Raises:
        KitError: the repository cannot be read, has another layout, or its rows are not what they should be.
    """
    match = NAME.fullmatch(name)
    assert match
    repo_id = match["id"]
    card = snapshot(repo_id, match["revision"], [CARD])
    facts = _card(card.folder)
    layout = layout_of(facts, language, where=name)
    parts = (layout.corpus, layout.queries, layout.qrels)
    found = snapshot(repo_id, card.commit, [path for part in parts for paths in part.values() for path in paths])
    versions = {repo_id: card.commit}
    judged, qrels = found, layout.qrels
    if not any(_files(found.folder, qrels).values()):
        companion = f"{repo_id}{COMPANION}"
        try:
            head = snapshot(companion, None, [CARD])
        except KitError as error:
            raise KitError(f"{name}: no config qrels or default, and {error}") from error
        qrels = layout_of(_card(head.folder), None, companion=True).qrels
        judged = snapshot(companion, head.commit, [path for paths in qrels.values() for path in paths])
        versions[companion] = head.commit
    corpus, queries = (_flat(_files(found.folder, part)) for part in (layout.corpus, layout.queries))
    files: dict[Path, Split] = {
        path: split_named(split) or split_named(path.name) or "test"
        for split, paths in _files(judged.folder, qrels).items()
        for path in paths
    }
    for what, there in (("corpus", corpus), ("queries", queries), ("qrels", files)):
        if not there:
            raise KitError(
                f"{name}: no {what} in it; a collection has the configs corpus, queries and qrels (or default), or a "
                f"companion {repo_id}{COMPANION}"
            )
    judgments = (judgment for path, split in files.items() for judgment in read_qrels(path, split))
    metadata = _metadata(facts, repo_id, versions)
    documents: LocatedDocuments = FileDocuments(tuple(corpus))
    if sum(map(bool, _files(found.folder, layout.corpus).values())) > 1:
        documents = OnceDocuments(documents)
    return assemble(
        Parts(
            metadata,
            documents,
            read_topics(queries),
            judgments,
            language,
            versions=versions,
        )
    )


def layout_of(card: Mapping[str, Any], language: str | None, companion: bool = False, where: str = CARD) -> Layout:
    """The layout that a card's `configs` describe; without configs, the one that BEIR's file names have.

    Args:
        card (`Mapping`):
            The card's metadata.
        language (`str`, *optional*):
            Which configs to take where their names start with a language.
        companion (`bool`, *optional*, defaults to `False`):
            Whether the repository holds judgments only.
        where (`str`, *optional*):
            The repository, for messages.

    Raises:
        KitError: every corpus is in another language than the one asked for.
    """
    listed = [config for config in card.get("configs") or [] if isinstance(config, dict)]
    configs = {str(config.get("config_name")): _patterns(config.get("data_files")) for config in listed}

    codes = (language, *long_codes(language)) if language else ()
    starts = (*(start for code in codes for start in (f"{code}-", f"{code}-{code}-")), "")

    def part(*names: str) -> Patterns:
        wanted = (f"{start}{name}" for name in names for start in starts)
        return next((configs[name] for name in wanted if configs.get(name)), {})

    if companion:
        return Layout({}, {}, part("default", "qrels") or {"": ["*"]})
    if part("corpus") and part("queries"):
        return Layout(part("corpus"), part("queries"), part("qrels", "default"))
    parted = [name.split("-")[0] for name in configs if name.endswith("-corpus")]
    if parted:
        there = ", ".join(dict.fromkeys(map(short_code, parted)))
        raise KitError(f"{where}: its configs are parted by language: give --language with one of {there}")
    return Layout({"": ["corpus*"]}, {"": ["queries*"]}, {"": ["qrels*"]})


def _patterns(data_files: Any) -> Patterns:
    """Every form of `data_files` as split → patterns: a path, a list of paths, splits with paths."""
    if isinstance(data_files, str):
        return {"": [data_files]}
    if isinstance(data_files, dict):
        return {str(split): [paths] if isinstance(paths, str) else list(paths) for split, paths in data_files.items()}
    found: dict[str, list[str]] = {}
    for entry in data_files or []:
        for split, paths in _patterns({entry["split"]: entry["path"]} if isinstance(entry, dict) else entry).items():
            found.setdefault(split, []).extend(paths)
    return found


def _files(folder: Path, patterns: Patterns) -> dict[str, list[Path]]:
    """The data files that patterns name, by split."""
    found: dict[str, list[Path]] = {}
    for split, paths in patterns.items():
        for pattern in paths:
            # A card may name anything; what it names is read only where it was fetched to.
            if "://" in pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise KitError(f"{folder / CARD}: data_files: {pattern!r} lies outside of the repository")
        matched = {path for pattern in paths for path in _glob(folder, pattern)}
        found[split] = sorted(path for path in matched if path.name.endswith(DATA_SUFFIXES))
    return found


def _glob(folder: Path, pattern: str) -> Iterator[Path]:
    # A name without suffix may be that of a folder: corpus.jsonl, or corpus/part-0.parquet.
    for path in (*folder.glob(pattern), *folder.glob(f"{pattern}/*" if pattern.endswith("*") else pattern)):
        if path.is_file():
            yield path


def _card(folder: Path) -> dict[str, Any]:
    from huggingface_hub import DatasetCard

    path = folder / CARD
    if not path.is_file():
        return {}
    try:
        return dict(DatasetCard.load(path, ignore_metadata_errors=True).data.to_dict())
    except Exception as error:  # the client lets several YAML errors out
        raise KitError(f"{path}: its metadata cannot be read ({' '.join(str(error).split())[:200]})") from error


def _metadata(card: Mapping[str, Any], repo_id: str, versions: Mapping[str, str]) -> Metadata:
    stated = [card["language"]] if isinstance(card.get("language"), str) else list(card.get("language") or [])
    return Metadata(
        name=repo_id.split("/")[1],
        language=code if len(stated) == 1 and len(code := short_code(str(stated[0]))) == 2 else None,
        source=f"the dataset {repo_id} of the Hugging Face Hub, commit {versions[repo_id][:12]}",
        licence=str(card.get("license") or "not stated on the card"),
        judgments=f"The qrels of {list(versions)[-1]}.",
    )


def _flat(files: Mapping[str, list[Path]]) -> list[Path]:
    return [path for paths in files.values() for path in paths]


HUB = Source(
    ("OWNER/NAME[@REVISION]",),
    "a dataset on the Hub with `corpus`, `queries`, `qrels`, such as `mteb/scifact`",
    lambda name: NAME.fullmatch(name) is not None,
    load_hub,
)

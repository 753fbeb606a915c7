"""Reads open-domain questions with accepted answers, and the passages to find them in."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from builders.collections.assembly import Parts, assemble
from builders.collections.collection import AbsentDocuments, Collection, Split
from builders.collections.files.accepted_answers import COMMON, find_passages
from builders.collections.files.documents import FileDocuments
from builders.collections.files.lines import Place
from builders.collections.files.metadata import Metadata
from builders.collections.files.qrels import Judgment
from builders.collections.files.questions import holds_questions, read_questions
from builders.collections.source import FolderKind
from builders.errors import KitError


FORM = "questions *.qa.csv, *.jsonl or *.json (question, answers), passages psgs_w100.tsv or passages.jsonl"

_PASSAGES = re.compile(r"(psgs|passages|corpus)[^/]*\.(tsv|jsonl)(\.gz|\.zst)?$")
_OTHERS = re.compile(r"queries|topics|qrels|clicks|collection\.")


def question_files(folder: Path) -> list[Path]:
    """The files of a folder that hold questions with answers, by their first row."""
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    others = [path for path in paths if _PASSAGES.match(path.name) or _OTHERS.search(path.name)]
    return [path for path in paths if path not in others and holds_questions(path)]


def load_open_qa(path: Path, language: str | None, stated: Metadata) -> Collection:
    """Read questions with answers (see `read_questions`), and passages: DPR's TSV (id, text, title) or JSONL.

    Judgments: the positive passages that a question names; else every passage whose text holds an accepted answer,
    by the matching of DPR's evaluation, found in one pass over the passages. Questions whose answers stand in more
    than 1,000 passages are too common to have gold passages: they stay, with their answers and without judgments, for
    measures that look at the answers themselves. Without passages the questions load all the same.

    Args:
        path (`Path`):
            The folder, or a single file of questions.
        language (`str`, *optional*), stated ([`Metadata`]):
            As in `load_beir`.

    Raises:
        KitError: as in `load_beir`; or the extra `pyserini` is not installed and answers must be found.
    """
    alone = path.is_file()
    files = [path] if alone else question_files(path)
    if not files:
        raise KitError(f"{path}: no questions with answers; a folder of open-domain questions holds {FORM}")
    questions = read_questions(files)
    files_of_passages = () if alone else stated.corpus_files(path, _PASSAGES)
    passages = FileDocuments(files_of_passages) if files_of_passages else None
    counts: Counter[str] = Counter()
    judgments = list(questions.positives)
    how = ["passages that the questions name"] if judgments else []
    named = {judgment.query_id for judgment in judgments}
    unnamed = {query_id: found for query_id, found in questions.topics.answers.items() if query_id not in named}
    if passages and unnamed:
        judgments += _matched(passages, unnamed, questions.splits, counts)
        how += ["passages that hold an accepted answer (DPR's matching)"]
    facts = stated.or_else(
        source=f"open-domain questions, {path.resolve().name}",
        licence="not stated in the folder",
        judgments=f"Relevant are the {', else the '.join(how)}." if how else "No passage is judged.",
    )
    absent = AbsentDocuments(f"{path}: no passages; put psgs_w100.tsv or passages.jsonl beside the questions")
    return assemble(
        Parts(
            facts,
            passages or absent,
            questions.topics,
            judgments,
            language,
            keep_unjudged=True,
            splits=questions.splits,
            statistics=counts,
        )
    )


def _matched(
    passages: FileDocuments, answers: Mapping[str, Sequence[str]], splits: Mapping[str, Split], counts: Counter[str]
) -> Iterator[Judgment]:
    """A judgment for every passage that holds an accepted answer of one of these questions."""
    for query_id, passage_ids in find_passages(answers, passages).items():
        if not passage_ids or len(passage_ids) > COMMON:
            counts["questions_too_common" if passage_ids else "questions_without_passage"] += 1
            continue
        for passage_id in passage_ids:
            yield Judgment(Place(passages.name, 1), splits[query_id], query_id, passage_id, 1)


OPEN_QA = FolderKind(
    "open-qa",
    FORM,
    "questions with accepted answers, and passages (the form of DPR)",
    lambda folder: bool(question_files(folder)),
    load_open_qa,
    holds_questions,
)

"""Questions with accepted answers, in the forms that DPR made usual."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from builders.artifacts.records import parse_json
from builders.collections.collection import Split, split_of
from builders.collections.files.documents import id_field
from builders.collections.files.lines import Place, Record, form_of, read_json, read_lines
from builders.collections.files.qrels import Judgment, split_named
from builders.collections.files.tables import count_columns, first_line, form_inside, read_records, tsv_cells
from builders.collections.files.topics import Topics
from builders.errors import KitError


_ID_FIELDS = ("_id", "id", "question_id")
_PASSAGE_ID_FIELDS = ("passage_id", "psg_id", "id")
_ANSWER_FIELDS = ("answers", "answer")
# What DPR names its questions with lists of answers; Anserini names them .txt.
_CELLS = ("csv", "txt")
_LIST_CELL = re.compile(r'\t"?\[')


@dataclass
class Questions:
    """The questions with their answers, the split of each, and the passages that they name."""

    topics: Topics = field(default_factory=Topics)
    splits: dict[str, Split] = field(default_factory=dict)
    positives: list[Judgment] = field(default_factory=list)


def holds_questions(path: Path) -> bool:
    """Whether a file's first row is a question with answers; JSON of another shape, whatever it is for, holds none."""
    try:
        form = form_inside(path)
    except KitError:
        return False  # a note beside the data
    if form_of(path) in _CELLS and form != "jsonl":
        line = first_line(path)
        return bool(_LIST_CELL.search(line)) or {"question", "answers"} <= set(line.split(","))
    if form not in ("jsonl", "json"):
        return False
    if _is_other_json(path):
        return False
    record: Record = next((record for _, record in read_json(path)), {})
    return "question" in record and any(name in record for name in _ANSWER_FIELDS)


def _is_other_json(path: Path) -> bool:
    """Whether a file is one JSON value over several lines, or a list of what is no object.

    Settings lie beside data so. What is no JSON at all is damaged, and said to be so by whoever reads it.
    """
    lines = (line.strip() for _, line in read_lines(path))
    head = "".join(islice(filter(None, lines), 2))
    if re.match(r"\[\s*\{", head):  # may be gigabytes of questions
        return False
    try:
        value = parse_json(first_line(path))
    except json.JSONDecodeError:
        if form_of(path) != "json" or not head.startswith(("{", "[")):
            return False
        try:
            value = parse_json("\n".join(line for _, line in read_lines(path)))
        except json.JSONDecodeError:
            return False
        return True
    return not isinstance(value, dict) and value != []


def read_questions(files: Sequence[Path]) -> Questions:
    """Read JSONL or JSON lists (`question`, `answers` or `answer`, perhaps `_id`, `positive_ctxs`) and DPR's CSV.

    DPR's CSV has no header: question, tab, list of answers as Python writes it. The split is the one in the file's
    name (`nq-train.qa.csv`, `nq.dev.jsonl`), else a hash of the id. Questions without an id are numbered; where files
    share ids, the file's name stands in front of all.

    Raises:
        KitError: a row is no question with answers, or an id stands twice.
    """
    rows = {path: [(place, record, _id(path, place, record)) for place, record in _records(path)] for path in files}
    shared = _shared(rows)
    found = Questions()
    for path, own in rows.items():
        start, named = f"{path.name.split(f'.{form_of(path)}')[0]}-" if shared else "", split_named(path.name)
        for place, record, name in own:
            id = f"{start}{name}"
            found.topics.add(place, id, _question(place, record))
            found.topics.answers[id] = _answers(place, record)
            found.splits[id] = split = named or split_of(id)
            for passage in dict.fromkeys(_positives(place, record)):
                found.positives.append(Judgment(place, split, id, passage, 1))
    if not found.topics.texts:
        raise KitError(f"{files[0]}: no questions in it")
    return found


def _shared(rows: Mapping[Path, Sequence[tuple[Place, Record, str]]]) -> bool:
    """Whether an id stands in more than one file."""
    ids = [{id for _, _, id in own} for own in rows.values()]
    return len(set().union(*ids)) < sum(map(len, ids))


def _records(path: Path) -> Iterator[tuple[Place, Record]]:
    if form_of(path) not in _CELLS or form_inside(path) == "jsonl" or "\t" not in first_line(path):
        yield from read_records(path)
        return
    for place, cells in tsv_cells(path):
        if len(cells) != 2:
            raise KitError(f"{place}: {count_columns(cells)} where 2 are expected (question, list of answers)")
        yield place, {"question": cells[0], "answers": cells[1]}


def _id(path: Path, place: Place, record: Record) -> str:
    value = next((record[name] for name in _ID_FIELDS if name in record), None)
    if value in (None, ""):
        return f"{split_named(path.name) or 'question'}-{place.row - 1}"
    return id_field(place, record, _ID_FIELDS)


def _question(place: Place, record: Record) -> str:
    question = record.get("question")
    if not isinstance(question, str):
        raise KitError(f'{place}: field "question" is missing or not text; add it')
    return question


def _answers(place: Place, record: Record) -> tuple[str, ...]:
    value: Any = next((record[name] for name in _ANSWER_FIELDS if name in record), None)
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise KitError(f"{place}: {value[:60]!r} is not a list of answers; write ['a', 'b']") from error
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise KitError(f'{place}: field "answers" is missing or no list of texts; write ["a", "b"]')
    # An empty answer would be found in every passage.
    kept = tuple(dict.fromkeys(text for text in listed if text.strip()))
    if not kept:
        raise KitError(f"{place}: no answer, or only empty ones; fill one in or remove the row")
    return kept


def _positives(place: Place, record: Record) -> Iterator[str]:
    for passage in record.get("positive_ctxs") or []:
        known = [passage[name] for name in _PASSAGE_ID_FIELDS if name in passage] if isinstance(passage, dict) else []
        if not known:
            raise KitError(
                f'{place}: field "positive_ctxs" has a passage without passage_id; add it, or drop the field'
            )
        yield str(known[0])

"""Reads the queries of a test collection in every form that they are published in."""

import html
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builders.collections.files.documents import id_field, text_field
from builders.collections.files.lines import Place, Record, read_lines
from builders.collections.files.sgml import holds_sgml, read_sgml
from builders.collections.files.tables import RECORD_FORMS, first_line, form_inside, read_pairs, read_records
from builders.errors import KitError


ID_FIELDS = ("_id", "id", "qid", "query_id", "topic_id", "question_id")
# A few empty queries are found in published collections; many mean that the wrong field was read.
EMPTY_SHARE = 0.01
# What BRIGHT lists where nothing is excluded.
NONE_EXCLUDED = "N/A"
TEXT_FIELDS = ("text", "query", "question", "title")

# What a topic stands in: TREC's, XML's, and that of NTCIR.
_TOPICS = ("top", "topic", "query")
# CLEF puts a language before the names of its fields: <EN-title>.
_TAG = re.compile(r"<(/?)(?:[A-Za-z]{2}-)?(\w+)(\s+[\w:-]+\s*=[^<>]*)?\s*/?>")
_COMMENT, _CDATA = re.compile(r"<!--.*?-->", re.DOTALL), re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_OPENING = re.compile(rf"<({'|'.join(_TOPICS)})(\s[^<>]*)?>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(number|num|id)\s*=\s*["']([^"']*)""", re.IGNORECASE)
_NUMBER = re.compile(r"\s*(?:(?:Number|Topic):)?\s*(\S+)")
# Where the number and the query stand, in the order of preference.
_NUMBERS = ("num", "number", "identifier", "qid")
_QUERIES = ("title", "query", "question", "content", "text")
# A list of answers, as Python writes it.
_ANSWERS = re.compile(r"""\[\s*["'].*\]\s*$""")
# What TREC's tracks of microblogs and Arabic write before the numbers of topics, and not in judgments.
_TRACKS = ("", "MB", "AR")
# What the titles of TREC 1 to 3 begin with.
_LABEL = re.compile(r"^Topic:\s*", re.IGNORECASE)


@dataclass
class Topics:
    """Query id → text, in the order of the files, the empty ones, and what some accept as answers or exclude."""

    texts: dict[str, str] = field(default_factory=dict)
    answers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    empty: dict[str, Place] = field(default_factory=dict)

    def add(self, place: Place, id: str, text: str, again: bool = False) -> None:
        """File a query.

        Args:
            place ([`Place`]):
                Where it stands, for messages.
            id (`str`), text (`str`):
                The query.
            again (`bool`, *optional*, defaults to `False`):
                Whether the same query may be filed a second time.

        Raises:
            KitError: the id stands twice.
        """
        if not text.strip():
            self.empty[id] = place
            return
        if id in self.texts and not (again and self.texts[id] == text):
            raise KitError(f"{place}: id {id!r} stands twice; ids must be unique")
        self.texts[id] = text

    def check(self) -> None:
        """Refuse queries of which more than 1 % have no text; fewer are passed over.

        Raises:
            KitError: so it is.
        """
        if len(self.empty) > EMPTY_SHARE * (len(self.texts) + len(self.empty)):
            id, place = next(iter(self.empty.items()))
            more = f", and so have {len(self.empty) - 1} more" if len(self.empty) > 1 else ""
            raise KitError(f"{place}: query {id!r} has an empty text{more}; fill it in or remove the row")


def same_topic(id: str, ids: Container[str]) -> str:
    """The id as it stands among `ids`: TREC's topics 051, 51, and MB051 of its microblogs, are one.

    An id that is not there is as it was.
    """
    if id in ids or not (id.isascii() and id.isdigit()):
        return id
    bare = id.lstrip("0") or "0"
    forms = (f"{track}{bare.zfill(width)}" for track in _TRACKS for width in range(5))
    return next((form for form in forms if form in ids), id)


def read_topics(paths: Iterable[Path]) -> Topics:
    """The queries of JSONL, TSV, TREC and XML topic files together.

    * JSONL: `_id` (`id`, `qid`, …) and `text` (`query`, `question`, …), perhaps lists `answers`, `excluded_ids`;
    * TSV: id and text, without header;
    * TREC: `<top>` … `<num>` … `<title>` …, the title being the query; where there is none, `<query>` or `<question>`;
    * XML: `<topic number="1">`, with the same fields or the query itself in it; NTCIR's `<query>` with `<qid>`;
    * `<DOC>` … `<DOCNO>` …, as old collections write queries like documents.

    A query may stand in several of the files where it has the same text.

    Raises:
        KitError: a file cannot be read or has no queries, or an id stands for two queries.
    """
    topics = Topics()
    for path in paths:
        seen: set[str] = set()
        for place, id, text, record in _read(path):
            topics.add(place, id, text, again=id not in seen)
            seen.add(id)
            if answers := _listed(record, "answers"):
                topics.answers[id] = answers
            if excluded := [one for one in _listed(record, "excluded_ids") if one != NONE_EXCLUDED]:
                topics.excluded[id] = tuple(excluded)
        if not seen:
            raise KitError(f"{path}: no queries in it")
    return topics


def _listed(record: Record, name: str) -> tuple[str, ...]:
    """The texts of a field that is a list of them."""
    listed = record.get(name)
    known = isinstance(listed, list) and all(isinstance(one, str) for one in listed)
    return tuple(one for one in listed if one.strip()) if known and listed else ()


def _read(path: Path) -> Iterator[tuple[Place, str, str, Record]]:
    form = form_inside(path)
    if form in RECORD_FORMS and form != "tsv":
        for place, record in read_records(path):
            yield place, id_field(place, record, ID_FIELDS), text_field(place, record, TEXT_FIELDS), record
    elif _starts_with_a_tag(path):
        for place, id, text in _marked_up(path):
            yield place, id, text, {}
    elif holds_sgml(path):
        for place, document in read_sgml(path):
            yield place, document.id, f"{document.title} {document.text}".strip(), {}
    else:
        for place, id, text in read_pairs(path, "query id, text"):
            if not id.strip():
                raise KitError(f"{place}: the query has no id; give the row one")
            if _ANSWERS.match(text) and " " in id.strip():
                raise KitError(f"{place}: a question and its answers, not an id and a text; give {path.name} alone")
            yield place, id.strip(), text.strip(), {}


def holds_markup(path: Path) -> bool:
    """Whether a file holds topics between tags, `<top>` or `<topic>`; no file that cannot be read does."""
    try:
        return any(_OPENING.search(line) for _, line in read_lines(path))
    except KitError:
        return False


def _starts_with_a_tag(path: Path) -> bool:
    """Whether a file is TREC's `<top>` … or XML, and holds topics."""
    return first_line(path).lstrip().startswith("<") and holds_markup(path)


def _marked_up(path: Path) -> Iterator[tuple[Place, str, str]]:
    """Numbers and titles. Old topics close no tags: a field ends where the next begins, and a topic too."""
    start: Place | None = None
    # What opened the topic, and what stands in it: field → text. Its own text and attributes are fields of no name.
    outer, fields, current = "", dict[str, str](), ""
    for place, line in _without_comments(path):
        at = 0
        for tag in _TAG.finditer(line):
            closing, name = bool(tag[1]), tag[2].lower()
            fields[current] = f"{fields.get(current, '')}{line[at : tag.start()]}"
            own = name == outer if start is not None else name in _TOPICS
            at, current = tag.end(), "" if closing or own else name
            if not own:
                continue
            if not closing:
                if start is not None:  # nor do all topics end where they should
                    yield _topic(path, start, fields, outer)
                start, outer = place, name
                stated = {key.lower(): value for key, value in _ATTRIBUTE.findall(tag[3] or "")}
                fields = {"num": next((stated[key] for key in ("number", "num", "id") if key in stated), "")}
            else:
                yield _topic(path, start, fields, outer)
                start = None
        fields[current] = f"{fields.get(current, '')}{line[at:]} "
    if start is not None:
        raise KitError(f"{start}: this topic has no </{outer}>; is the file cut off?")


def _without_comments(path: Path) -> Iterator[tuple[Place, str]]:
    """The lines of a file, what XML quotes as text in them, and its comments gone."""
    places, found = zip(*read_lines(path), strict=True)
    text = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), "\n".join(found))
    text = _CDATA.sub(lambda match: html.escape(match[1], quote=False), text)
    yield from zip(places, text.split("\n"), strict=True)


def _topic(path: Path, start: Place | None, fields: dict[str, str], outer: str) -> tuple[Place, str, str]:
    number = next((found for name in _NUMBERS if (found := _NUMBER.match(fields.get(name, "")))), None)
    if start is None or number is None:
        raise KitError(f"{start or path}: a topic without <top> or <num>; the file is damaged")
    # A topic of XML may be the query itself.
    names = ("",) if fields.keys() <= {"num", ""} else _QUERIES
    texts = (" ".join(fields.get(name, "").split()) for name in names)
    text = _LABEL.sub("", next((text for text in texts if text), ""))
    return start, number[1], text if outer == "top" else html.unescape(text)

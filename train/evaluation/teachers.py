"""Systems that students are held against: any expander by its name with its settings, or recorded expansions."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from builders.artifacts.cache import cache_dir
from builders.collections.collection import Collection, Query
from builders.errors import KitError
from builders.expanders.expander import Expansion, greedy
from builders.expanders.generations import write_answers
from builders.expanders.load import (
    RETRIEVER,
    ExpanderOptions,
    expander_names,
    find_expander,
    load_expanders,
    options_from_texts,
)
from builders.expanders.recorded_expander import recorded_expansion
from builders.expanders.recordings import read_recorded
from builders.grading.joining import join_expansions
from builders.processes import Processes
from builders.prompts.context.load import shown_texts
from builders.prompts.exemplars import draw_exemplars, for_query
from builders.prompts.load import load_prompt, require_language
from train.evaluation.systems import ExpandedQueries


FORM = "NAME=SOURCE[,FIELD=VALUE,…]"
# Fields that are no expander's own: which model, and what it is told. Whom no prompt reaches has one all the same.
USUAL = {
    "model": ExpanderOptions.model,
    "model_revision": None,
    "prompt": "keywords-zero-shot",
    "retriever": RETRIEVER,
}
# So many ids are named when a teacher lacks queries.
NAMED = 5


@dataclass(frozen=True)
class Teacher:
    """One teacher.

    Args:
        name (`str`):
            Of its row.
        settings (`Mapping`):
            What its expansions depend on, for a results folder that need not be made again.
        write:
            Gives its expansions.
    """

    name: str
    settings: Mapping[str, Any]
    write: Callable[[], ExpandedQueries]


def load_teacher(text: str, collection: Collection, queries: Sequence[Query], max_new_tokens: int) -> Teacher:
    """Read an entry of `--teachers`.

    Args:
        text (`str`):
            `NAME=SOURCE[,FIELD=VALUE,…]`: the name of an expander, whose settings the fields are (`model`,
            `model_revision`, `prompt` and `retriever` too); or recorded expansions (see `read_recorded`), of which
            rows with these values are taken. An expander's name alone names the row as well.
        collection ([`Collection`]), queries (`Sequence[Query]`):
            What is asked.
        max_new_tokens (`int`):
            Token limit, where a teacher writes now.

    Raises:
        KitError: the entry is malformed, the source cannot be read, or it lacks a query.
    """
    name, source, fields = _parse(text)
    if source in expander_names():
        return _expanding(name, source, fields, collection, queries, max_new_tokens)
    rows = read_recorded(source, fields)
    of_query = {row.query_id: row for row in rows}
    _require_all(name, source, of_query, queries)
    texts, notes = join_expansions(source, rows, collection, queries)
    digest = hashlib.sha256(repr(texts).encode()).hexdigest()
    expansions = [recorded_expansion(of_query[query.id]) for query in queries]
    # Of a recording's prompt nothing is known but the query that was in it.
    prompts = [(query.text,) for query in queries]
    return Teacher(name, {"source": source, "sha256": digest}, lambda: _writing(expansions, prompts, notes))


def _parse(text: str) -> tuple[str, str, dict[str, str]]:
    head, *filters = text.split(",")
    match = re.fullmatch(r"([\w.+-]+)=(.+)", head.strip())
    alone = head.strip() in expander_names()
    pairs = [part.strip().partition("=") for part in filters]
    if not (match or alone) or not all(field and equals for field, equals, _ in pairs):
        raise KitError(f"--teachers {text!r}: give {FORM}, e.g. big=teacher.jsonl.gz,mode=zs")
    name, source = (match[1], match[2]) if match else (head.strip(), head.strip())
    return name, source, {field: value for field, _, value in pairs}


def _require_all(name: str, source: str, known: Iterable[str], queries: Sequence[Query]) -> None:
    there = set(known)
    if lacking := [query.id for query in queries if query.id not in there]:
        named = ", ".join(lacking[:NAMED]) + (" …" if len(lacking) > NAMED else "")
        raise KitError(
            f"--teachers {name}: {source} has no expansion of {len(lacking)} of the {len(queries)} queries ({named}): "
            "a comparison needs all; evaluate on queries that are recorded"
        )


def _expanding(
    name: str, kind: str, fields: Mapping[str, str], collection: Collection, queries: Sequence[Query], tokens: int
) -> Teacher:
    """A teacher that writes now; its answers are kept in the cache, so that nobody is asked or paid twice."""
    shared: dict[str, Any] = {field: fields.get(field, usual) for field, usual in USUAL.items()}
    own = {field: value for field, value in fields.items() if field not in USUAL}
    try:
        args = ExpanderOptions(expander=kind, model=shared["model"], model_revision=shared["model_revision"])
        args.options = options_from_texts(kind, own)
    except KitError as error:
        raise KitError(f"--teachers {name}: {error}") from error
    prompt, folder = load_prompt(shared["prompt"]), cache_dir("teachers", name)
    if reads_prompt := find_expander(kind).reads_prompt:
        require_language([prompt], collection.language, collection.name)
    expanders = load_expanders(args, collection, [prompt], prompt, folder, shared["retriever"])
    if len(expanders) > 1:
        raise KitError(f"--teachers {name}: {kind} answers several prompts: choose one, e.g. with where=FIELD=VALUE")
    ((prompt, expander),) = expanders
    if expander.query_ids is not None:
        _require_all(name, kind, expander.query_ids, queries)

    def write() -> ExpandedQueries:
        drawn = draw_exemplars(collection, prompt.exemplars, 0)
        shown = shown_texts([prompt], collection, shared["retriever"], queries)
        sampling, alone = greedy(tokens), Processes(0, 1)
        answers = write_answers(queries, expanders, {prompt.id: drawn}, shown, 1, [sampling], folder, alone)
        prompts = [[query.text] for query in queries]
        if reads_prompt:
            texts = shown[prompt.id]
            turns = [prompt.messages(one.text, for_query(drawn, one.id), texts[one.id]) for one in queries]
            prompts = [[turn["content"] for turn in some] for some in turns]
        expansions = [answers[prompt.id, query.id][0].expansion for query in queries]
        return _writing(expansions, prompts, {"identity": asdict(expander.identity)})

    told = {"prompt_sha256": prompt.sha256} if reads_prompt else {}
    return Teacher(name, {**asdict(expander.identity), **expander.settings, **told}, write)


def _writing(
    expansions: Sequence[Expansion], prompts: Sequence[Sequence[str]], facts: Mapping[str, Any]
) -> ExpandedQueries:
    tokens = fmean(expansion.completion_tokens for expansion in expansions)
    return ExpandedQueries(expansions, prompts, {"tokens_per_query": tokens, **facts})

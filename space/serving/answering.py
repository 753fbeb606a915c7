"""Answers what the page asks for, step by step: what is there at once, the place in the line, what the model wrote."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from builders.errors import KitError
from space.comparison import Column, compare
from space.engine import Engine
from space.present import comparison_html, notice_html
from space.serving.feedback import CONSENT, VOTES
from space.serving.line import Turn
from space.serving.own_documents import OwnDocuments, engine_of
from space.writers import Written


# Beside the plain query.
MOST_COLUMNS = 2
# How often the page is looked after while it waits, in seconds.
BEAT = 0.25
CANCELLED = "Cancelled: the model was not asked."


@dataclass(frozen=True)
class Asked:
    """One request of the page.

    Attributes:
        query (`str`), systems (`Sequence[str]`): what to search, with whose expansions.
        words (`Mapping[str, str]`): system → an expansion edited by hand.
        live (`bool`): whether a model writes although something is recorded.
        cancelled (`bool`): whether no model is to be asked.
        number (`int`): the page's own count, which the answer carries.
        by (`str`): the retriever; empty for the measured one.
    """

    query: str
    systems: Sequence[str] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    live: bool = False
    cancelled: bool = False
    number: int = 0
    by: str = ""

    @classmethod
    def read(cls, data: Any, engine: Engine) -> "Asked":
        """Make one of what a browser sent, which may be anything.

        Raises:
            KitError: it is no query that can be searched.
        """
        sent = data if isinstance(data, dict) else {}
        systems, words = sent.get("systems"), sent.get("words")
        known = [name for name in systems if isinstance(name, str)] if isinstance(systems, list) else []
        edited = {}
        for name, text in words.items() if isinstance(words, dict) else ():
            # No words at all are the plain query.
            edited[name] = engine.check(text, "expansion") if text != "" else ""
        return cls(
            engine.check(sent.get("query", "")),
            [name for name in dict.fromkeys(known) if name in engine.systems][:MOST_COLUMNS],
            edited,
            sent.get("live") is True,
            sent.get("cancelled") is True,
            number_of(data),
            sent["by"] if sent.get("by") in list(engine.retrievers) else "",
        )


def number_of(data: Any) -> int:
    """The page's count of a request."""
    number = data.get("number") if isinstance(data, dict) else None
    return number if isinstance(number, int) else 0


async def answers(
    engine: Engine, data: Any, is_asked: Callable[[], bool], own: OwnDocuments | None = None
) -> AsyncGenerator[str | None]:
    """HTML for the page whenever there is something new; `None` when there is nothing.

    Args:
        engine ([`Engine`]):
            What searches and writes.
        data (`Any`):
            What the page sent: see [`Asked`].
        is_asked (`Callable`):
            Whether the visitor still waits for this: as soon as it is false, nothing more comes.
        own ([`OwnDocuments`], *optional*):
            The visitor's documents, which are searched where the page says `own`.
    """
    try:
        if isinstance(data, dict) and data.get("own") is True:
            engine = engine_of(own, data.get("query"))
        asked = Asked.read(data, engine)
        columns = await asyncio.to_thread(lambda: [_first(engine, asked, name) for name in asked.systems])
        async with aclosing(_written(engine, asked, columns, is_asked)) as steps:
            async for found in steps:
                html = None if found is None else await asyncio.to_thread(_html, engine, asked, found)
                if not is_asked():
                    return
                yield html
    except KitError as error:
        if is_asked():
            yield notice_html(str(error), number_of(data))


def _html(engine: Engine, asked: Asked, columns: Sequence[Column]) -> str:
    return comparison_html(
        compare(engine, asked.query, columns, asked.by), asked.number, CONSENT if engine.feedback is not None else ""
    )


def keep_vote(engine: Engine, data: Any) -> None:
    """Keep what a visitor says of one system's expansion; what is no vote is passed over."""
    sent = data if isinstance(data, dict) else {}
    if engine.feedback is None or sent.get("vote") not in VOTES:
        return
    try:
        asked = Asked.read({**sent, "systems": [sent.get("system")]}, engine)
        (column,) = (_first(engine, asked, name) for name in asked.systems)
    except (KitError, ValueError):
        return
    if column.written is not None:
        told = {"query": asked.query, "system": column.system, "expansion": column.written.text}
        by = asked.by or next(iter(engine.retrievers))
        engine.feedback.add({**told, "written": column.written.source, "retriever": by, "vote": sent["vote"]})


def _first(engine: Engine, asked: Asked, system: str) -> Column:
    """What can be said of a system without waiting."""
    column = Column(system, runs=not engine.systems[system].at_once)
    if system in asked.words:
        text = asked.words[system]
        return replace(column, written=Written(text, len(text.split()), None, "edited"))
    try:
        found = engine.at_once(system, asked.query, asked.live)
    except KitError as error:
        return replace(column, notice=str(error))
    if found is not None:
        return replace(column, written=found)
    return replace(column, notice=CANCELLED) if asked.cancelled else replace(column, waits=True)


async def _written(
    engine: Engine, asked: Asked, columns: list[Column], is_asked: Callable[[], bool]
) -> AsyncGenerator[list[Column] | None]:
    """The columns as they are, then whenever one of them changes, until none waits."""
    for number, column in enumerate(columns):
        if not column.waits:
            continue
        try:
            turn = engine.line.join()
        except KitError as error:
            columns[number] = Column(column.system, notice=str(error))
            continue
        work = asyncio.ensure_future(turn.run(partial(engine.write, column.system, asked.query)))
        try:
            said = ""
            while not work.done():
                waiting = _waiting(turn)
                columns[number] = replace(column, notice=waiting)
                yield list(columns) if waiting != said else None
                said = waiting
                if not is_asked():
                    return
                await asyncio.wait({work}, timeout=BEAT)
            try:
                columns[number] = Column(column.system, work.result())
            except KitError as error:
                columns[number] = Column(column.system, notice=str(error))
        finally:
            work.cancel()
    yield columns


def _waiting(turn: Turn) -> str:
    ahead = turn.ahead
    if not ahead:
        return "The model is writing …"
    seconds = turn.seconds
    about = "" if seconds is None else f", about {max(1, round(seconds))} s"
    return f"In the line: {ahead} before you{about} …"

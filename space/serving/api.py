"""Offers expansions and comparisons to programs: as an API, and as tools for assistants (MCP)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version

import gradio as gr
from packaging.requirements import Requirement

from builders.errors import KitError
from space.comparison import Answer, Column, as_answer, compare
from space.engine import Engine
from space.writers import Written


class PlainError(gr.Error):
    """An error whose text is its message, without quotation marks around it."""

    def __str__(self) -> str:
        return self.message


@contextmanager
def plain_errors() -> Iterator[None]:
    """Send what can be mended as one line of text."""
    try:
        yield
    except KitError as error:
        raise PlainError(str(error), print_exception=False) from error


class Api:
    """The functions behind the API.

    Args:
        engine ([`Engine`]):
            What searches and writes.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def expand(self, query: str) -> str:
        """Write the words that the page answering a search query would probably contain.

        Args:
            query: What somebody searches for, at most 300 words, e.g. "fit a straight line through points".
        """
        with plain_errors():
            return (await self._written(self.engine.check(query))).text

    async def search(self, query: str) -> Answer:
        """Search with a query as it is and with the student's expansion; both rankings come back as JSON.

        Where the student cannot be asked, `expanded` is null and `note` says why.

        Args:
            query: What somebody searches for, at most 300 words, e.g. "fit a straight line through points".
        """
        with plain_errors():
            checked, name = self.engine.check(query), self.engine.student
            try:
                column = Column(name, await self._written(checked))
            except KitError as error:
                column = Column(name, notice=str(error))
            return as_answer(await asyncio.to_thread(compare, self.engine, checked, [column]))

    async def _written(self, query: str) -> Written:
        name = self.engine.student
        kept = self.engine.systems[name].remembered(query)
        if kept is not None:
            return kept
        return await self.engine.line.join().run(partial(self.engine.write, name, query))


def mcp_works() -> bool:
    """Whether everything that `gradio[mcp]` asks for is installed."""
    wanted = [Requirement(line) for line in requires("gradio") or ()]
    try:
        return all(
            version(item.name) in item.specifier
            for item in wanted
            if item.marker and not item.marker.evaluate({"extra": ""}) and item.marker.evaluate({"extra": "mcp"})
        )
    except PackageNotFoundError:
        return False

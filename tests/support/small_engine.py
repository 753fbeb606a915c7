"""A rendered Space of a few documents whose model is a stub: no weights, and it answers as fast as it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from builders.errors import KitError
from space.engine import Engine
from space.pairs import PAIRS, Candidates, Pair, Pairs
from space.pairs import to_json as pairs_json
from space.recorded import QUERIES, Answer, Recorded, to_json
from space.settings import SETTINGS, SpaceSettings, System
from space.writers import Writer, Written
from tests.support.measured_folder import write_collection


STUDENT = "dpo"
MEASURED = System(3, 0.5, 0.5, 0.5, 0.2, 0.1, 0.7, 0.02, (-0.01, 0.05), 0.3, 7.0, 11.0)
WRITTEN = {
    "store arrays on disk": ("write binary file", "Return the thing."),
    "fit a line": ("linear matrix equation", "Return the thing."),
    "matrix <i>equation</i>": ("<img src=x onerror=alert(1)>", "base"),
    "file": ("file on disk", "file on disk"),
}
RANKS = {"store arrays on disk": (5, 1), "fit a line": (1, 3), "matrix <i>equation</i>": (1, 1), "file": (2, 1)}


class Stub(Writer):
    """Writes a sentence about the query.

    Args:
        seconds (`float`, *optional*):
            How long it takes.
        after (`Callable`, *optional*):
            What happens then.
        fails (`str`, *optional*):
            What it says instead of answering.
    """

    def __init__(self, seconds: float = 0.0, after: Callable[[], object] | None = None, fails: str = "") -> None:
        self.seconds, self.after, self.fails = seconds, after, fails
        self.asked: list[str] = []
        self._kept: dict[str, Written] = {}

    def write(self, query, collection) -> Written:
        self.asked.append(query.text)
        time.sleep(self.seconds)
        if self.after is not None:
            self.after()
        if self.fails:
            raise KitError(self.fails)
        self._kept[query.text] = Written(f"points words for {query.text}", 4, 1000 * self.seconds, "live")
        return self._kept[query.text]

    def remembered(self, query: str) -> Written | None:
        return self._kept.get(query)


class Votes(list):
    """Keeps votes in this process."""

    add = list.append


def small_engine(folder: Path, student: Writer | None = None) -> Engine:
    """The engine of a Space that is written into a folder; the base model is a stub, too."""
    write_collection(folder / "collection" / "tinydocs")
    settings = SpaceSettings(
        model="someone/tiny-llama",
        revision=None,
        package=None,
        weights="the Hub",
        adapter="adapter",
        student=STUDENT,
        collection="collection/tinydocs",
        language="en",
        source="a test",
        judgments="Made by hand.",
        retriever="bm25s",
        prompt="api-docs-zero-shot",
        formation="q*5+e",
        max_new_tokens=4,
        split="test",
        hardware="2 CPU cores",
        more_retrievers={"once": ("bm25s", "q*1+e")},
        measured=dict.fromkeys(("plain", "base", "sft", STUDENT), MEASURED),
    )
    recorded = []
    for number, (query, (words, base)) in enumerate(WRITTEN.items()):
        before, after = RANKS[query]
        answers = {
            "plain": Answer("", 0, 1 / before, before),
            "base": Answer(base, 3, 1 / before, before),
            "sft": Answer("words of sft", 3, 1 / before, before),
            STUDENT: Answer(words, 3, 1 / after, after),
        }
        recorded.append(Recorded(f"q{number + 1}", query, number % 2 == 0, answers))
    (folder / SETTINGS).write_text(settings.to_json({}))
    (folder / QUERIES).write_text(to_json(recorded))
    pair = Pair("fit a line", "least squares", "<b>nothing</b>", 1.0, 0.5, 0.5, "ndcg-margin", "train")
    candidates = {"file": Candidates([(0.75, "<b>disk</b>"), (0.5, "paper")], 3)}
    (folder / PAIRS).write_text(pairs_json(Pairs([pair, replace(pair, query="file", margin=0.1)], 2, candidates)))
    engine = Engine(folder)
    engine.systems |= {STUDENT: student or Stub(), "base": Stub()}
    return engine

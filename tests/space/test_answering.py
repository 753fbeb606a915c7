"""Answers step by step: the line, what is there at once, what a browser may send, and what the door refuses."""

import asyncio
import json
import re
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from builders.collections.collection import Query
from builders.errors import KitError
from builders.expanders.trained import QueryExpander
from space.serving.answering import Asked, answers
from space.serving.door import MOST_BYTES, MOST_FILE_BYTES, Door
from space.serving.line import Line
from space.writers import KEPT, ModelWriter, Written
from tests.support.small_engine import STUDENT, Stub, small_engine


def steps(engine, data, is_asked=lambda: True) -> list[str]:
    """The pages of one answer."""

    async def read() -> list[str]:
        return [html async for html in answers(engine, data, is_asked) if html is not None]

    return asyncio.run(read())


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    return small_engine(tmp_path)


def test_first_the_plain_side_then_the_expansion(engine):
    first, last = steps(engine, {"query": "fit  the line", "systems": [STUDENT], "number": 3})
    assert 'data-number="3"' in first and "The model is writing" in first and "lib.polyfit" in first
    assert "words for fit the line" in last and "The model is writing" not in last
    # Decoding is greedy: what was written once is shown at once.
    (again,) = steps(engine, {"query": "fit the line", "systems": [STUDENT]})
    assert "words for fit the line" in again and engine.systems[STUDENT].asked == ["fit the line"]


def test_what_was_recorded_is_shown_at_once_and_run_live_when_told(engine):
    (shown,) = steps(engine, {"query": "store arrays on disk", "systems": [STUDENT]})
    assert "write binary file</textarea>" in shown and "Run live" in shown and engine.systems[STUDENT].asked == []
    *_, live = steps(engine, {"query": "store arrays on disk", "systems": [STUDENT], "live": True})
    assert "words for store arrays on disk" in live and "Run live" not in live


def test_a_system_that_is_not_carried_has_answers_to_test_queries_alone(engine):
    (page,) = steps(engine, {"query": "file", "systems": ["sft"]})
    assert "words of sft</textarea>" in page and "Run live" not in page
    (page,) = steps(engine, {"query": "fit the line", "systems": ["sft"]})
    assert "does not run here" in page and "Run live" not in page and "lib.polyfit" in page


def test_edited_words_are_searched_as_they_are(engine):
    asked = {"query": "fit the line", "systems": [STUDENT], "words": {STUDENT: " save  disk "}}
    (page,) = steps(engine, asked)
    assert ">save disk</textarea>" in page and "<b>edited</b>" in page and "lib.save" in page
    (page,) = steps(engine, asked | {"words": {STUDENT: ""}})
    assert "nothing beyond the query" in page and engine.systems[STUDENT].asked == []


def test_another_retriever_or_formation_searches(engine):
    words = "polynomial polynomial polynomial"
    found = [
        steps(engine, {"query": "file array", "systems": [STUDENT], "words": {STUDENT: words}, "by": by})[0]
        for by in ("bm25s", "once", "no such")
    ]
    ranked = [re.findall(r"<code>([^<]+)</code>", page) for page in found]
    assert ranked[0] == ranked[2] != ranked[1]


def test_whoever_asks_again_gets_no_late_answer(engine):
    wanted = [True]
    engine.systems[STUDENT] = Stub(0.5, after=wanted.clear)
    (first,) = steps(engine, {"query": "fit the line", "systems": [STUDENT]}, lambda: bool(wanted))
    assert "The model is writing" in first and not engine.line._turns


def test_cancelled_asks_no_model(engine):
    (page,) = steps(engine, {"query": "fit the line", "systems": [STUDENT], "cancelled": True})
    assert "Cancelled" in page and "lib.polyfit" in page and engine.systems[STUDENT].asked == []


def test_a_full_line_still_searches_plainly(engine):
    engine.line = Line(1)
    engine.line.join()
    (page,) = steps(engine, {"query": "fit the line", "systems": [STUDENT]})
    assert "The model is busy: 1 wait for it already" in page and "lib.polyfit" in page


def test_a_model_that_cannot_answer_leaves_the_plain_side(engine):
    engine.systems[STUDENT] = Stub(fails="no <model> here")
    *_, page = steps(engine, {"query": "fit the line", "systems": [STUDENT]})
    assert "no &lt;model&gt; here" in page and "lib.polyfit" in page


@pytest.mark.parametrize(
    "data", [None, 7, [], {}, {"query": None}, {"query": {"a": 1}}, {"query": " "}, {"query": "word " * 301}]
)
def test_what_is_no_query_is_one_line(engine, data):
    (page,) = steps(engine, data)
    assert "qe-notice" in page and "The query" in page


def test_a_browser_may_send_anything(engine):
    asked = Asked.read(
        {"query": "q", "systems": [STUDENT, 7, "none", STUDENT], "words": [], "live": 1, "number": "x"}, engine
    )
    assert asked == Asked("q", [STUDENT])
    with pytest.raises(KitError, match="The expansion must be text, not int"):
        Asked.read({"query": "q", "words": {STUDENT: 7}}, engine)


def test_a_line_serves_in_order_and_one_at_a_time():
    line, order, at_work = Line(), [], []

    def work(name: int) -> None:
        at_work.append(name)
        assert len(at_work) == 1
        order.append(name)
        at_work.remove(name)

    async def all_of_them() -> None:
        turns = [line.join() for _ in range(12)]
        assert [turn.ahead for turn in turns[:3]] == [0, 1, 2]
        await asyncio.gather(*(turn.run(lambda name=name: work(name)) for name, turn in enumerate(turns)))

    asyncio.run(all_of_them())
    assert order == list(range(12)) and line.join().seconds < 1


def test_who_gives_up_waiting_frees_the_line_and_who_works_does_not():
    line, begun, go_on = Line(), threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        go_on.wait(10)

    async def give_up() -> None:
        first, second, third = line.join(), line.join(), line.join()
        working, waiting = asyncio.ensure_future(first.run(long)), asyncio.ensure_future(second.run(long))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        assert third.ahead == 2
        waiting.cancel()
        working.cancel()
        await asyncio.gather(waiting, working, return_exceptions=True)
        assert third.ahead == 1, "the thread still works"
        go_on.set()
        while third.ahead:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(give_up(), 20))


def test_a_models_last_answers_are_kept():
    answer = SimpleNamespace(text="words", completion_tokens=1)
    model = SimpleNamespace(prompt=SimpleNamespace(grounding=None), answers=lambda queries, shown: [answer])
    system = ModelWriter(lambda: model)
    for number in range(KEPT + 1):
        system.write(Query("", str(number), "test"), lambda: None)
    assert system.remembered("0") is None and system.remembered("1").text == "words"
    assert isinstance(system.remembered(str(KEPT)), Written)


def test_a_model_for_other_documents_is_the_same_and_remembers_nothing():
    """What a prompt shows of a collection, and what was written with it, is that collection's."""
    loaded = []

    def load() -> QueryExpander:
        loaded.append(QueryExpander("dpo", None, SimpleNamespace(grounding=()), None))
        loaded[0].answers = lambda queries, shown: [SimpleNamespace(text="words", completion_tokens=1)]
        return loaded[0]

    system = ModelWriter(load)
    other = system.elsewhere()
    system.write(Query("", "fit", "test"), lambda: None)
    assert other.remembered("fit") is None and other._using is system._using
    assert other._load() is not loaded[0] and other._load().prompt is loaded[0].prompt and len(loaded) == 1


def test_on_zerogpu_a_gpu_is_lent_for_each_answer(monkeypatch):
    """The package `spaces` is there only on the Hub: it is imported nowhere else."""
    lent = []
    stub = ModuleType("spaces")
    stub.GPU = lambda work: lambda *asked: lent.append(1) or work(*asked)
    answer = SimpleNamespace(text="words", completion_tokens=1)
    model = SimpleNamespace(prompt=SimpleNamespace(grounding=None), answers=lambda queries, shown: [answer])
    monkeypatch.setitem(sys.modules, "spaces", stub)
    for setting, calls in (("", 0), ("1", 2)):
        monkeypatch.setenv("SPACES_ZERO_GPU", setting)
        system = ModelWriter(lambda: model)
        for text in ("one", "two"):
            assert system.write(Query("", text, "test"), lambda: None).text == "words"
        assert len(lent) == calls


def test_tools_read_json(engine):
    """What gradio makes of a function's value for an assistant is its text: that is JSON, no Python object."""
    from gradio.processing_utils import add_root_url

    from space.serving.api import Api

    found = asyncio.run(Api(engine).search("fit the line"))
    (sent,) = add_root_url([found], "http://here", None)
    assert json.loads(str(sent))["expanded"]["hits"] and json.loads(str(sent))["expansion_source"] == "live"
    engine.systems[STUDENT] = Stub(fails="no model here")
    plain = asyncio.run(Api(engine).search("fit the line"))
    assert plain.plain["hits"] and plain.expanded is None and plain.note.startswith("no model here")


FILE = MOST_FILE_BYTES + MOST_BYTES


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("queue/join", MOST_BYTES, 200),
        ("queue/join", MOST_BYTES + 1, 413),
        ("queue/join", 1 << 30, 413),
        ("upload", FILE, 200),
        ("upload/", FILE + 1, 413),
        ("upload", 1 << 30, 413),
    ],
)
def test_the_door_reads_no_more_than_it_lets_through(path, size, status):
    read = sent = 0
    seen = []

    async def app(scope, receive, send):
        message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            seen.append(len(message["body"]))
        await send({"type": "http.response.start", "status": 200})

    async def receive():
        nonlocal read, sent
        part = min(1 << 14, size - read)
        read += part
        return {"type": "http.request", "body": bytes(part), "more_body": read < size}

    async def send(message):
        statuses.append(message.get("status"))

    statuses = []
    asyncio.run(Door(app, takes_files=True)({"type": "http", "path": f"/gradio_api/{path}"}, receive, send))
    most = FILE if "upload" in path else MOST_BYTES
    assert statuses[0] == status and read <= most + (1 << 14)
    assert sum(seen) == (size if status == 200 else 0)

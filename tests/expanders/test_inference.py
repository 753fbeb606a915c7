"""A chat server as expander: what is asked, what is paid, and every fault that a server can have."""

import logging
import time
from datetime import UTC, datetime

import pytest

from builders.errors import KitError
from builders.expanders.expander import Request, Sampling
from builders.expanders.server import retry
from builders.expanders.server.budget import Budget, Prices, Usage
from builders.expanders.server.inference import LEDGER, InferenceExpander
from builders.expanders.server.inference_options import InferenceOptions
from builders.http_failures import retry_after
from builders.prompts.answer_text import split_reasoning
from tests.support.inference_server import Fault, InferenceServer, answer_to, in_seconds, usage


SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=0, max_new_tokens=16, seed=3)
TOKEN = "sk-planted-7f3a9"


@pytest.fixture
def server():
    with InferenceServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.01)


def requests(number: int) -> list[Request]:
    return [
        Request(f"q{n}#0", ({"role": "system", "content": "Be brief."}, {"role": "user", "content": f"query {n}"}), 1)
        for n in range(number)
    ]


def expander(server, folder, **options) -> InferenceExpander:
    settings = {"base_url": server.url, "concurrency": 4, **options}
    return InferenceExpander("acme/teacher", InferenceOptions(**settings), folder)


def ask(server, folder, number=8, **options):
    return {key: one for key, (one,) in expander(server, folder, **options).expand(requests(number), SAMPLING)}


def stopped(server, folder, number=8, **options) -> tuple[str, list[str]]:
    """The line with which it stops, and the keys that were answered before."""
    keys = []
    with pytest.raises(KitError) as stop:
        for key, _ in expander(server, folder, **options).expand(requests(number), SAMPLING):
            keys.append(key)
    return str(stop.value), keys


def test_what_is_asked_and_what_is_read(server, tmp_path):
    asking = expander(server, tmp_path, reasoning_tokens=100, extra_body='{"reasoning_effort": "low"}')
    ((key, (answer,)),) = asking.expand(requests(1), SAMPLING)
    (seen,) = server.seen
    seed = seen.body.pop("seed")
    assert seen.body == {
        "model": "acme/teacher",
        "messages": list(requests(1)[0].messages),
        "max_tokens": 116,
        "temperature": 0.7,
        "top_p": 0.9,
        "stream": False,
        "reasoning_effort": "low",
    }
    assert 0 <= seed < 2**31
    assert key == "q0#0" and answer.text == answer_to({**seen.body, "seed": seed})
    assert (answer.prompt_tokens, answer.completion_tokens, answer.finish_reason) == (4, 9, "stop")
    assert asking.spent == Usage(4, 9)


def test_seeds_differ_and_come_back(server, tmp_path):
    first, second = ask(server, tmp_path), ask(server, tmp_path)
    assert first == second
    assert len({one.body["seed"] for one in server.seen}) == 8
    ask(server, tmp_path, number=1, send_seed=False)
    assert "seed" not in server.seen[-1].body


def test_no_more_requests_than_allowed_are_in_flight(tmp_path):
    with InferenceServer(delay=0.05) as server:
        assert len(ask(server, tmp_path, number=24)) == 24
        assert server.most_busy == 4


def test_no_answer_is_asked_for_ahead_of_those_that_are_safe(server, tmp_path):
    """Four were asked for, one was taken and nothing more: its place stays empty until the next is wanted."""
    expanding = expander(server, tmp_path).expand(requests(20), SAMPLING)
    next(expanding)
    time.sleep(0.5)
    assert len(server.seen) == 4
    next(expanding)
    time.sleep(0.5)
    assert len(server.seen) == 5
    expanding.close()


def test_a_server_may_call_the_model_otherwise(server, tmp_path):
    ask(server, tmp_path, number=1, served_model="/models/teacher")
    assert server.seen[0].body["model"] == "/models/teacher"
    assert expander(server, tmp_path, served_model="/models/teacher").identity.model_id == "acme/teacher"


def test_what_is_done_is_not_asked_for(server, tmp_path):
    asking = expander(server, tmp_path)
    done = {f"q{n}#0" for n in range(7)}
    assert [key for key, _ in asking.expand(requests(8), SAMPLING, done)] == ["q7#0"]
    assert not list(asking.expand(requests(8), SAMPLING, done | {"q7#0"}))
    assert len(server.seen) == 1


@pytest.mark.parametrize("asked", [lambda: "1", lambda: in_seconds(2.2)], ids=["seconds", "date"])
def test_a_storm_of_429_is_waited_out(server, tmp_path, asked):
    server.faults = [Fault(4, status=429, headers={"Retry-After": asked()})]
    started = time.time()
    assert len(ask(server, tmp_path)) == 8
    storm, rest = server.seen[:4], server.seen[4:]
    assert max(one.time for one in storm) < started + 1 < min(one.time for one in rest) + 0.1
    assert len(server.seen) == 12


def test_one_worker_is_told_to_wait_and_all_do(server, tmp_path):
    server.delay = 0.1
    server.faults = [Fault(1, status=429, headers={"Retry-After": "1"})]
    assert len(ask(server, tmp_path, number=12)) == 12
    came = sorted(one.time for one in server.seen)
    assert came[3] < came[0] + 0.5 < came[0] + 1 < came[4] + 0.1


def test_who_waits_is_not_waited_for_when_all_is_lost(server, tmp_path):
    server.faults = [Fault(1, status=503, headers={"Retry-After": "100"}), Fault(1, status=401, delay=0.3)]
    started = time.time()
    line, keys = stopped(server, tmp_path, concurrency=2)
    assert "401" in line and not keys and time.time() - started < 10


def test_who_asks_for_an_hour_is_not_waited_for(server, tmp_path):
    server.faults = [Fault(9, status=429, headers={"Retry-After": "3600"})]
    line, keys = stopped(server, tmp_path)
    assert "asks to wait 3600 s" in line and "come back" in line and not keys


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_passing_failures_are_tried_again(server, tmp_path, status):
    server.faults = [Fault(3, status=status)]
    assert len(ask(server, tmp_path)) == 8
    assert len(server.answered) == 8 and len(server.seen) == 11


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, "planted 400"),
        (401, "token is missing or wrong"),
        (402, "payment is required"),
        (403, "does not allow"),
        (404, "--model"),
        (422, "planted 422"),
    ],
)
def test_a_refusal_stops_and_is_not_tried_again(server, tmp_path, status, hint):
    """One refusal among four in flight: the other three are paid for, so they are waited for and kept."""
    server.delay = 0.1
    server.faults = [Fault(4), Fault(1, status=status), Fault(3, delay=0.2)]
    line, keys = stopped(server, tmp_path, number=50)
    assert hint in line and str(status) in line and "the same command goes on" in line and "\n" not in line
    assert len(server.seen) == 8
    assert len(keys) == len(server.answered) == 7


@pytest.mark.parametrize("fault", [Fault(2, delay=30), Fault(2, drip=0.1)], ids=["silence", "drops"])
def test_a_stall_ends_in_time_and_is_tried_again(server, tmp_path, fault):
    server.faults = [Fault(2, delay=fault.delay, drip=fault.drip)]
    started = time.time()
    assert len(ask(server, tmp_path, request_timeout=0.5)) == 8
    assert time.time() - started < 5


@pytest.mark.parametrize(
    "fault",
    [
        Fault(3, cut=0),
        Fault(3, cut=40),
        Fault(3, body=b"{oh"),
        Fault(3, body=b"<html>busy</html>"),
        Fault(3, body=b"\xff\xfe\x00"),
        Fault(3, body=b"[1, 2]"),
        Fault(3, body=b"7"),
        Fault(3, body=b"{}"),
        Fault(3, body=b'{"choices": []}'),
        Fault(3, body=b'{"choices": [{"message": null}], "usage": 4}'),
        Fault(3, body=b'{"error": {"message": "upstream is gone", "code": 502}}'),
    ],
    ids=lambda fault: f"cut at {fault.cut}" if fault.body is None else repr(fault.body[:12]),
)
def test_broken_answers_are_tried_again_and_may_have_been_paid(server, tmp_path, fault):
    server.faults = [Fault(fault.times, body=fault.body, cut=fault.cut)]
    asking = expander(server, tmp_path)
    assert len(dict(asking.expand(requests(8), SAMPLING))) == 8
    # Three lost answers count at what they may have cost at most: 16 tokens written each.
    assert asking.spent is not None and asking.spent.completion_tokens == 8 * 9 + 3 * 16


@pytest.mark.parametrize(
    "body", [b'{"error": "as the Hub says it"}', b'{"detail": "as the Hub says it"}', b"as the Hub says it"]
)
def test_what_the_server_says_is_passed_on(server, tmp_path, body):
    server.faults = [Fault(9, status=400, body=body)]
    assert "status 400, as the Hub says it" in stopped(server, tmp_path)[0]


def test_patience_ends(server, tmp_path):
    server.faults = [Fault(100, status=500)]
    line, keys = stopped(server, tmp_path, max_retries=2)
    assert "given up after 3 attempts" in line and "planted 500" in line and not keys


def test_a_server_that_is_not_there(tmp_path):
    with InferenceServer() as gone:
        pass
    line, _ = stopped(gone, tmp_path, max_retries=1)
    assert "cannot be reached" in line


def empty(answer):
    answer["choices"][0]["message"]["content"] = None


def test_an_empty_answer_is_asked_for_again_and_then_believed(server, tmp_path):
    server.faults = [Fault(3, change=empty)]
    answers = ask(server, tmp_path, number=1, empty_retries=2)
    assert answers["q0#0"].text == "" and len({one.body["seed"] for one in server.seen}) == 3
    server.faults = [Fault(2, change=empty)]
    assert ask(server, tmp_path, number=1, empty_retries=2)["q0#0"].text


def test_a_model_that_only_thinks_is_noticed(server, tmp_path):
    """Its thoughts have eaten the tokens: the option that gives it more is named, once it is no accident."""

    def thoughts(answer):
        answer["choices"][0]["finish_reason"] = "length"
        answer["choices"][0]["message"] |= {"content": "<think>They ask for", "reasoning_content": None}

    server.faults = [Fault(10_000, change=thoughts)]
    line, keys = stopped(server, tmp_path, number=30, empty_retries=0, reasoning_tokens=4)
    assert "all 8 answers are empty" in line and "--reasoning_tokens (now 4)" in line and len(keys) < 12
    line, _ = stopped(server, tmp_path / "few", number=2, empty_retries=0)
    assert "all 2 answers are empty" in line and "limit of 16 tokens" in line
    server.faults = [Fault(2, change=thoughts)]
    assert len(ask(server, tmp_path / "some", number=4, empty_retries=0)) == 4, "some wrote"


def test_a_server_may_call_the_limit_otherwise(server, tmp_path):
    refused = b'{"error": {"message": "Unsupported parameter: max_tokens. Use max_completion_tokens instead."}}'
    server.faults = [Fault(99, status=400, body=refused, sent="max_tokens")]
    assert all(one.text for one in ask(server, tmp_path, number=8).values())
    good = [one.body for one in server.seen if one.answered]
    # As many were refused as were on the way before the first refusal was read: one to four.
    assert len(good) == 8 and 9 <= len(server.seen) <= 12 and all("max_tokens" not in one for one in good)
    assert {one["max_completion_tokens"] for one in good} == {16}


def test_a_refused_seed_is_named(server, tmp_path):
    server.faults = [Fault(50, status=400, body=b'{"error": {"message": "Unsupported parameter: seed"}}')]
    line, _ = stopped(server, tmp_path, number=2)
    assert "--send_seed false" in line and "Unsupported parameter: seed" in line


def test_a_runaway_is_cut_and_its_price_known(server, tmp_path, caplog):
    def runaway(answer):
        answer["choices"][0]["message"]["content"] = "word " * 10_000
        answer["choices"][0]["finish_reason"] = "stop"
        answer["usage"]["completion_tokens"] = 10_000

    server.faults = [Fault(1, change=runaway)]
    asking = expander(server, tmp_path)
    ((_, (answer,)),) = asking.expand(requests(1), SAMPLING)
    assert answer.text.split() == ["word"] * 16
    assert (answer.completion_tokens, answer.finish_reason) == (16, "length")
    assert asking.spent == Usage(4, 10_000)
    assert "10000 tokens where 16 were asked for" in caplog.text


def test_a_runaway_without_counts_is_cut_by_its_bytes(server, tmp_path):
    def runaway(answer):
        answer["choices"][0]["message"]["content"] = "矩阵" * 5_000
        del answer["usage"]

    server.faults = [Fault(1, change=runaway)]
    answer = ask(server, tmp_path, number=1)["q0#0"]
    assert 10 <= len(answer.text) <= 32 and answer.completion_tokens == 16 and answer.finish_reason == "length"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>hm, 2 < 3</think>\nthe answer", "the answer"),
        ("<think>a</think> one <think>b</think> two", "two"),
        ("opened by the template</think>the answer", "the answer"),
        ("<think>cut by the token limit", ""),
        ("the answer <THINKING>and more", "the answer"),
        ("[THINK]x[/THINK]the answer", "the answer"),
        ("nothing to think", "nothing to think"),
        ("if a<thinker then", "if a<thinker then"),
    ],
)
def test_reasoning_is_no_part_of_the_text(text, left):
    assert split_reasoning(text)[0].strip() == left


def test_reasoning_is_paid_for_and_counted_apart(server, tmp_path):
    def thinking(answer):
        answer["choices"][0]["message"] |= {"content": "short answer", "reasoning_content": "long thoughts"}
        answer["usage"] |= {"completion_tokens": 52, "completion_tokens_details": {"reasoning_tokens": 50}}

    def uncounted(answer):
        answer["choices"][0]["message"]["content"] = "<think>" + "t" * 83 + "</think>" + "a" * 10
        answer["usage"]["completion_tokens"] = 110

    server.faults = [Fault(1, change=thinking), Fault(1, change=uncounted)]
    asking = expander(server, tmp_path, concurrency=1, reasoning_tokens=200)
    first, second = (one for _, (one,) in asking.expand(requests(2), SAMPLING))
    assert (first.text, first.completion_tokens, first.reasoning_tokens) == ("short answer", 2, 50)
    assert (second.text, second.completion_tokens, second.reasoning_tokens) == ("a" * 10, 10, 100)
    assert asking.spent == Usage(8, 162)


def test_half_a_character_is_written_to_no_file(server, tmp_path):
    def half(answer):
        answer["choices"][0]["message"]["content"] = "caf\ud83d"

    server.faults = [Fault(1, change=half)]
    assert ask(server, tmp_path, number=1)["q0#0"].text == "caf?"


@pytest.mark.parametrize(
    "cap",
    [{"budget_tokens": 2000}, {"budget_usd": 0.004, "price_prompt": 2.0, "price_completion": 2.0}],
    ids=["tokens", "money"],
)
def test_the_budget_is_never_exceeded_and_used_up(tmp_path, cap):
    """13 tokens an answer, at most 341 a request before it is answered: what is in flight counts at its most."""
    with InferenceServer(delay=0.01) as server:
        line, keys = stopped(server, tmp_path, number=500, **cap)
        assert "might exceed the budget" in line and "--budget_usd or --budget_tokens" in line
        assert len(keys) == len(server.answered)
        assert 2000 - 341 < server.tokens <= 2000
        again, _ = stopped(server, tmp_path, number=500, **cap)
        assert again == line and len(keys) == len(server.answered), "a spent budget bought more when asked again"


def test_the_budget_counts_what_a_killed_process_had_under_way(tmp_path):
    path = tmp_path / LEDGER
    first = Budget(path, Prices(), max_tokens=100)
    first.settle(first.reserve(Usage(10, 30)), Usage(9, 5))
    first.settle(first.reserve(Usage(10, 30)), None)
    first.reserve(Usage(10, 20))
    with path.open("ab") as file:
        file.write(b'{"request": "cut off')
    second = Budget(path, Prices(), max_tokens=100)
    assert second.spent == Usage(9 + 10 + 10, 5 + 30 + 20)
    assert second.fits(Usage(6, 10)) and not second.fits(Usage(7, 10))
    second.settle(second.reserve(Usage(1, 1)), Usage(1, 1))
    assert Budget(path, Prices()).spent == Usage(30, 56)


def test_a_prompt_larger_than_its_bound_raises_the_bound(server, tmp_path):
    """A server that puts a long text of its own before every prompt is believed the first time."""

    def long(answer):
        answer["usage"]["prompt_tokens"] = 5_000

    server.faults = [Fault(1, change=long)]
    line, keys = stopped(server, tmp_path, number=50, concurrency=1, budget_tokens=9_000)
    assert len(keys) == 1 and "5000 tokens read" in line


def test_the_token_goes_to_the_server_and_nowhere_else(server, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ACME_KEY", TOKEN)
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    said = f'{{"error": {{"message": "Incorrect API key provided: {TOKEN}"}}}}'.encode()
    server.faults = [Fault(1), Fault(1, status=500, body=said), Fault(1, status=401, body=said)]
    line, keys = stopped(server, tmp_path, concurrency=1, api_key_variable="ACME_KEY")
    assert keys == ["q0#0"] and "Incorrect API key provided: ***" in line
    assert {one.headers["authorization"] for one in server.seen} == {f"Bearer {TOKEN}"}
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN not in line + caplog.text + written
    ask(server, tmp_path, number=1)
    assert "authorization" not in server.seen[-1].headers, "the Hub's token was sent to another server"


def test_where_the_token_comes_from(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    assert InferenceOptions().token() == "hf_planted"
    assert InferenceOptions(base_url="http://x", api_key_variable="HF_TOKEN").token() == "hf_planted"
    assert InferenceOptions(base_url="http://x").token() is None
    with pytest.raises(KitError, match="ACME_KEY is not set"):
        InferenceOptions(base_url="http://x", api_key_variable="ACME_KEY").token()
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(KitError, match="need a token: log in"):
        InferenceOptions().token()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_key_variable": TOKEN}, "the NAME of an environment variable"),
        ({"base_url": f"https://user:{TOKEN}@host/v1"}, "no password"),
        ({"base_url": f"https://host/v1?key={TOKEN}"}, "no password and no query"),
        ({"base_url": "host:8000"}, "must begin with http"),
        ({"extra_body": "[1]"}, "JSON object"),
        ({"extra_body": "{'a': 1}"}, "not valid JSON"),
        ({"budget_usd": 1.0}, "needs --price_prompt"),
        ({"price_prompt": -1.0}, "must not be negative"),
        ({"concurrency": 0}, "at least 1"),
        ({"base_url": "http://host", "bill_to": "acme"}, "--bill_to is for Inference Providers"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(KitError, match=message) as refusal:
        InferenceExpander("acme/teacher", InferenceOptions(**options), tmp_path)
    assert TOKEN not in str(refusal.value)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def online(monkeypatch):
    """The Hub's switch as a user has it, while nothing of the Hub can be reached."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_planted")


@pytest.mark.usefixtures("online")
def test_inference_providers_are_asked_through_the_hubs_router(server, tmp_path, monkeypatch):
    """The client's own route, turned to this machine."""
    from huggingface_hub.inference._providers import CONVERSATIONAL_AUTO_ROUTER

    monkeypatch.setattr(CONVERSATIONAL_AUTO_ROUTER, "base_url", server.url.removesuffix("/v1"))
    asking = InferenceExpander("acme/teacher", InferenceOptions(bill_to="acme"), tmp_path)
    assert len(dict(asking.expand(requests(2), SAMPLING))) == 2
    assert asking.identity.provider == "auto"
    for one in server.seen:
        assert one.body["model"] == "acme/teacher"
        assert one.headers["authorization"] == "Bearer hf_planted" and one.headers["x-hf-bill-to"] == "acme"


def test_inference_providers_need_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    with pytest.raises(KitError, match="unset HF_HUB_OFFLINE"):
        list(InferenceExpander("acme/teacher", InferenceOptions(), tmp_path).expand(requests(1), SAMPLING))


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize(
    ("token", "provider", "message"), [("sk-1", None, "auto-router"), ("hf_1", "acme", "not supported")]
)
def test_providers_that_cannot_be_asked_are_refused_at_once(tmp_path, monkeypatch, token, provider, message):
    monkeypatch.setenv("HF_TOKEN", token)
    asking = InferenceExpander("acme/teacher", InferenceOptions(provider=provider), tmp_path)
    with pytest.raises(KitError, match=message):
        list(asking.expand(requests(2), SAMPLING))
    assert asking.spent == Usage()


def test_retry_after_is_read_as_the_standard_has_it():
    now = datetime(2015, 10, 21, 7, 28, tzinfo=UTC)
    assert retry_after("120", now) == 120
    assert retry_after("Wed, 21 Oct 2015 07:28:30 GMT", now) == 30
    assert retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now) == 0
    assert retry_after("soon", now) is None and retry_after(None, now) is None and retry_after("-5", now) is None


def test_usage_of_the_test_server_is_what_the_ledger_says(server, tmp_path):
    asking = expander(server, tmp_path)
    list(asking.expand(requests(20), SAMPLING))
    assert asking.spent is not None and asking.spent.tokens == server.tokens
    assert server.tokens == sum(usage(one.body)["total_tokens"] for one in server.seen)

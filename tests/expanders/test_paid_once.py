"""Killed at any moment and started again: the same dataset, and no answer that was on disk is asked for again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders.artifacts.files import file_hash
from tests.support.commands import ROOT, command_here
from tests.support.inference_server import Fault, InferenceServer, usage
from tests.support.word_collection import word_collection


QUERIES, SAMPLES, CONCURRENCY = 24, 2, 4
REQUESTS = QUERIES * SAMPLES * 2  # Two prompts.
TOKEN = "sk-planted-51c0d"


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> Path:
    return word_collection(tmp_path_factory.mktemp("collection") / "words", QUERIES + 4)


def arguments(server, collection, folder, *more) -> list[str]:
    asked = {
        "expander": "inference",
        "base_url": server.url,
        "model": "acme/teacher",
        "api_key_variable": "ACME_KEY",
        "concurrency": CONCURRENCY,
        "price_prompt": 1.0,
        "price_completion": 2.0,
        "collection": collection,
        "num_train": QUERIES,
        "samples": SAMPLES,
        "select": "all",
        "output_dir": folder,
    }
    flags = [str(part) for name, value in asked.items() for part in (f"--{name}", value)]
    prompts = ["--prompts", "web-passage-zero-shot", "web-passage-few-shot"]
    return ["-m", "builders", "expansions", *flags, *prompts, *more]


def build(server, collection, folder, *more):
    return command_here(*arguments(server, collection, folder, *more), ACME_KEY=TOKEN)


def names_on_disk(folder: Path) -> set[str]:
    """The first word of every answer in the log: the name of the request that it answers."""
    names = set()
    for log in folder.with_name(f"{folder.name}.work").glob("*-0.jsonl"):
        for line in log.read_bytes().split(b"\n")[:-1]:
            (answer,) = json.loads(line)["answers"]
            names.add(answer["text"].split()[0])
    return names


def start_and_kill(server, collection, folder, after: int, pause: float, kill: int = signal.SIGKILL):
    """Start the command and kill it when the server has given so many answers, and a moment later."""
    with subprocess.Popen(
        [sys.executable, *arguments(server, collection, folder)],
        cwd=ROOT,
        env={**os.environ, "ACME_KEY": TOKEN},
        stderr=subprocess.PIPE,
        text=True,
        # Shells start background jobs with Ctrl-C switched off, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while len(server.answered) < after and process.poll() is None:
            time.sleep(0.002)
        time.sleep(pause)
        process.send_signal(kill)
        _, printed = process.communicate()
    return process.returncode, printed


def tables(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in sorted(folder.rglob("*.parquet"))}


def check_kills(collection, tmp_path, moments: list[tuple[int, float]]) -> None:
    with InferenceServer(delay=0.02) as undisturbed:
        assert build(undisturbed, collection, tmp_path / "undisturbed").returncode == 0
        assert len(undisturbed.answered) == len(set(undisturbed.answered)) == REQUESTS

    folder = tmp_path / "killed"
    found: list[tuple[set[str], int]] = []  # After each kill: what was on disk, and how many requests had come.
    with InferenceServer(delay=0.02) as server:
        for after, pause in moments:
            code, printed = start_and_kill(server, collection, folder, after, pause)
            assert code == -signal.SIGKILL, printed
            assert not folder.exists()
            safe, asked = names_on_disk(folder), len(server.seen)
            assert len(set(server.answered) - safe) <= CONCURRENCY * len(moments)
            found.append((safe, asked))
        done = build(server, collection, folder)
        assert done.returncode == 0, done.stderr
        for safe, asked in found:
            again = safe & {one.name for one in server.seen[asked:]}
            assert not again, f"{len(again)} answers were on disk and asked for again"
        assert len(server.answered) <= REQUESTS + CONCURRENCY * len(moments)
        paid = sum(usage(one.body)["total_tokens"] for one in server.seen)
        timing, calm = (json.loads((one / "timing.json").read_text()) for one in (folder, tmp_path / "undisturbed"))
        assert timing["resumed"] and not calm["resumed"]
        spent = timing["spent"]
        assert sum(spent.values()) >= paid, "something was paid for and not accounted for"

        asked = len(server.seen)
        (folder / "build.json").unlink()
        assert build(server, collection, folder).returncode == 0
        assert len(server.seen) == asked, "a replay with the same settings made requests"

    assert tables(folder) == tables(tmp_path / "undisturbed") and tables(folder)
    ours, theirs = (json.loads((one / "build.json").read_text()) for one in (folder, tmp_path / "undisturbed"))
    assert ours.pop("command") != theirs.pop("command")
    assert ours == theirs and ours["cost"]["usd"] > 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"acme/teacher" in written and TOKEN.encode() not in written


def test_three_kills_cost_no_answer_that_was_there(collection, tmp_path):
    check_kills(collection, tmp_path, [(1, 0.0), (REQUESTS // 3, 0.007), (REQUESTS // 2 + 5, 0.013)])


@pytest.mark.slow
def test_twenty_random_kills_cost_no_answer_that_was_there(collection, tmp_path):
    draw = random.Random(5)
    answers = sorted(draw.sample(range(REQUESTS - CONCURRENCY), 20))
    check_kills(collection, tmp_path, [(after, draw.uniform(0, 0.03)) for after in answers])


def test_ctrl_c_ends_well(collection, tmp_path):
    with InferenceServer(delay=0.02) as server:
        server.faults = [Fault(20), Fault(CONCURRENCY, delay=60)]
        started = time.time()
        code, printed = start_and_kill(server, collection, tmp_path / "out", 20, 0.3, signal.SIGINT)
        assert code == 130 and "run the same command again to continue" in printed and "Traceback" not in printed
        assert time.time() - started < 50, "it waited for answers that nobody wants"
        assert len(names_on_disk(tmp_path / "out")) == 20


def test_more_samples_ask_only_for_the_new_ones(collection, tmp_path):
    with InferenceServer() as server:
        line = build(server, collection, tmp_path / "out", "--budget_tokens", "4000")
        assert line.returncode == 2 and "might exceed the budget" in line.stderr and TOKEN not in line.stderr
        kept = len(server.answered)
        assert 0 < kept == len(names_on_disk(tmp_path / "out")) < REQUESTS
        assert build(server, collection, tmp_path / "out", "--samples", "3").returncode == 0
        assert len(server.answered) == len(set(server.answered)) == QUERIES * 3 * 2
        card = (tmp_path / "out/README.md").read_text()
        cost = json.loads((tmp_path / "out/build.json").read_text())["cost"]
        assert cost["prompt_tokens"] + cost["completion_tokens"] == server.tokens
        assert cost["usd"] == pytest.approx((cost["prompt_tokens"] + 2 * cost["completion_tokens"]) / 1e6)
        assert (
            f"{cost['prompt_tokens']} tokens read, {cost['completion_tokens']} written: {cost['usd']:.4f} US" in card
        )

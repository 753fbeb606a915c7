"""Benchmarks of speed: the one form of what they measure, and the one of grading in small."""

import argparse
import json
import re
import subprocess

import pytest

from benchmarks import grading, growth, startup
from benchmarks.support import timing
from tests.support.commands import ROOT
from tests.support.inference_server import WORDS
from tests.support.word_collection import word_collection


def test_systems_are_measured_in_turn_and_the_first_round_does_not_count():
    asked = []
    values = timing.in_turn({name: lambda name=name: asked.append(name) or len(asked) for name in ("ours", "b")}, 2)
    assert asked == ["ours", "b"] * 3 and values == {"ours": [3, 5], "b": [4, 6]}


def test_ratios_say_how_many_times_better_ours_is():
    by_time = timing.rows_of("x", "s", {"ours": [1.0, 9.0, 2.0], "b": [4.0]})
    assert [(row["median"], row["ratio_to_ours"]) for row in by_time] == [(2.0, 1.0), (4.0, 2.0)]
    by_rate = timing.rows_of("x", "tokens/s", {"ours": [10.0], "b": [4.0]})
    assert [row["ratio_to_ours"] for row in by_rate] == [1.0, 2.5]


def test_a_report_is_a_table_and_json_that_says_what_is_not_met(tmp_path, capsys):
    args = argparse.Namespace(quick=False, output=tmp_path / "r.json")
    rows = timing.rows_of("x", "s", {"ours": [1.0], "b": [4.0]})
    timing.report("grading", rows, [timing.at_least("x", 8, 4.0), timing.at_most("y", 5, 4.0)], args, kit_before="abc")
    found = json.loads((tmp_path / "r.json").read_text())
    assert [one["met"] for one in found["targets"]] == [False, True] and found["rows"] == rows
    assert found["kit_before"] == "abc" and "CPU core" in found["machine"] and found["code_version"]
    assert "**no**" in capsys.readouterr().out.replace("\\", "")


def test_every_system_grades_the_same_candidates(tmp_path):
    folder = word_collection(tmp_path / "words", 40)
    lines = (folder / "queries.jsonl").read_text().splitlines()
    queries = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    qrels = {name: {name.replace("q", "d"): 1} for name in queries}
    pairs = [(name, f"{WORDS[number % 7]} page{number}") for name in queries for number in range(5)]
    task = {"collection": str(folder), "queries": queries, "qrels": qrels, "pairs": pairs}
    (tmp_path / "task.json").write_text(json.dumps(task))
    found = {}
    for system in (grading.KIT, grading.PLAIN, grading.BM25S):
        with grading.Worker(system, tmp_path / "task.json", ROOT, {}) as worker:
            worker.wait()
            assert worker.ask("run") > 0 and worker.ask("cpu") > 0 and worker.ask("peak") > 20
            found[system] = worker.ask("ndcg")
    assert found[grading.KIT] == found[grading.PLAIN] and len(found[grading.KIT]) == len(pairs)
    # bm25s breaks ties in another way, and its list of stop words is another.
    assert 0 < sum(found[grading.KIT]) < len(pairs)
    assert abs(sum(found[grading.KIT]) - sum(found[grading.BM25S])) < 0.1 * len(pairs)


def test_candidates_of_pydocs_come_query_by_query():
    task = grading.pydocs_task(60)
    assert [query for query, _ in task["pairs"]] == sorted(10 * [*task["queries"]]) and len(task["queries"]) == 6
    assert set(task["qrels"]) == set(task["queries"])


def test_growth_says_whether_time_is_in_proportion_and_memory_flat():
    linear = {1_000: {"s": 1.0, "MiB": 100.0}, 3_000: {"s": 3.0, "MiB": 100.0}, 9_000: {"s": 9.0, "MiB": 120.0}}
    assert all(one["met"] for one in growth.checks("grading", linear))
    worse = linear | {9_000: {"s": 27.0, "MiB": 300.0}}
    assert not any(one["met"] for one in growth.checks("grading", worse))
    assert growth.plot({"grading": linear}).startswith(b"\x89PNG")


def test_every_start_is_one_that_python_makes():
    for command, bound in startup.STARTS.values():
        assert bound > 0 and command[0] in ("-m", "-c")
    startup.start(["-c", "import builders"], ROOT)
    with pytest.raises(subprocess.CalledProcessError):
        startup.start(["-c", "import no_such_module"], ROOT)


def test_make_bench_runs_every_benchmark_of_speed():
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("SPEED :=")]
    form = re.compile(r"from benchmarks.support.timing import .*\barguments\b")
    modules = (ROOT / "benchmarks").glob("*.py")
    # That of a GPU is for machines that have one.
    assert {*line.split()[2:], "gpu"} == {one.stem for one in modules if form.search(one.read_text())}

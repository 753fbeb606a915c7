"""Makes the dozen lines that a run and the demo end with, of the files of an evaluation alone."""

import json
import sys

import pytest

from builders.cli import console_command
from builders.errors import KitError
from builders.grading.comparison import parquet_bytes
from tests.support.evaluated_folders import evaluated, sft_and_dpo
from train.reports.gain_summary import gain_summary
from train.reports.results_table import markdown_table


# Query id → nDCG@10 and rank without and with the student's words.
QUERIES = {
    "q0": (0.0, 101, 0.9, 2),
    "q1": (0.5, 12, 0.7, 3),
    "q2": (0.5, 4, 0.6, 4),
    "q3": (0.5, 5, 0.1, 40),
    "q4": (0.5, 5, 0.5, 5),
}
# The student says nothing to the shortest of them.
SILENT = "q4"


def measured(folder, queries=QUERIES):
    """The evaluation of two adapters, with these queries behind the figures."""
    evaluated(folder / "results", sft_and_dpo(folder))
    rows = []
    for system in ("plain", "sft", "dpo"):
        for name, (before, rank, after, moved) in queries.items():
            written = system != "plain"
            rows.append(
                {
                    "system": system,
                    "query_id": name,
                    "query": f"find {name}\x1b[31m" if name != SILENT else "find",
                    "expansion": f"FIND the word{name} the answer" if written and name != SILENT else "",
                    "ndcg_at_10": after if written else before,
                    "delta_ndcg_at_10": after - before if written else 0.0,
                    "gold_rank": moved if written else rank,
                }
            )
    (folder / "results/per_query.parquet").write_bytes(parquet_bytes(rows))
    return folder / "results"


def test_it_says_what_was_searched_gained_and_harmed_and_shows_three_queries(tmp_path):
    folder = measured(tmp_path)
    lines = gain_summary(folder, "make space").strip().splitlines()
    told = {line[:11].strip(): line[12:] for line in lines}
    assert told["searched"].startswith("73 test queries of tiny with bm25s")
    assert told["before"].startswith("nDCG@10 0.5316")
    assert told["after"] == ("nDCG@10 0.4988, with the words of dpo: -0.0329 (95 % interval -0.0612 … -0.0129: worse)")
    assert told["beside it"] == "pyserini+rm3 0.5450, base 0.5411, sft 0.5934"
    assert told["queries"] == "10 helped, 5 hurt, 58 unchanged"
    assert told["most helped"] == "“find q0[31m” + “the wordq0 answer”: rank beyond 100 → 2"
    assert told["typical"].endswith("“the wordq1 answer”: rank 12 → 3")
    assert told["most hurt"].endswith("“the wordq3 answer”: rank 5 → 40")
    assert told["next"] == f"{console_command()} expand {tmp_path}/dpo 'find q0[31m'; make space"
    assert told["unseen"] == (
        "42 queries whose documents no train query is judged for: -0.0032 (95 % interval -0.0238 … +0.0184: chance "
        "could do that)"
    )
    assert 8 <= len(lines) <= 12 and "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("delta", "p", "verdict"),
    [
        (-0.0303, 0.0004, "better still, +0.0303 (p < 0.001)"),
        (0.0303, 0.0123, "dpo is better, -0.0303 (p = 0.012)"),
        (-0.0303, 0.0512, "no clear difference to dpo, +0.0303 (p = 0.051)"),
        (0.0, 1.0, "no clear difference to dpo, +0.0000 (p = 1.000)"),
    ],
)
def test_the_words_of_the_prompt_without_a_model_are_never_passed_over(tmp_path, delta, p, verdict):
    folder = measured(tmp_path)
    results = json.loads((folder / "results.json").read_text())
    systems = results["systems"]
    systems["judged alone"] = {**systems["base"], "ndcg_at_10": 0.5555}
    systems["dpo"]["against"]["judged alone"] = {"delta_ndcg_at_10": delta, "p_value": 0.0001, "p_corrected": p}
    results["shown"] = "judged alone"
    systems["dpo"]["leakage"]["unseen_gold"] = {"queries": 0}
    (folder / "results.json").write_text(json.dumps(results))
    told = gain_summary(folder)
    assert f"no model    nDCG@10 0.5555, with all words of the prompt (judged alone): {verdict}\n" in told
    assert "judged alone 0.5555" not in told and len(told.strip().splitlines()) <= 12
    assert "unseen      no query: documents of each are judged for a train query, too\n" in told


def test_the_command_to_go_on_with_works_as_it_is_pasted(tmp_path, monkeypatch):
    """By its name only where the shell finds it; else by its path, which is short where it lies below."""
    place = tmp_path / ".venv/bin"
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert console_command() == "python -m qexpand"
    place.mkdir(parents=True)
    (place / "qexpand").write_text("#!/bin/sh\n")
    (place / "qexpand").chmod(0o755)
    assert console_command() == f"{place}/qexpand"
    monkeypatch.chdir(tmp_path)
    assert console_command() == ".venv/bin/qexpand"
    monkeypatch.setenv("PATH", str(place))
    assert console_command() == "qexpand"


def test_where_the_best_document_stays_the_measure_tells(tmp_path):
    lines = gain_summary(measured(tmp_path, {"q2": QUERIES["q2"]}))
    assert "“the wordq2 answer”: nDCG@10 0.50 → 0.60" in lines and "typical" not in lines and "hurt  " not in lines
    other_way = {name: QUERIES[name] for name in ("q0", "q1")} | {"q2": (0.5, 1, 0.6, 2)}
    lines = gain_summary(measured(tmp_path / "helped", other_way))
    assert "least gain  “find q2[31m” + “the wordq2 answer”: nDCG@10 0.50 → 0.60" in lines


@pytest.mark.parametrize(("name", "said"), [("bm25s+rm3", True), ("bm25s+rm3:2:20:0.6", False)])
def test_the_table_says_of_feedback_that_nobody_tuned_it(tmp_path, name, said):
    text = (measured(tmp_path) / "results.json").read_text().replace("pyserini+rm3", name)
    assert ("which nobody tuned on this collection" in markdown_table(json.loads(text))) == said


def test_without_a_student_or_results_it_says_so(tmp_path):
    with pytest.raises(KitError, match="no results there"):
        gain_summary(tmp_path)
    folder = measured(tmp_path)
    results = json.loads((folder / "results.json").read_text())
    results["settings"]["adapters"] = []
    (folder / "results.json").write_text(json.dumps(results))
    with pytest.raises(KitError, match="no student was evaluated"):
        gain_summary(folder)

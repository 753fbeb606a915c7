"""Answers are on disk before they count, and a line cut short costs one answer, no more."""

import json

import pytest

from builders.expanders.expander import Expansion
from builders.expanders.generation_log import GenerationLog


ANSWERS = [Expansion("naïve – “text”\nwith\u2028breaks", 12, 3, "stop"), Expansion("", 12, 1, "length")]


def test_what_was_written_is_read_back(tmp_path):
    log = GenerationLog(tmp_path, {"seed": 1})
    log.append("q:1", ANSWERS)
    assert GenerationLog(tmp_path, {"seed": 1}).answers == {"q:1": ANSWERS}


def test_the_likelihood_is_kept_and_a_log_from_before_it_is_read(tmp_path):
    known = [Expansion("sort", 12, 3, "stop", mean_logprob=-1.0 / 3)]
    log = GenerationLog(tmp_path, {})
    log.append("q:1", known)
    log.append("q:2", ANSWERS)
    assert GenerationLog(tmp_path, {}).answers == {"q:1": known, "q:2": ANSWERS}
    lines = [json.loads(line) for line in log.path.read_text().split("\n")[:-1]]
    for answer in (answer for line in lines for answer in line["answers"]):
        del answer["mean_logprob"]
    log.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = GenerationLog(tmp_path, {}).answers
    assert again == {"q:1": [Expansion("sort", 12, 3, "stop")], "q:2": ANSWERS}
    assert again["q:1"][0].mean_logprob is None


def test_other_settings_have_a_log_of_their_own(tmp_path):
    GenerationLog(tmp_path, {"seed": 1}).append("q:1", ANSWERS)
    assert GenerationLog(tmp_path, {"seed": 2}).answers == {}
    assert GenerationLog(tmp_path, {"seed": 1}).answers


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_line_cut_short_is_dropped_and_written_again(tmp_path, kept):
    log = GenerationLog(tmp_path, {})
    log.append("q:1", ANSWERS)
    whole = log.path.read_bytes()
    log.append("q:2", ANSWERS)
    second = log.path.read_bytes()[len(whole) :]
    log.path.write_bytes(whole + second[:kept].rstrip(b"\n")[:-1])
    again = GenerationLog(tmp_path, {})
    assert set(again.answers) == {"q:1"} and log.path.read_bytes() == whole
    again.append("q:2", ANSWERS)
    assert set(GenerationLog(tmp_path, {}).answers) == {"q:1", "q:2"}


def test_a_line_without_its_end_is_no_answer(tmp_path):
    log = GenerationLog(tmp_path, {})
    log.append("q:1", ANSWERS)
    log.append("q:2", ANSWERS)
    log.path.write_bytes(log.path.read_bytes()[:-1])
    again = GenerationLog(tmp_path, {})
    assert set(again.answers) == {"q:1"}
    again.append("q:3", ANSWERS)
    assert set(GenerationLog(tmp_path, {}).answers) == {"q:1", "q:3"}


def test_every_process_knows_the_answers_of_all_and_mends_only_its_own_file(tmp_path):
    first, second = GenerationLog(tmp_path, {}), GenerationLog(tmp_path, {}, process=1)
    first.append("q:1", ANSWERS)
    second.append("q:2", ANSWERS)
    for log in (first, second):
        with log.path.open("ab") as file:
            file.write(b'{"key": "cut off')
    torn = second.path.read_bytes()
    assert set(GenerationLog(tmp_path, {}).answers) == {"q:1", "q:2"}
    assert first.path.read_bytes().endswith(b"\n") and second.path.read_bytes() == torn
    assert set(GenerationLog(tmp_path, {}, process=2).answers) == {"q:1", "q:2"}

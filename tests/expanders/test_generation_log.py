"""Answers are on disk before they count, and a line cut short costs one answer, no more."""

import pytest

from builders.expanders.expander import Expansion
from builders.expanders.generation_log import GenerationLog


ANSWERS = [Expansion("naïve – “text”\nwith\u2028breaks", 12, 3, "stop"), Expansion("", 12, 1, "length")]


def test_what_was_written_is_read_back(tmp_path):
    log = GenerationLog(tmp_path, {"seed": 1})
    log.append("q:1", ANSWERS)
    assert GenerationLog(tmp_path, {"seed": 1}).answers == {"q:1": ANSWERS}


# As earlier versions wrote them: before there were reasoning tokens, and while answers had a likelihood.
OLD_LINES = (
    '{"key": "q:1", "answers": [{"text": "sort", "prompt_tokens": 12, "completion_tokens": 3, '
    '"finish_reason": "stop"}]}',
    '{"key": "q:2", "answers": [{"text": "list", "prompt_tokens": 9, "completion_tokens": 2, '
    '"finish_reason": "length", "reasoning_tokens": 7, "mean_logprob": -0.3333333333333333}]}',
)


def test_answers_of_older_logs_are_taken_and_their_file_stays_as_it_is(tmp_path):
    log = GenerationLog(tmp_path, {"seed": 1})
    assert log.path.name == "a4bbadc1c78966d2-0.jsonl", "the name under which old answers lie"
    log.path.write_text("".join(f"{line}\n" for line in OLD_LINES))
    before = log.path.read_bytes()
    again = GenerationLog(tmp_path, {"seed": 1})
    old = {"q:1": [Expansion("sort", 12, 3, "stop")], "q:2": [Expansion("list", 9, 2, "length", reasoning_tokens=7)]}
    assert again.answers == old and log.path.read_bytes() == before
    again.append("q:3", ANSWERS)
    assert GenerationLog(tmp_path, {"seed": 1}).answers == {**old, "q:3": ANSWERS}


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

"""Answers are on disk before they count, and a line cut short costs one answer, no more."""

import pytest

from builders.expanders.expander import Expansion
from builders.expanders.generation_log import GenerationLog


ANSWERS = [Expansion("naïve – “text”\nwith\u2028breaks", 12, 3, "stop"), Expansion("", 12, 1, "length")]


def test_what_was_written_is_read_back(tmp_path):
    log = GenerationLog(tmp_path, {"seed": 1})
    log.append("q:1", ANSWERS)
    assert GenerationLog(tmp_path, {"seed": 1}).answers == {"q:1": ANSWERS}


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

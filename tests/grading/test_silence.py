"""Shares of expansions that say nothing: in rows and tables, where the results have them."""

from builders.collections.collection import Query
from builders.grading.comparison import silence_row, system_row, table_lines
from builders.grading.grader import Grade


QUERIES = [Query(str(number), "sort a list", "test") for number in range(4)]


def test_an_echo_counts_as_silence():
    told = silence_row(QUERIES, ["", "A list. Sort!", "sort by key", " . "])
    assert told == {"silent": 3 / 4, "echoes": 1 / 4}


def test_tables_have_the_columns_where_the_results_do():
    grades = [Grade(0.5, 0.5, 0.5, 0.5, 2)] * 4
    plain = system_row(grades, grades, 0)
    assert not any("echoes" in line for line in table_lines({"plain": plain}))
    lines = table_lines({"plain": plain, "sft": {**plain, "silent": 0.75, "echoes": 0.153}})
    assert lines[0].endswith("| no new word | echoes |")
    assert lines[2].endswith("|  |  |") and lines[3].endswith("| 75.0 % | 15.3 % |")

"""The table of test queries: every one of them, as HTML and as a file."""

import csv
import io
import re

from space.recorded import Answer, Recorded
from space.tabs.queries_table import queries_csv, queries_html


def measured(number: int, query: str, before: float, after: float) -> Recorded:
    answers = {
        "plain": Answer("", 0, before, 4),
        "dpo": Answer("words", 2, after, None if after < before else 1),
    }
    return Recorded(f"q{number}", query, number % 2 == 0, answers)


RECORDED = [
    measured(1, "<script>alert(1)</script>", 0.5, 0.5),
    measured(2, "=1+1", 0.5, 0.25),
    measured(3, "fit", 0.25, 1.0),
]


def test_every_query_stands_in_the_table_the_largest_gain_first():
    page = queries_html(RECORDED, "dpo")
    assert re.findall(r'<tr data-kind="(\w+)" data-seen="(\w+)"', page) == [
        ("helped", "no"),
        ("unchanged", "no"),
        ("hurt", "yes"),
    ]
    assert "+0.75" in page and "-0.25" in page and "4 → 1" in page and "4 → &gt;100" in page
    assert "1 helped, 1 hurt, 1 unchanged" in page and page.count("<rect") == 2 and "3 queries" in page
    assert "<script>" not in page and 'data-query="&lt;script&gt;' in page
    assert "Nothing was recorded" in queries_html(RECORDED, "another")


def test_the_file_holds_numbers_and_no_formula():
    head, *rows = csv.reader(io.StringIO(queries_csv(RECORDED, ["dpo"])))
    assert head == ["query id", "query", "seen in training", "plain nDCG@10", "plain rank", "dpo nDCG@10", "dpo rank"]
    assert rows[1] == ["q2", "'=1+1", "yes", "0.5", "4", "0.25", ""]

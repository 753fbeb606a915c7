"""Data in Markdown stands as the text that it is, read by a Markdown parser of somebody else."""

from __future__ import annotations

import pytest

from builders.artifacts.markdown import Markdown, code, hub_link, python, table, text
from tests.support.markdown_reader import shape, words


TEXTS = [
    *("plain", "", "0.5", "-0.3", "+0.0123 (-0.01 … 0.02)", "< 0.001", "a < b & c", "x_y_z", "q*5+e", "95 % interval"),
    *("<script>alert(1)</script>", "<!-- a mark -->", "<https://evil.example>", "a <b", "&lt; &#60; & &amp;"),
    *("# heading", "####### seven", "- item", "+ item", "* item", "1. item", "2) item", "> quote", "---", "- - -"),
    *("===", "a\n===", "a\n---\nb", "a\r\n\r\nb", "a\u2028b", "    indented", "\tindented", "| a | b |", "a|b\\|c"),
    *("*a*", "**a**", "_a_", "__a__", "__init__", "~~a~~", "`a`", "``", "```", "~~~\na\n~~~", "a ` b", " ` "),
    *("[a](http://evil.example)", "![a](http://evil.example)", "[a][b]", "[a]: http://evil.example", "[ ] task"),
    *("\\", "\\*", "C:\\path\\*", "\\\\", "a\\", "{{ 7 * 7 }}", "{% raw %}", "---\nlicense: mit\n---\n", "Ü ★ 日本"),
]
STANDS = {
    "alone": "{}",
    "in a sentence": "before {} after",
    "in an item": "- item\n  {}\n",
    "in a table": "| a | b |\n| --- | --- |\n| x | {} |\n",
    "in a heading": "# {}",
}


@pytest.mark.parametrize("stands", STANDS)
@pytest.mark.parametrize("value", TEXTS)
def test_a_text_is_read_as_it_is(value: str, stands: str) -> None:
    template = STANDS[stands]
    for shown, likeness in ((text(value), "word"), (code(value), "`word`")) if value else ():
        written, like = template.format(shown), template.format(likeness)
        assert shape(written) == shape(like), written
        assert words(written) == words(like).replace("word", " ".join(value.split())), written


def test_what_is_markdown_already_stays_so() -> None:
    assert text(Markdown("**a**")) == "**a**" and text(text("*a*")) == text("*a*")
    assert table(["a", "b"], [["*x*", Markdown("**y**")]]) == ["| a | b |", "| --- | --- |", "| \\*x\\* | **y** |"]


def test_names_of_models_are_links_and_others_are_not() -> None:
    assert hub_link("a/b-1.5_x") == "[a/b-1.5_x](https://huggingface.co/a/b-1.5_x)"
    for name in ("tiny", "a/b](http://evil.example)", "a/b/c", "a/b c", "a/<b>"):
        assert not any(kind == "link_open" for kind, _ in shape(f"x {hub_link(name)}")), name


def test_source_of_python_is_one_line() -> None:
    for value in TEXTS:
        assert eval(python(value)) == value and "\n" not in python(value)

"""Adds a source of collections from a file outside of the packages, by one line, and runs it through the commands."""

from pathlib import Path

import pytest

from tests.support.collection_folders import write
from tests.support.commands import ROOT, command, script_here


OWN = '''
from pathlib import Path

from builders.__main__ import main
from builders.cli import run
from builders.collections import load
from builders.collections.collection import Collection, Document, Query
from builders.collections.source import Source


def load_faq(name, language):
    """Questions with their answers below them: each answer is a document, judged for its own question."""
    path = Path(name.removeprefix("faq:"))
    blocks = [block.splitlines() for block in path.read_text().strip().split("\\n\\n")]
    return Collection(
        name=path.stem,
        language=language or "en",
        documents=[Document(f"a{n}", "", answer) for n, (_, answer) in enumerate(blocks)],
        queries={f"q{n}": Query(f"q{n}", question, "test") for n, (question, _) in enumerate(blocks)},
        qrels={f"q{n}": {f"a{n}": 1} for n in range(len(blocks))},
        source="a page of questions",
        licence="public domain",
        judgments="An answer is relevant to its question.",
    )


load.SOURCES += (Source(("faq:FILE",), "questions and answers", lambda name: name.startswith("faq:"), load_faq),)
run(main)
'''
PAGE = """how high is the tower
The tower is 324 metres high.

when was the bridge built
Engineers finished the bridge in 1937.

who lights the tower
Lamps burn from dusk on.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, {"own.py": OWN, "town.txt": PAGE})


def own(folder: Path, *arguments: str):
    return script_here("builders.collections.load.SOURCES", "own.py", "grade", *arguments, cwd=folder)


def test_a_source_of_ones_own_is_graded_to_a_table(folder):
    """By hand: two answers share a word with no question but their own, or most with it; the third shares none."""
    done = own(folder, "--collection", "faq:town.txt")
    assert done.returncode == 0, done.stderr
    assert "3 test queries of town, bm25s" in done.stdout and "| plain | 0.6667 | 0.6667 | 0.6667 |" in done.stdout


def test_it_is_named_in_help_and_errors(folder):
    # In a process of its own: what names a collection is said when the command is imported.
    assert "faq:FILE" in command("own.py", "grade", "--help", cwd=folder, PYTHONPATH=str(ROOT)).stdout
    done = own(folder, "--collection", "wiki:town.txt")
    assert done.returncode == 2 and "no collection 'wiki:town.txt': give pydocs" in done.stderr
    assert "faq:FILE" in done.stderr and done.stderr.count("\n") == 1

"""Adds a retriever from a file outside of the packages, by one line, and runs it through the commands."""

from pathlib import Path

import pytest

from tests.support.collection_folders import jsonl, write
from tests.support.commands import ROOT, command, script_here


OWN = '''
import sys

from builders.__main__ import main
from builders.cli import run
from builders.retrievers import load
from builders.retrievers.retriever import Hit, NamedRetriever


class PrefixRetriever(NamedRetriever):
    """Counts the words of a query whose first letters begin a word of the document."""

    forms = ("prefix:LETTERS",)
    searches_by = "the first letters of words"
    languages = "all"

    def __init__(self, collection, letters):
        self.name = f"prefix(letters={letters})"
        self.letters = letters
        self.starts = {key: self.terms(text) for key, text in collection.indexed_texts()}

    @classmethod
    def from_name(cls, name, collection, load):
        return cls(collection, int(name.partition(":")[2])) if name.startswith("prefix:") else None

    def terms(self, text):
        return [word[: self.letters].lower() for word in text.split()]

    def search(self, queries, depth):
        return [self.ranked(self.terms(query))[:depth] for query in queries]

    def ranked(self, terms):
        scores = {key: sum(term in starts for term in terms) for key, starts in self.starts.items()}
        return [Hit(key, score) for key, score in sorted(scores.items(), key=lambda it: (-it[1], it[0])) if score]


load.RETRIEVERS += (PrefixRetriever,)
run(main)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {"d1": "red foxes hunt", "d2": "a red bird sings", "d3": "whale songs"}
    queries = {"q1": "reddish birds", "q2": "whaling"}
    return write(
        tmp_path,
        {
            "own.py": OWN,
            "zoo/corpus.jsonl": jsonl({"_id": key, "title": "", "text": text} for key, text in texts.items()),
            "zoo/queries.jsonl": jsonl({"_id": key, "text": text} for key, text in queries.items()),
            "zoo/qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\n",
            "said.jsonl": jsonl([{"qid": "q1", "expansion": "fox huntress"}, {"qid": "q2", "expansion": "red"}]),
        },
    )


def own(folder: Path, *arguments: str):
    return script_here("builders.retrievers.load.RETRIEVERS", "own.py", "grade", *arguments, cwd=folder)


def test_a_retriever_of_ones_own_grades_to_a_table(folder):
    """By hand: q1 finds d2 (red, bird), then d1 (red): 1 / log2(3); q2 finds d3 alone: 1.

    Expanded, q1 finds d1 (red, fox, hun) before d2; q2 finds d1 and d2 (red) beside d3, which ids put third: 1 / 2.
    """
    arguments = (
        "--collection",
        "zoo",
        "--retriever",
        "prefix:3",
        "--formation",
        "q*1+e",
        "--expansions",
        "said.jsonl",
    )
    done = own(folder, *arguments)
    assert done.returncode == 0, done.stderr
    assert "2 test queries of zoo, prefix(letters=3)" in done.stdout
    assert "| plain | 0.8155 | 0.7500 | 1.0000 |" in done.stdout
    assert "| said | 0.7500 | 0.6667 | 1.0000 | 50 % | 50 % |" in done.stdout


def test_it_is_fused_with_others_and_named_in_help_and_errors(folder):
    done = own(folder, "--collection", "zoo", "--retriever", "hybrid(bm25s,prefix:3)")
    assert done.returncode == 0 and "hybrid(bm25s(" in done.stdout and "prefix(letters=3))" in done.stdout
    # In a process of its own: help is made when a command is imported.
    assert "prefix:LETTERS" in command("own.py", "grade", "--help", cwd=folder, PYTHONPATH=str(ROOT)).stdout
    done = own(folder, "--collection", "zoo", "--retriever", "suffix:3")
    assert done.returncode == 2 and "no retriever 'suffix:3': give one of bm25s" in done.stderr
    assert "prefix:LETTERS" in done.stderr.splitlines()[-1]

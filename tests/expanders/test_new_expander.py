"""Adds an expander from outside of the packages, by one class and one line, and runs it through the commands."""

import json
from pathlib import Path

import pytest

from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders import load
from builders.expanders.expander import Expander, Expansion, Identity
from builders.expanders.trained import load_expander
from tests.support.collection_folders import jsonl
from tests.support.commands import ROOT, command, script_here
from train.evaluation.teachers import load_teacher


# What somebody writes who has a thesaurus.
OWN = '''
import sys
from dataclasses import dataclass, field

from builders.cli import run
from builders.expanders import load
from builders.expanders.expander import Expander, Expansion, Identity


@dataclass(kw_only=True)
class ThesaurusOptions:
    """Settings of `--expander thesaurus`."""

    synonyms: list[str] = field(default_factory=list, metadata={"help": "Pairs word=other."})


class Thesaurus(Expander):
    """Answers with the synonym of each word of the query that has one."""

    name = "thesaurus"
    help = "synonyms from a list"
    Options = ThesaurusOptions
    free = True

    def __init__(self, collection, options):
        self._queries = collection.queries
        self._synonyms = dict(pair.split("=") for pair in options.synonyms)
        self.identity = Identity("thesaurus", "1", "a list of synonyms", "local")
        self.settings = {"synonyms": options.synonyms}

    @classmethod
    def make(cls, inputs):
        return [(inputs.student, cls(inputs.collection, inputs.options))]

    def expand(self, requests, sampling, done=()):
        for request in requests:
            if request.key not in done:
                words = self._queries[request.key].text.split()
                text = " ".join(self._synonyms[word] for word in words if word in self._synonyms)
                yield request.key, [Expansion(text, 0, 0, "stop")]


load.EXPANDERS += (Thesaurus,)

if __name__ == "__main__":
    from builders.__main__ import main

    run(main)
'''
PETS = ("cat", "dog", "bird")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Queries say `cat`, documents say `feline`: nothing is found without the synonym."""
    folder = tmp_path / "pets"
    (folder / "qrels").mkdir(parents=True)
    other = {"cat": "feline", "dog": "canine", "bird": "avian"}
    corpus = [{"_id": pet, "title": "", "text": f"{other[pet]} care at home"} for pet in PETS]
    corpus += [{"_id": f"x{n}", "title": "", "text": f"feeding tip number{n}"} for n in range(12)]
    (folder / "corpus.jsonl").write_text(jsonl(corpus))
    queries = [{"_id": f"q{pet}{n}", "text": f"feeding a {pet}"} for pet in PETS for n in range(2)]
    (folder / "queries.jsonl").write_text(jsonl(queries))
    for number, split in enumerate(("train", "test")):
        rows = "".join(f"q{pet}{number}\t{pet}\t1\n" for pet in PETS)
        (folder / f"qrels/{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    return folder


def test_it_makes_a_dataset_and_a_table_by_its_own_option(pets, tmp_path):
    (tmp_path / "thesaurus.py").write_text(OWN)

    def run(*arguments: str):
        return script_here("builders.expanders.load.EXPANDERS", "thesaurus.py", *arguments, cwd=tmp_path)

    told = ("--expander", "thesaurus", "--synonyms", "cat=feline", "dog=canine")
    done = run(
        *("expansions", "--collection", "pets", *told, "--prompts", "keywords-zero-shot", "--num_train", "-1"),
        *("--select", "all", "--output_dir", "out"),
    )
    assert done.returncode == 0, done.stderr
    build = json.loads((tmp_path / "out/build.json").read_text())
    assert build["expander"]["model_id"] == "thesaurus"
    assert build["settings"]["expander_settings"] == [{"synonyms": ["cat=feline", "dog=canine"]}]
    # Two of three queries find their document at the first place; the third has no synonym, and nothing is found.
    assert build["yield"]["mean_plain_ndcg_at_10"] == 0 and build["yield"]["candidates"] == 3
    assert build["yield"]["mean_ndcg_at_10"] == {"zero-shot": 0.6667}
    graded = run("grade", "--collection", "pets", "--split", "train", "--expansions", "out")
    assert graded.returncode == 0, graded.stderr
    assert "| out | 0.6667 |" in graded.stdout and "| 67 % | 0 % | 33 % |" in graded.stdout
    # In a process of its own: help is made when a command is imported.
    shown = command("thesaurus.py", "expansions", "--help", cwd=tmp_path, PYTHONPATH=str(ROOT)).stdout
    assert "--synonyms" in shown and "`thesaurus`: synonyms from a list" in " ".join(shown.split())
    assert "none, thesaurus" in run("expansions", "--expander", "nobody", "--output_dir", "out").stderr


class Echo(Expander):
    """Answers with the query itself."""

    name = "echo"
    free = True
    identity = Identity("echo", "1", "no model", "local")

    @classmethod
    def make(cls, inputs):
        return [(inputs.student, cls())]

    def expand(self, requests, sampling, done=()):
        for request in requests:
            yield request.key, [Expansion(request.key, 0, 0, "stop")]


def test_it_is_a_system_of_an_evaluation_at_once(pets, monkeypatch):
    monkeypatch.setattr(load, "EXPANDERS", (*load.EXPANDERS, Echo))
    collection = load_collection(str(pets))
    queries = collection.split("test")
    teacher = load_teacher("mirror=echo", collection, queries, 8)
    assert [one.text for one in teacher.write().expansions] == [query.id for query in queries]
    assert teacher.name == "mirror" and teacher.settings["model_id"] == "echo"
    with pytest.raises(KitError, match="--teachers mirror: echo takes no settings, not words=2"):
        load_teacher("mirror=echo,words=2", collection, queries, 8)


@pytest.mark.parametrize("name", ["feedback-terms", "neighbour-terms", "prf-passages"])
def test_what_a_prompt_shows_of_the_collection_is_a_system_by_its_own_name(pets, name):
    collection = load_collection(str(pets))
    queries = collection.split("test")
    teacher = load_teacher(name, collection, queries, 8)
    texts = [one.text for one in teacher.write().expansions]
    assert teacher.name == name and len(texts) == 3
    assert all("feeding tip" in text for text in texts) == (name == "prf-passages")


@pytest.mark.parametrize("name", ["feedback-terms", "prf-passages"])
def test_what_needs_no_model_expands_any_query_and_those_that_were_measured_alike(pets, name):
    collection = load_collection(str(pets))
    queries = collection.split("test")
    expander = load_expander(name, collection=collection)
    measured = [one.text for one in load_teacher(name, collection, queries, 8).write().expansions]
    assert expander.expand_many([query.text for query in queries]) == measured
    assert expander.formulate("feeding my cat").text.startswith("feeding my cat")
    with pytest.raises(KitError, match="collection="):
        load_expander(name).expand("feeding my cat")

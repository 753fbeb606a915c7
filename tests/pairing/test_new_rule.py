"""Adds a pairing rule from outside by one file, with an option and an input file of its own, and builds pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.artifacts.dataset_folder import read_build, read_rows
from builders.artifacts.render import render_dataset
from tests.support.commands import ROOT, command, refused, script_here
from tests.support.rendered_folders import build, raw_row


SCRIPT = '''
"""The kit with one more rule."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import builders.__main__
from builders.artifacts.files import file_hash
from builders.cli import run
from builders.errors import KitError
from builders.pairing import load
from builders.pairing.rule import Rule, RuleOptions


@dataclass(kw_only=True)
class VotesOptions(RuleOptions):
    votes: str | None = field(default=None, metadata={"help": "votes: JSON file of candidate id and votes."})

    def check(self):
        if self.votes is None:
            raise KitError("--rule votes needs --votes, a JSON file")


class Votes(Rule):
    """Scores a candidate by the votes that people gave it."""

    name = "votes"
    margins = (1.0, 5.0)
    grades_searches = False
    Options = VotesOptions

    def prepare(self, options, source, expansions):
        path = Path(options.votes)
        self._votes = json.loads(path.read_text())
        self.settings = {"votes_sha256": file_hash(path)}
        self.provenance = {"votes": {"file": path.name, "candidates": len(self._votes)}}

    def read(self, queries):
        self._asked = len(queries)

    def scores(self, candidates):
        assert self._asked == 2, "all queries were read before the first was scored"
        if not any(one["candidate_id"] in self._votes for one in candidates):
            return "nobody voted"
        return [float(self._votes.get(one["candidate_id"], 0)) for one in candidates]


load.RULES += (Votes,)

if __name__ == "__main__":
    run(builders.__main__.main)
'''
VOTES = {"q0#0": 2, "q0#1": 9, "q0#2": 4}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Expansions of two queries, three candidates each, and the votes for those of the first."""
    rows = [
        raw_row(number) | {"candidate_id": f"q{number}#{n}", "candidate": f"word{n}", "ndcg_at_10": n / 2}
        for number in range(2)
        for n in range(3)
    ]
    made = {**build("expansions", 2), "student_prompt": "web-passage-zero-shot"}
    render_dataset(tmp_path / "expansions", {"raw": {"train": rows}}, made, {"total_seconds": 1.0})
    (tmp_path / "votes.json").write_text(json.dumps(VOTES))
    (tmp_path / "kit.py").write_text(SCRIPT)
    return tmp_path


def prefer(here: Path, *more: str):
    told = ("--expansions", "expansions", "--output_dir", "pairs", "--rule", "votes", "--min_margin", "1")
    return script_here("builders.pairing.load.RULES", here / "kit.py", "preferences", *told, *more, cwd=here)


def test_a_rule_of_ones_own_makes_a_dataset(here: Path) -> None:
    done = prefer(here, "--votes", "votes.json")
    assert done.returncode == 0, done.stderr
    (row,) = read_rows(here / "pairs", "preference", "train")
    assert (row["chosen_id"], row["rejected_id"]) == ("q0#1", "q0#0")
    assert (row["rule"], row["chosen_score"], row["rejected_score"], row["margin"]) == ("votes", 9.0, 2.0, 7.0)
    assert row["chosen"][0]["content"] == "word1" and row["rejected"][0]["content"] == "word0"
    made = read_build(here / "pairs")
    assert made is not None and made["rule"] == "votes" and made["votes"] == {"file": "votes.json", "candidates": 3}
    assert made["yield"]["train"]["dropped_queries"] == {"nobody voted": 1}
    assert made["yield_by_margin"]["train"] == [
        {"margin": 1.0, "pairs": 1, "queries_with_pairs": 1},
        {"margin": 5.0, "pairs": 1, "queries_with_pairs": 1},
    ]
    assert "votes" not in made["settings"] and len(made["settings"]["votes_sha256"]) == 64
    assert "`votes`" in (here / "pairs/README.md").read_text()
    # Its input is one of the settings.
    assert "up to date" in prefer(here, "--votes", "votes.json").stderr
    (here / "votes.json").write_text(json.dumps(VOTES | {"q0#0": 5}))
    assert "up to date" not in prefer(here, "--votes", "votes.json").stderr
    assert read_rows(here / "pairs", "preference", "train")[0]["rejected_id"] == "q0#2"


def test_it_stands_in_the_help_and_its_options_belong_to_it(here: Path) -> None:
    # In a process of its own: help is made when a command is imported.
    done = command(here / "kit.py", "preferences", "--help", cwd=here, PYTHONPATH=str(ROOT))
    told = " ".join(done.stdout.split())
    assert "votes Scores a candidate by the votes that people gave it." in told and "JSON file of candidate id" in told
    assert "--rule votes needs --votes" in refused(prefer(here))
    assert "--votes belongs to --rule votes and changes nothing for gold-rank: leave it out" in refused(
        prefer(here, "--rule", "gold-rank", "--votes", "votes.json")
    )
    assert "--encoder belongs to --rule reward and changes nothing for votes: leave it out" in refused(
        prefer(here, "--votes", "votes.json", "--encoder", "some/model")
    )
    line = refused(prefer(here, "--votes", "votes.json", "--with_plain"))
    assert "--with_plain needs a rule that grades searches, ndcg-margin or gold-rank" in line
    assert "give ndcg-margin, gold-rank, reward or votes" in refused(prefer(here, "--rule", "guess"))

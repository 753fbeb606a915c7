"""Small inputs from the field, one folder a case: what each gives, as its README.txt says what is right."""

import json
from pathlib import Path

import pytest

from builders.artifacts.dataset_folder import read_build
from builders.commands.expansions import main as make_expansions
from builders.commands.grade import GradeArguments, grade
from builders.errors import KitError
from builders.expanders.recordings import read_recorded
from tests.support.commands import ROOT


CASES = ROOT.parent / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not there (shared/cases beside the project)")


def plain(case: str, **more) -> float:
    """nDCG@10 of the plain queries, or of the run that the case brings."""
    run = CASES / case / "run.trec"
    runs = [str(run)] if run.is_file() else []
    results, _ = grade(GradeArguments(str(CASES / case), run=runs, **more))
    return next(iter(results["systems"].values()))["ndcg_at_10"]


@pytest.mark.parametrize(
    ("case", "ndcg"),
    [
        ("02-qrels-comments", 1.0),
        ("03-run-trailing-text", 0.8155),
        ("05-run-over-unjudged-topics", 0.8155),
        ("07-one-dangling-small", 1.0),
        ("08b-null-text", 1.0),
        ("08c-nan-text", 1.0),
        ("12-float-scores", 1.0),
        ("41-sgml-corpus", 1.0),
        ("62-xml-topics", 1.0),
        ("62b-xml-topics-txt", 1.0),
    ],
)
def test_what_a_case_gives(case, ndcg):
    assert plain(case) == pytest.approx(ndcg, abs=5e-5)


def test_what_is_dropped_is_told(capsys):
    plain("05-run-over-unjudged-topics")
    plain("07-one-dangling-small")
    told = capsys.readouterr().err
    assert "18 of its 20 topics are not in collection" in told
    assert "1 of 11 judgments name a query or document that is not there" in told


def test_topics_parted_by_colons():
    with pytest.raises(KitError, match="topics.txt, row 1: .*separated by colons"):
        plain("64-colon-topics")


def test_expansions_in_the_form_of_query2doc():
    source = str(CASES / "55-query2doc-form" / "query2doc.jsonl")
    with pytest.raises(KitError, match="'pseudo_doc'; name the field of the text with --text_fields"):
        read_recorded(source, {})
    rows = read_recorded(source, {}, ["pseudo_doc"])
    assert len(rows) == 6 and rows[0].text == "a passage about what is orchard used for"


def test_the_best_of_each_query_is_never_below_plain(tmp_path: Path, capsys):
    case = CASES / "71-best-below-plain"
    recorded = [
        "--expander",
        "recorded",
        "--recorded",
        str(case / "teacher.jsonl"),
        "--output_dir",
        str(tmp_path / "out"),
    ]
    size = ["--samples", "1", "--num_train", "8", "--num_validation", "0", "--prompts", "web-passage-zero-shot"]
    make_expansions(["--collection", str(case), *recorded, *size])
    counts = read_build(tmp_path / "out")["yield"]
    assert counts["mean_plain_ndcg_at_10"] == counts["mean_best_ndcg_at_10"] == 1.0
    rejected = [
        json.loads(line)["expansion"].startswith("I'm") for line in (case / "teacher.jsonl").read_text().splitlines()
    ]
    assert counts["queries_without_candidate"] == sum(rejected) == 4
    assert "best of each query 1.0 (plain for 4 without a valid one)" in capsys.readouterr().err

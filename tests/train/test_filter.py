"""Generate-then-filter: who may be chosen, what the oracle picks, and a cross-encoder that learns to pick."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builders.artifacts.render import render_dataset
from builders.collections.collection import Collection, Document, Query
from builders.errors import KitError
from builders.expanders.expander import Expansion
from builders.filtering.candidate_filter import Filter
from builders.filtering.candidate_lists import CandidateList, candidate_lists, held_out
from builders.filtering.cross_encoder import CrossEncoderFilter
from builders.filtering.oracle import OracleFilter
from builders.grading.grader import Grader
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formulation import load_formulation
from tests.support.commands import ROOT, command, refused
from tests.support.rendered_folders import build, raw_row
from tests.support.word_encoder import tiny_bert


def query(name: str, text: str = "some query") -> Query:
    return Query(name, text, "test")


def expansions(*texts: str) -> list[Expansion]:
    return [Expansion(text, 1, 1, "stop") for text in texts]


class Longest(Filter):
    identity = "longest"

    def scores(self, asked):
        return [(len(expansion.text) if expansion.text != "nan" else float("nan"),) for _, expansion in asked]


def test_the_best_is_chosen_the_first_of_equals_and_never_a_blank_one():
    candidates = [expansions("a", "ccc", "bbb"), expansions("  ", "", "a", "b")]
    assert Longest().choose([query("1"), query("2")], candidates) == [1, 2]
    assert Longest().choose([], []) == []


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "query '7': there is no candidate"),
        (expansions("", " "), "query '7': all 2 candidates are blank"),
        (expansions("a", "nan"), "longest: the score of a candidate of query '7' is not a number"),
    ],
)
def test_where_nothing_can_be_chosen_the_query_is_named(candidates, message):
    with pytest.raises(KitError, match=message):
        Longest().choose([query("6"), query("7")], [expansions("a"), candidates])


def test_the_oracle_picks_by_the_grade_then_by_the_gold_rank():
    """Eleven documents keep the gold one from the first ten for `frame`; with `array` it is among them."""
    documents = [Document(f"d{n:02}", "", "frame frame merge") for n in range(11)] + [
        Document("gold", "", "frame array")
    ]
    queries = {"q": query("q", "frame")}
    collection = Collection("t", "en", documents, queries, {"q": {"gold": 1}}, "made up", "CC0", "made up", {}, {})
    grader = Grader(collection, Bm25sRetriever(collection), load_formulation("q*1+e"))
    far, farther, near = "nothing", "merge", "array"
    grades = grader.expanded([("q", text) for text in (far, farther, near)])
    assert [grade.ndcg_at_10 > 0 for grade in grades] == [False, False, True]
    oracle = OracleFilter(grader)
    assert oracle.choose([queries["q"]] * 2, [expansions(far, near), expansions(near, far)]) == [1, 0]
    assert oracle.choose([queries["q"]], [expansions(farther, near, near)]) == [1]
    ranks = [grade.gold_rank for grade in grades]
    assert oracle.choose([queries["q"]], [expansions(farther, far)]) == [int(ranks[0] < ranks[1])]


def rows_of(number: int, deltas: dict[str, float], check: str = "ok") -> list[dict]:
    return [
        raw_row(number)
        | {
            "query": f"find thing {number % 7}",
            "candidate_id": f"q{number}#{sample}",
            "candidate": text,
            "check": check,
            "ndcg_at_10": 0.5 + delta,
            "plain_ndcg_at_10": 0.5,
        }
        for sample, (text, delta) in enumerate(deltas.items())
    ]


def test_lists_hold_each_valid_candidate_once():
    rows = rows_of(1, {"a": 0.25, "b": -0.5}) + rows_of(1, {"b": -0.5}) + rows_of(2, {"c": 0.0}, "blank")
    assert candidate_lists(rows, "x") == [CandidateList("q1", "find thing 1", ("a", "b"), (0.25, -0.5))]
    with pytest.raises(KitError, match="x: no candidate in config 'raw' passed its output check"):
        candidate_lists(rows_of(2, {"c": 0.0}, "blank"), "x")


def test_lists_are_dealt_evenly_and_parted_by_query():
    texts = tuple(f"t{number}" for number in range(10))
    whole = CandidateList("q", "query", texts, tuple(number / 10 for number in range(10)))
    parts = whole.dealt(4, seed=0)
    assert sorted(len(part.candidates) for part in parts) == [3, 3, 4]
    pairs = [pair for part in parts for pair in zip(part.candidates, part.deltas, strict=True)]
    assert sorted(pairs) == list(zip(texts, whole.deltas, strict=True))
    assert whole.dealt(4, seed=0) == parts and whole.dealt(4, seed=1) != parts and whole.dealt(10, seed=0) == [whole]
    assert whole.tells and not CandidateList("q", "query", ("a", "b"), (0.1, 0.1)).tells
    lists = [CandidateList(f"q{number}", "query", ("a",), (0.0,)) for number in range(20)]
    train, other = held_out(lists, 0.25, seed=0)
    assert len(other) == 5 and sorted(one.query_id for one in train + other) == sorted(one.query_id for one in lists)
    assert held_out(lists, 0.25, seed=0) == (train, other) and held_out(lists, 0.25, seed=1) != (train, other)
    with pytest.raises(KitError, match="--held_out"):
        held_out(lists, 1.0, seed=0)
    with pytest.raises(KitError, match="one query alone"):
        held_out(lists[:1], 0.1, seed=0)


HELPFUL, WORDS = "alpha", ["beta", "gamma", "delta", "omega", "kappa"]


def helpful_rows(numbers: range) -> list[dict]:
    """Of the four candidates of each query the one with the helpful word helps."""
    rows = []
    for number in numbers:
        words = [WORDS[(number + shift) % len(WORDS)] for shift in range(4)]
        deltas = {f"{word} {WORDS[number % 3]}": -0.2 for word in words}
        texts = list(deltas)
        deltas = {f"{HELPFUL} {text}" if text == texts[number % 4] else text: delta for text, delta in deltas.items()}
        rows += rows_of(number, {text: 0.4 if HELPFUL in text else delta for text, delta in deltas.items()})
    return rows


def dataset(folder: Path, train: list[dict], validation: list[dict] | None = None) -> Path:
    tables = {"raw": {"train": train, "validation": validation or []}}
    render_dataset(folder, tables, build("expansions", len(train)), {"seconds": 1.0})
    return folder


def arguments(expansions: Path, model: Path | str, output: Path, *more: str) -> list[str]:
    settings = {
        "--expansions": expansions,
        "--model": model,
        "--output_dir": output,
        "--max_length": 32,
        "--num_train_epochs": 3,
        "--learning_rate": 0.01,
        "--per_device_train_batch_size": 4,
        "--logging_steps": 1,
        "--report_to": "none",
    }
    return [*(str(word) for pair in settings.items() for word in pair), "--use_cpu", *more]


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")
    words = ["find", "thing", *"0123456789", HELPFUL, *WORDS]
    return tiny_bert(tmp_path_factory.mktemp("bert") / "tiny", words)


@pytest.fixture
def train(monkeypatch):
    """The command in this process; the library takes seconds to import."""
    import train.filter

    def run(*given: str) -> None:
        monkeypatch.setattr(sys, "argv", ["train/filter.py", *given])
        train.filter.main()

    return run


def test_a_cross_encoder_learns_which_candidate_helps(bert, train, tmp_path, capsys):
    data, output = dataset(tmp_path / "data", helpful_rows(range(40))), tmp_path / "filter"
    given = arguments(data, bert, output, "--held_out", "0.25")
    train(*given)
    training = json.loads((output / "training.json").read_text())
    assert training["queries"] == {"train": 30, "held_out": 10} and training["steps"] == 24
    kept = [check for check in training["checks"] if check["step"] == training["kept_step"]]
    assert [check["epoch"] for check in training["checks"]] == [1, 2, 3]
    assert kept[0]["eval_picked_delta"] == pytest.approx(0.4) == kept[0]["eval_best_delta"]
    assert kept[0]["eval_mean_delta"] == pytest.approx(-0.05)
    assert training["kind"] == "filter" and training["data"]["kind"] == "expansions"
    assert training["base"] == {"model_id": "tiny", "revision": training["base"]["revision"]}
    assert not any(str(tmp_path) in path.read_text() for path in output.glob("*config*.json"))
    assert not (tmp_path / "filter.work").exists()

    chooser = CrossEncoderFilter(output)
    assert chooser.identity.startswith("filter@sha256:")
    asked = [expansions("beta", "alpha gamma", "delta"), expansions("omega alpha", "kappa beta")]
    assert chooser.choose([query("1", "find thing 9"), query("2", "find thing 8")], asked) == [1, 0]

    before = (output / "training.json").stat().st_mtime_ns
    capsys.readouterr()
    train(*given)
    assert "up to date" in capsys.readouterr().err
    assert (output / "training.json").stat().st_mtime_ns == before
    weights = (output / "model.safetensors").read_bytes()
    train(*given[:-2], "--held_out", "0.25", "--output_dir", str(tmp_path / "again"))
    assert (tmp_path / "again/model.safetensors").read_bytes() == weights


def test_a_validation_split_chooses_where_there_is_one(bert, train, tmp_path):
    data = dataset(tmp_path / "data", helpful_rows(range(12)), helpful_rows(range(50, 55)))
    train(
        *arguments(
            data, bert, tmp_path / "filter", "--eval_strategy", "steps", "--eval_steps", "2", "--logging_steps", "50"
        )
    )
    training = json.loads((tmp_path / "filter/training.json").read_text())
    assert training["queries"] == {"train": 12, "held_out": 5}
    assert [check["step"] for check in training["checks"]] == [2, 4, 6, 8, 9]
    logged = [entry["step"] for entry in training["log"]]
    assert logged == [2, 4, 6, 8, 9], "what is kept and the last step, though logging_steps is 50"


def test_what_cannot_be_learnt_from_is_said(bert, train, tmp_path):
    output = tmp_path / "filter"
    equal = [row for number in range(4) for row in rows_of(number, {"a": 0.25, "b": 0.25})]
    cases = {
        "the candidates of every query have equal grades": dataset(tmp_path / "equal", equal),
        "no candidate in config 'raw' passed": dataset(tmp_path / "bad", rows_of(1, {"a": 0.1, "b": 0.2}, "blank")),
        "no such dataset folder": tmp_path / "absent",
    }
    for message, data in cases.items():
        with pytest.raises(KitError, match=message):
            train(*arguments(data, bert, output))
    data = dataset(tmp_path / "data", helpful_rows(range(8)))
    changed = json.loads((data / "build.json").read_text())
    changed["rows"] = {"distillation": {"train": 3}}
    other = shutil.copytree(data, tmp_path / "other")
    (other / "build.json").write_text(json.dumps(changed))
    with pytest.raises(KitError, match="rows.raw is not as the kit writes it"):
        train(*arguments(other, bert, output))
    for flags, message in (
        (["--list_size", "1"], "--list_size"),
        (["--model", "package:other"], "unknown model package"),
    ):
        with pytest.raises(KitError, match=message):
            train(*arguments(data, bert, output, *flags))
    with pytest.raises(KitError, match="loss is not a number"):
        train(*arguments(data, bert, output, "--learning_rate", "1e30"))
    assert not output.exists()


def test_a_folder_that_is_no_filter_is_refused(bert, tmp_path):
    for text, message in (("", "broken"), ("{}", "no filter"), ('{"kind": "filter"}', "model.safetensors is missing")):
        (tmp_path / "training.json").write_text(text)
        with pytest.raises(KitError, match=message):
            CrossEncoderFilter(tmp_path)
    with pytest.raises(KitError, match="no such filter"):
        CrossEncoderFilter(tmp_path / "absent")
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(KitError, match="cannot be loaded"):
        CrossEncoderFilter(tmp_path).choose([query("q")], [expansions("a")])


def test_without_the_library_the_extra_is_named(tmp_path):
    """In a process where sentence-transformers cannot be found."""
    hidden = (
        "import importlib.util as u, sys; find = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'sentence_transformers' else find(name, *rest); "
        f"sys.argv = ['train/filter.py', '--expansions', 'x', '--output_dir', {str(tmp_path)!r}]; "
        "from builders.cli import run; from train.filter import main; run(main)"
    )
    assert "pip install 'query-expansion-kit[dense]'" in refused(command("-c", hidden))


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_checkpoint(bert, tmp_path):
    """Killed after its first checkpoint and started again, it ends with the same weights as an undisturbed run."""
    data = dataset(tmp_path / "data", helpful_rows(range(40)))
    given = ["train/filter.py", *arguments(data, bert, tmp_path / "filter"), "--num_train_epochs", "20"]
    undisturbed = [*given, "--output_dir", str(tmp_path / "undisturbed")]
    assert command(*undisturbed).returncode == 0
    process = subprocess.Popen([sys.executable, *given], cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ)
    work, deadline = tmp_path / "filter.work", time.time() + 240
    while not list(work.glob("checkpoint-*/trainer_state.json")) and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "filter").exists()
    done = command(*given)
    assert done.returncode == 0 and "going on from" in done.stderr, done.stderr
    ends = [tmp_path / name / "model.safetensors" for name in ("filter", "undisturbed")]
    assert ends[0].read_bytes() == ends[1].read_bytes()


@pytest.mark.slow
def test_the_embedded_encoder_becomes_a_filter(tmp_path):
    """MiniLM from its package, by the recipe's own settings but few queries."""
    pytest.importorskip("all_minilm_l6_v2", reason="the embedded encoder is not installed")
    data, output = dataset(tmp_path / "data", helpful_rows(range(32))), tmp_path / "filter"
    recipe = ROOT / "train/recipes/minilm-l6/filter.yaml"
    few = ["--held_out", "0.2", "--num_train_epochs", "3"]
    done = command("train/filter.py", "--config", recipe, "--expansions", data, "--output_dir", output, *few)
    assert done.returncode == 0, done.stderr
    training = json.loads((output / "training.json").read_text())
    assert training["base"]["model_id"] == "sentence-transformers/all-MiniLM-L6-v2"
    (best,) = [check for check in training["checks"] if check["step"] == training["kept_step"]]
    assert best["eval_picked_delta"] > best["eval_mean_delta"] + 0.2

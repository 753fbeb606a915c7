"""Evaluation, from the settings to the tables: a student of a few thousand weights on a collection of 42 documents."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.collections.collection import Collection, Document, Query
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.expander import Expansion, Identity
from builders.expanders.expander_file import expander_record
from builders.expanders.trained import load_expander
from builders.filtering.candidate_filter import Filter
from builders.filtering.cross_encoder import CrossEncoderFilter
from builders.grading.grader import Grade, Grader
from builders.grading.results_form import in_one_form, one_retriever
from builders.measures.diversity import mean_pairwise_cosine
from builders.prompts.load import load_prompt
from builders.prompts.script import opening, segments
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formulation import load_formulation
from tests.support.collection_folders import jsonl
from tests.support.commands import ROOT, command, launch
from tests.support.evaluation_collection import TEST, WRITES, collection
from tests.support.java import needs_java
from tests.support.tiny_student import base_model, student
from tests.support.word_encoder import tiny_bert
from train.evaluation.evaluation_arguments import EvaluationArguments
from train.evaluation.evaluation_plan import make_plan
from train.evaluation.generation import Cost, Generation
from train.evaluation.leakage_audit import Audit
from train.evaluation.results_writer import EVALUATION, results_are_current
from train.evaluation.running import run_evaluation
from train.evaluation.systems import ExpandedQueries, System, chosen_candidates
from train.evaluation.teachers import load_teacher
from train.evaluation.word_parts import word_parts


SAMPLES = 4


def recorded(path: Path, ids=TEST, **fields) -> Path:
    """A teacher that knows four words of the document; of every third query it knows nothing."""
    rows = [
        {
            "query_id": one,
            "expansion": "" if int(one[1:]) % 3 == 0 else "second{n} third{n} fourth{n} fifth{n}".format(n=one[1:]),
            **fields,
        }
        for one in ids
    ]
    path.write_text(path.read_text() + jsonl(rows) if path.exists() else jsonl(rows))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """Everything that an evaluation can be asked for, but Java."""
    folder = tmp_path_factory.mktemp("evaluation")
    base = base_model(folder / "base")
    args = EvaluationArguments(
        output_dir=str(folder / "out"),
        model=str(base),
        adapters=[str(student(folder / "models", base))],
        collection=str(collection(folder / "tiny")),
        num_queries=0,
        max_new_tokens=6,
        block=8,
        baselines=["bm25s"],
        teachers=[f"big={recorded(folder / 'teacher.jsonl')}"],
        pool_samples=SAMPLES,
    )
    run_evaluation(args, EVALUATION)
    return SimpleNamespace(folder=folder, args=args, out=folder / "out")


@pytest.fixture(scope="module")
def results(made) -> dict:
    return read(made.out)


@pytest.fixture(scope="module")
def rows(made) -> dict[str, list[dict]]:
    return rows_of(made.out)


def read(folder: Path) -> dict:
    """Results as tables and cards read them."""
    return one_retriever(in_one_form(json.loads((folder / "results.json").read_text())))


def rows_of(folder: Path) -> dict[str, list[dict]]:
    """System → the rows of its queries, in their order."""
    import pyarrow.parquet as parquet

    found: dict[str, list[dict]] = {}
    for row in parquet.read_table(folder / "per_query.parquet").to_pylist():
        found.setdefault(row["system"], []).append(row)
    return found


def values(rows: list[dict], name: str = "ndcg_at_10") -> list[float]:
    return [row[name] for row in rows]


def average(numbers) -> float:
    listed = list(numbers)
    return sum(listed) / len(listed)


def log(made, samples: int) -> dict[str, list[dict]]:
    """The answers in the generation log whose requests have so many samples and are of test queries."""
    for path in (made.out / "evaluation.work").rglob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        if lines[0]["key"] in TEST and len(lines[0]["answers"]) == samples:
            return {line["key"]: line["answers"] for line in lines}
    raise AssertionError("no such log")


# ----------------------------------------------------------------------------------------------------- the table


def test_every_system_is_in_its_place_and_its_row_is_the_mean_of_its_queries(results, rows):
    systems = ["plain", "bm25s", "big", "base", "sft", "oracle"]
    assert list(results["systems"]) == list(rows) == systems
    for name, row in results["systems"].items():
        assert {one["query_id"] for one in rows[name]} == set(TEST) and len(rows[name]) == row["queries"] == len(TEST)
        for measure in ("ndcg_at_10", "mrr_at_10", "recall_at_100", "delta_ndcg_at_10"):
            assert row[measure] == pytest.approx(average(values(rows[name], measure)))
        assert row["helped"] == average(delta > 1e-9 for delta in values(rows[name], "delta_ndcg_at_10"))
        assert row["search_ms_per_query"] > 0
    assert values(rows["bm25s"]) == values(rows["plain"]) != values(rows["big"])


def test_the_markdown_shows_what_the_json_holds(made, results):
    text = (made.out / "results.md").read_text()
    big, sft = results["systems"]["big"], results["systems"]["sft"]
    for name, row in results["systems"].items():
        assert f"| {name} | {row['ndcg_at_10']:.4f} |" in text
    assert f"| sft | {100 * sft['retention']:.1f} % (" in text
    assert f"| {big['tokens_per_query']:.1f} |  |  |" in text, "nobody knows how long a recorded teacher took"
    assert f"Holm's method for the {len(results['systems']) - 1} systems" in text
    assert "`oracle`: one of 4 candidates, the upper bound and no method" in text and "missing" not in text
    assert "- `sft`: " in text and "seen: 2 queries, " in text
    titles = next(line for line in text.splitlines() if line.startswith("| system | retention"))
    assert titles.endswith("| new terms | Δ against bm25s | Δ against base |")


def test_p_values_are_corrected_over_the_systems_of_the_table(results):
    """Holm by hand: the smallest of n counts n times, the next n − 1 times, and none falls below the one before."""
    families = [[row for name, row in results["systems"].items() if name != "plain"]]
    for reference in ("bm25s", "base"):
        family = [
            row["against"][reference] for row in results["systems"].values() if reference in row.get("against", {})
        ]
        assert len(family) == len(results["systems"]) - 2
        families.append(family)
    for family in families:
        before = 0.0
        for place, row in enumerate(sorted(family, key=lambda row: row["p_value"])):
            expected = max(before, min(1.0, row["p_value"] * (len(family) - place)))
            assert row["p_corrected"] == pytest.approx(expected)
            before = expected
    assert families[0][1]["p_value"] < 0.05 and families[0][1]["p_corrected"] == 5 * families[0][1]["p_value"]
    assert results["correction"] == {"method": "Holm", "tests": 5}


def test_students_are_held_against_teacher_baseline_and_base(results, rows):
    plain, big = values(rows["plain"]), values(rows["big"])
    assert results["reference_teacher"] == "big" and "retention" not in results["systems"]["big"]
    for name in ("sft", "oracle", "bm25s", "plain"):
        row, own = results["systems"][name], values(rows[name])
        assert row["retention"] == pytest.approx(sum(own) / sum(big))
        assert row["gain_captured"] == pytest.approx((sum(own) - sum(plain)) / (sum(big) - sum(plain)))
        low, high = row["retention_ci95"]
        assert low < row["retention"] < high
    base = values(rows["base"])
    delta = results["systems"]["sft"]["against"]["base"]["delta_ndcg_at_10"]
    assert delta == pytest.approx(average(values(rows["sft"])) - average(base))
    assert set(results["systems"]["base"]["against"]) == {"bm25s"}


def test_new_terms_of_a_teacher_that_says_four_words_or_none(results):
    """10 of the 14 expansions hold four words that their queries lack, and 4 are empty."""
    big = results["systems"]["big"]
    assert big["new_terms"] == pytest.approx(10 / 14) and big["new_terms_per_query"] == pytest.approx(40 / 14)
    assert "new_terms" not in results["systems"]["plain"] and "new_terms" not in results["systems"]["bm25s"]
    assert big["empty"] == 4 and big["source"] == "teacher.jsonl"


def test_queries_whose_gold_was_trained_on_are_measured_apart(results, rows):
    for name in ("big", "sft", "bm25s"):
        parts = results["systems"][name]["leakage"]
        for kind, ids in (("seen_gold", ["q28", "q29"]), ("unseen_gold", TEST[2:])):
            own = [row for row in rows[name] if row["query_id"] in ids]
            assert parts[kind]["queries"] == len(ids) == len(own)
            assert parts[kind]["delta_ndcg_at_10"] == pytest.approx(average(values(own, "delta_ndcg_at_10")))
            assert {row["gold_seen"] for row in own} == {kind == "seen_gold"}
            base = [row["ndcg_at_10"] for row in rows["plain"] if row["query_id"] in ids]
            assert parts[kind]["plain_ndcg_at_10"] == pytest.approx(average(base))


# ------------------------------------------------------------------------------------------------------ the pool


def test_the_oracle_takes_the_best_candidate_at_the_cost_of_all(made, results, rows):
    tiny = load_collection(made.args.collection)
    grader = Grader(tiny, Bm25sRetriever(tiny), load_formulation("q*5+e"))
    pool, oracle = log(made, SAMPLES), results["systems"]["oracle"]
    assert set(pool) == set(TEST)
    for row in rows["oracle"]:
        candidates = pool[row["query_id"]]
        grades = grader.expanded([(row["query_id"], one["text"]) for one in candidates])
        assert row["ndcg_at_10"] == max(grade.ndcg_at_10 for grade in grades)
        assert row["completion_tokens"] == sum(one["completion_tokens"] for one in candidates)
    tokens = [sum(one["completion_tokens"] for one in candidates) for candidates in pool.values()]
    assert oracle["tokens_per_query"] == pytest.approx(average(tokens))
    assert oracle["tokens_per_query"] > results["systems"]["base"]["tokens_per_query"]
    assert 0 < oracle["choosing_ms_per_query"] < oracle["ms_per_query"]
    assert "identity" not in oracle and results["pool"]["samples"] == SAMPLES
    cosines = [mean_pairwise_cosine([segments(one["text"]) for one in candidates]) for candidates in pool.values()]
    assert results["pool"]["mean_pairwise_cosine"] == pytest.approx(average(cosines))


class Longest(Filter):
    """Picks the longest candidate."""

    identity = "longest"

    def scores(self, asked):
        return [(float(len(expansion.text)),) for _, expansion in asked]


def test_a_filter_picks_one_candidate_and_the_whole_pool_is_paid():
    queries = [Query("a", "one", "test"), Query("b", "two", "test")]
    texts = {"a": ["x", "long one", "mid"], "b": ["", " ", ""]}
    answers = {key: [Expansion(text, 7, 5, "stop") for text in found] for key, found in texts.items()}
    pool = Generation(Identity("m", "r", "w", "local"), answers, [Cost(1.5, 2, 300.0), Cost(0.5, 0, 10_000_000.0)])
    expanded = chosen_candidates(queries, pool, Longest(), [["one"], ["two"]])
    assert [one.text for one in expanded.expansions] == ["long one", ""]
    assert expanded.tokens == [15, 15] and expanded.facts["tokens_per_query"] == 15
    assert expanded.facts["ms_per_query"] == pytest.approx(1000 + expanded.facts["choosing_ms_per_query"])
    assert expanded.facts["peak_memory_mib"] == 10_000_000 and expanded.facts["filter"] == "longest"
    assert expanded.facts["prompt_tokens_per_query"] == 7


@pytest.mark.slow
def test_generate_then_filter_is_a_row_below_its_upper_bound(made, tmp_path):
    """A cross-encoder of a few thousand random weights chooses: whatever it likes best of each pool."""
    transformers = pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")
    import torch

    torch.manual_seed(3)
    bert = tiny_bert(tmp_path / "bert", [*WRITES, *"0123456789"])
    transformers.CrossEncoder(str(bert), num_labels=1).save(str(tmp_path / "filter"))
    (tmp_path / "filter/training.json").write_text('{"kind": "filter"}')
    shutil.copytree(made.out / "evaluation.work", tmp_path / "out/evaluation.work")
    changes = {"filter": str(tmp_path / "filter"), "teachers": [], "adapters": []}
    run_evaluation(replace(made.args, output_dir=str(tmp_path / "out"), **changes), EVALUATION)
    results = read(tmp_path / "out")
    assert list(results["systems"]) == ["plain", "bm25s", "base", "generate-then-filter", "oracle"]
    chooser, pool = CrossEncoderFilter(tmp_path / "filter"), log(made, SAMPLES)
    rows = rows_of(tmp_path / "out")
    for row, best in zip(rows["generate-then-filter"], rows["oracle"], strict=True):
        candidates = [Expansion(**one) for one in pool[row["query_id"]] if one["text"].strip()]
        scores = chooser.scores([(Query(row["query_id"], row["query"], "test"), one) for one in candidates])
        assert row["expansion"] == candidates[scores.index(max(scores))].text
        assert row["ndcg_at_10"] <= best["ndcg_at_10"]
    row, best = (results["systems"][name] for name in ("generate-then-filter", "oracle"))
    assert row["tokens_per_query"] == best["tokens_per_query"] and row["filter"] == chooser.identity
    text = (tmp_path / "out/results.md").read_text()
    assert f"one of 4 candidates, chosen by `{chooser.identity}`; its cost is the pool's" in text
    assert "retention" not in text


def test_what_the_prompt_shows_is_a_row_that_students_are_held_against(made, tmp_path):
    """Of a prompt that shows words of the collection the model has to beat those words as they stand there."""
    changes = {"teachers": [], "adapters": [], "pool_samples": 0, "baselines": [], "max_new_tokens": 2}
    prompt = "keywords-passages-zero-shot"
    run_evaluation(replace(made.args, output_dir=str(tmp_path / "out"), prompt=prompt, **changes), EVALUATION)
    results, rows = read(tmp_path / "out"), rows_of(tmp_path / "out")
    assert list(results["systems"]) == ["plain", "passages alone", "base"]
    assert results["systems"]["base"]["against"].keys() == {"passages alone"}
    found = load_collection(made.args.collection)
    retriever = Bm25sRetriever(found)
    text_of = {document.id: document.text for document in found.documents}
    grader = Grader(found, retriever, load_formulation(made.args.formation))
    for row in rows["passages alone"]:
        (hits,) = retriever.search([row["query"]], 3)
        assert row["expansion"] == " ".join(opening(text_of[hit.document_id], 25) for hit in hits)
        assert row["ndcg_at_10"] == grader.expanded([(row["query_id"], row["expansion"])])[0].ndcg_at_10
    assert "`passages alone`: what the prompt shows beside the query" in (tmp_path / "out/results.md").read_text()


# ------------------------------------------------------------------------------------------------------- the audit


def test_copies_of_gold_text_and_answers_are_found():
    """A system whose one gain is a copy, another whose copy stood in the prompt; answers in text, not in titles."""
    pytest.importorskip("pyserini", reason="matching answers needs pyserini")
    line = "red green blue white black"
    tiny = Collection(
        "tiny",
        "en",
        [
            Document("d1", "Paris", f"{line} town"),
            Document("d2", "", "the city of PARIS, really"),
            Document("d3", "", ""),
        ],
        {"a": Query("a", "colours", "test"), "b": Query("b", "cities", "test")},
        {"a": {"d1": 1}, "b": {"d2": 1}},
        "test",
        "none",
        "none",
        answers={"a": ["paris"], "b": ["Paris"]},
    )
    none, some, full = (Grade(value, value, 1.0, value, 1) for value in (0.0, 0.25, 1.0))
    queries = list(tiny.queries.values())
    texts = [Expansion(f"say {line}", 1, 1, "stop"), Expansion("city of Paris", 1, 1, "stop")]
    plain = System("plain", "none", "bm25s", "bm25s", [none, none], [["d1"], ["d3"]], 1.0, 1.0)
    expanded = ExpandedQueries(texts, [["colours"], ["cities"]], {}, [1, 1])
    found = {"grades": [full, some], "rankings": [["d1", "d2"], ["d3", "d2"]], "expanded": expanded}
    system = replace(plain, name="s", expander="s", **found)
    told = replace(system, expanded=ExpandedQueries(texts, [["colours", f"page: {line}"], ["cities"]], {}, [1, 1]))
    audit = Audit(tiny, Bm25sRetriever(tiny), queries, [plain, system, told], with_answers=True)
    row = audit.audited(system).row(0)
    assert row["leakage"]["copies"] == {"queries": 1, "share_of_gain": 0.8}
    assert audit.audited(told).row(0)["leakage"]["copies"] == {"queries": 0, "share_of_gain": 0.0}
    assert row["leakage"]["seen_gold"] == {"queries": 0} and row["leakage"]["unseen_gold"]["queries"] == 2
    assert audit.audited(system).answer_ranks == [2, 2] and audit.audited(plain).answer_ranks == [None, None]
    assert (row["top_1_accuracy"], row["top_5_accuracy"]) == (0.0, 1.0)
    # "say red green blue white black" has six terms that the query lacks; of "city of Paris" only Paris is new, since
    # "cities" and "city" are one term, and "of" is none.
    assert row["new_terms"] == 0.75 and row["new_terms_per_query"] == 3.5
    assert audit.audited(plain).row(0) == {f"top_{cut}_accuracy": 0.0 for cut in (1, 5, 20, 100)}


# ------------------------------------------------------------------------------------- interrupted, repeated, refused


def untimed(results: dict) -> dict:
    """Results without what differs from run to run."""
    systems = {
        name: {key: value for key, value in row.items() if "_ms_" not in key and not key.startswith(("ms_", "peak_"))}
        for name, row in results["systems"].items()
    }
    return {**results, "systems": systems, "timing": None}


def test_answers_are_never_asked_twice(made, results, capfd):
    """The results are lost and one answer with them; only that answer is written again."""
    before = {path: path.read_bytes() for path in made.out.rglob("*") if path.is_file()}
    run_evaluation(made.args, EVALUATION)
    assert "up to date" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    (made.out / "results.json").unlink()
    path = max((made.out / "evaluation.work").rglob("*.jsonl"))
    *whole, lost = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole) + lost[:-5])
    run_evaluation(made.args, EVALUATION)
    assert path.read_bytes() == before[path]
    told = re.findall(r"(\d+) queries, (\d+) done before", capfd.readouterr().err)
    assert len(told) == 3 and sorted(int(asked) - int(done) for asked, done in told) == [0, 0, 1]
    assert untimed(read(made.out)) == untimed(results)
    (made.out / "results.json").write_bytes(before[made.out / "results.json"])


def test_settings_that_once_were_make_no_results_old(made, tmp_path):
    shutil.copytree(made.out, tmp_path / "out")
    retired = {"guard": True, "num_validation": 160}
    results = json.loads((made.out / "results.json").read_text())
    older = {**results, "settings": {**results["settings"], **retired}}
    (tmp_path / "out/results.json").write_text(json.dumps(older))
    settings = make_plan(made.args).settings
    assert results_are_current(tmp_path / "out", settings)
    assert not results_are_current(tmp_path / "out", {**settings, "seed": 1})


def test_several_expansions_are_searched_together(made, tmp_path):
    args = replace(
        made.args, output_dir=str(tmp_path / "out"), samples=3, temperature=0.9, pool_samples=0, teachers=[]
    )
    run_evaluation(args, EVALUATION)
    results = read(tmp_path / "out")
    assert results["decoding"] == {"greedy": False, "samples": 3, "temperature": 0.9, "top_k": 50, "max_new_tokens": 6}
    assert "3 drawn at temperature 0.9 and searched together" in (tmp_path / "out/results.md").read_text()
    name, written = Path(args.adapters[0]).name, rows_of(tmp_path / "out")
    assert all(row["completion_tokens"] > 6 for row in written[name])
    assert results["systems"][name]["tokens_per_query"] > 6
    # A query formed by hand with all three gives the same ranking's measure.
    found = load_collection(args.collection)
    grader = Grader(found, Bm25sRetriever(found), load_formulation(args.formation))
    grades = grader.expanded([(row["query_id"], row["expansion"]) for row in written[name]])
    assert [grade.ndcg_at_10 for grade in grades] == values(written[name])
    # The expander writes as it was measured.
    training = json.loads((Path(args.adapters[0]) / "training.json").read_text())
    record = expander_record(training, load_prompt(args.prompt), results)
    assert record["form"] == 2 and record["decoding"]["samples"] == 3 and record["decoding"]["do_sample"]
    (Path(args.adapters[0]) / "expander.json").write_text(json.dumps(record))
    expander = load_expander(args.adapters[0], model=args.model)
    (Path(args.adapters[0]) / "expander.json").unlink()
    queries = make_plan(args).queries
    answers = expander.answers(queries)
    assert [one.text for one in answers] == expander.expand_queries(queries)
    assert all(one.completion_tokens > args.max_new_tokens for one in answers)


@pytest.mark.parametrize(("samples", "temperature"), [(0, 1.0), (4, 0.0)])
def test_samples_that_make_no_sense_are_refused(made, samples, temperature):
    with pytest.raises(KitError, match=f"--samples {samples} .*give 1 or more expansions"):
        make_plan(replace(made.args, samples=samples, temperature=temperature))


def test_rm3_is_left_out_aloud_where_pyserini_is_missing(made, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "pyserini", None)
    shutil.copytree(made.out / "evaluation.work", tmp_path / "evaluation.work")
    run_evaluation(replace(made.args, output_dir=str(tmp_path), baselines=["bm25s", "pyserini+rm3"]), EVALUATION)
    told = capfd.readouterr().err
    assert told.count("baseline pyserini+rm3 is left out: the extra pyserini is not installed: pip install") == 1
    assert "BM25+RM3 is missing: pip install 'query-expansion-kit[pyserini]'" in (tmp_path / "results.md").read_text()
    results = read(tmp_path)
    assert "pyserini+rm3" not in results["systems"] and "bm25s" in results["systems"]
    assert results["settings"]["missing"] == ["BM25+RM3"]
    # Once it is installed the results are no longer current.
    monkeypatch.undo()
    if not make_plan(replace(made.args, baselines=["pyserini+rm3"])).missing:
        assert make_plan(replace(made.args, baselines=["pyserini+rm3"])).settings["missing"] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "exam"}, "unknown --split 'exam'"),
        ({"pool_samples": 1}, "--pool_samples 1: give 2 or more"),
        ({"pool_samples": 0, "filter": "somewhere"}, "need candidates to choose from: give --pool_samples"),
        ({"pool_temperature": 0.0}, "--pool_temperature must be above 0"),
        ({"filter": "nowhere"}, "nowhere: no such filter"),
        ({"teachers": ["big"]}, "give NAME=SOURCE"),
        ({"teachers": ["big=nowhere.jsonl"]}, "no such file or folder"),
        ({"teachers": ["big={teacher},mode=zs"]}, "no row with mode=zs"),
        ({"teachers": ["sft={teacher}"]}, "systems need names of their own, and sft is taken"),
        ({"teachers": ["big={teacher}"] * 2}, "big is taken"),
        ({"teachers": ["x=term-regression,word=3"]}, "term-regression takes words="),
        ({"adapters": ["{adapter}", "{adapter}"]}, "sft is taken"),
        ({"num_queries": 99}, "has 14 judged test queries, not 99"),
        ({"retriever": "elastic"}, "no retriever 'elastic'"),
        ({"baselines": ["pyserini+rm3", "pyserini+rocchio"]}, "no retriever 'pyserini.rocchio'"),
        ({"baselines": ["hybrid(bm25s,rm3)"]}, "no retriever 'rm3'"),
    ],
    ids=str,
)
def test_what_cannot_be_evaluated_is_refused_before_anything_is_written(made, tmp_path, change, message):
    known = {"teacher": made.folder / "teacher.jsonl", "adapter": made.args.adapters[0]}
    change = {
        key: [one.format(**known) for one in value] if isinstance(value, list) else value
        for key, value in change.items()
    }
    with pytest.raises(KitError, match=message.replace("[", r"\[")) as caught:
        run_evaluation(replace(made.args, output_dir=str(tmp_path / "out"), **change), EVALUATION)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_recording_must_hold_every_query_once(made, tmp_path):
    tiny = load_collection(made.args.collection)
    queries = tiny.split("test")
    short = recorded(tmp_path / "short.jsonl", TEST[:-7])
    with pytest.raises(KitError, match=r"no expansion of 7 of the 14 queries \(q35, q36, q37, q38, q39 …\)"):
        load_teacher(f"big={short}", tiny, queries, 8)
    twice = recorded(recorded(tmp_path / "twice.jsonl", mode="zs"), mode="fs")
    with pytest.raises(KitError, match=r"2 expansions of query 'q28'.* by mode \(zs, fs\)"):
        load_teacher(f"big={twice}", tiny, queries, 8)
    teacher = load_teacher(f"big={twice},mode=fs", tiny, queries, 8)
    assert teacher.name == "big" and [one.text for one in teacher.write().expansions][2] == ""


def test_a_fitted_teacher_writes_for_every_query(made):
    tiny = load_collection(made.args.collection)
    queries = tiny.split("test")
    teacher = load_teacher("fitted=term-regression,words=2", tiny, queries, 8)
    texts = [one.text for one in teacher.write().expansions]
    assert len(texts) == len(queries) and max(len(text.split()) for text in texts) <= 2
    assert teacher.settings["words"] == 2


@needs_java
@pytest.mark.java
@pytest.mark.slow
def test_rm3_stands_in_the_table(made, tmp_path):
    from builders.retrievers.pyserini_index import PyseriniRetriever

    shutil.copytree(made.out / "evaluation.work", tmp_path / "evaluation.work")
    run_evaluation(replace(made.args, output_dir=str(tmp_path), baselines=["pyserini+rm3"]), EVALUATION)
    results = read(tmp_path)
    assert list(results["systems"])[:3] == ["plain", "pyserini+rm3", "big"] and results["missing"] == {}
    tiny = load_collection(made.args.collection)
    queries = tiny.split("test")
    rankings = PyseriniRetriever(tiny, rm3=True).search([query.text for query in queries], 10)
    found = [
        next((1 / rank for rank, hit in enumerate(hits, 1) if hit.document_id == f"d{query.id[1:]}"), 0.0)
        for query, hits in zip(queries, rankings, strict=True)
    ]
    assert results["systems"]["pyserini+rm3"]["mrr_at_10"] == pytest.approx(average(found))
    assert results["systems"]["sft"]["against"]["pyserini+rm3"]["p_corrected"] <= 1
    assert "| Δ against pyserini+rm3 |" in (tmp_path / "results.md").read_text()


@pytest.mark.slow
def test_two_processes_make_the_same_results(made, results, tmp_path):
    """World size 2 by gloo: test queries and the pool are dealt out in whole blocks."""
    recipe = {key: value for key, value in vars(made.args).items() if value is not None}
    (tmp_path / "recipe.yaml").write_text(json.dumps({**recipe, "output_dir": str(tmp_path / "out")}))
    arguments = ["train/evaluate.py", "--config", tmp_path / "recipe.yaml"]
    done = launch(*arguments, config="cpu_two_processes.yaml", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out/evaluation.work").iterdir())) == 2
    two = read(tmp_path / "out")
    own = ("output_dir", "command")
    for name in ("systems", "pool", "settings"):
        assert {k: v for k, v in untimed(two)[name].items() if k not in own} == {
            k: v for k, v in untimed(results)[name].items() if k not in own
        }
    again = command(*arguments, cwd=ROOT)
    assert again.returncode == 0 and "up to date" in again.stderr


# ------------------------------------------------------------------------------------------------- parts


def test_own_words_and_shown_words_are_searched_by_themselves(made):
    searched = load_collection(made.args.collection)
    query = replace(searched.split("test")[0], text="shared words here")
    written = ExpandedQueries(
        [Expansion("Sharing first28, hereafter prompted", 0, 4, "stop")], [("system", "prompted")]
    )
    found = word_parts("sft", written, [query], Bm25sRetriever(searched))
    assert {name: one.expansions[0].text for name, one in found.items()} == {
        "sft, own words": "first28, hereafter",
        "sft, shown words": "Sharing prompted",
    }
    assert all(list(one.tokens) == [0] for one in found.values())


def test_an_evaluation_searches_with_parts(made, tmp_path):
    args = replace(made.args, output_dir=str(tmp_path / "out"), parts=True, pool_samples=0, teachers=[])
    run_evaluation(args, EVALUATION)
    found, rows = read(tmp_path / "out"), rows_of(tmp_path / "out")
    assert list(found["systems"])[-3:] == ["sft", "sft, own words", "sft, shown words"]
    assert {len(some) for some in rows.values()} == {len(TEST)}
    for whole, own, shown in zip(*(rows[name] for name in list(rows)[-3:]), strict=True):
        assert sorted(whole["expansion"].split()) == sorted(f"{own['expansion']} {shown['expansion']}".split())

"""The matrix of expanders and retrievers: every cell against the grader and against arithmetic done by hand."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.collections.load import load_collection
from builders.errors import KitError
from builders.grading.grader import Grader
from builders.grading.results_form import NONE, rows_by_system
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from tests.support.evaluation_collection import TEST, WRITES, collection
from tests.support.tiny_student import base_model, student
from tests.support.word_encoder import word_encoder
from train.evaluation.evaluation_arguments import MatrixArguments
from train.evaluation.evaluation_plan import make_matrix_plan, named_students
from train.evaluation.results_writer import MATRIX
from train.evaluation.retriever_specs import Searcher, load_searchers
from train.evaluation.running import run_evaluation


FORMATIONS = {"bm25": "q*2+e", "dense": "mean", "hybrid": "hybrid(q*5+e,mean)"}
EXPANDERS = ("none", "base", "sft")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """A base model, an adapter of it, BM25, an encoder of random weights, and both together."""
    pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")
    folder = tmp_path_factory.mktemp("matrix")
    base = base_model(folder / "base")
    words = [f"{word}{n}" for n in range(42) for word in ("first", "second", "shared", "eighth")]
    encoder = word_encoder(folder / "encoder", [*words, *WRITES, "shared"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUERY_EXPANSION_KIT_CACHE", str(folder / "cache"))
        # Fewer than a result needs, for the sake of time.
        patch.setattr("builders.measures.significance.RESAMPLES", 999)
        args = MatrixArguments(
            output_dir=str(folder / "out"),
            model=str(base),
            adapters=[str(student(folder / "models", base))],
            retrievers=["bm25=bm25s|q*2+e", f"dense=dense:{encoder}", f"hybrid=hybrid(bm25s,dense:{encoder})"],
            reference="none/dense",
            against=["base/bm25"],
            collection=str(collection(folder / "tiny")),
            num_queries=0,
            max_new_tokens=6,
            block=8,
        )
        run_evaluation(args, MATRIX)
        yield SimpleNamespace(folder=folder, args=args, out=folder / "out", encoder=encoder)


@pytest.fixture(scope="module")
def results(made) -> dict:
    return json.loads((made.out / "matrix.json").read_text())


@pytest.fixture(scope="module")
def rows(results) -> dict[str, dict]:
    return rows_by_system(results)


def written(made) -> dict[str, dict[str, str]]:
    """Expander → query id → its expansion, from the logs; the base's was asked first."""
    logs = sorted((made.out / "matrix.work").rglob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    assert len(logs) == 2, "each expander answers once, whatever the number of retrievers"
    found = {"none": dict.fromkeys(TEST, "")}
    for name, path in zip(("base", "sft"), logs, strict=True):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found[name] = {line["key"]: line["answers"][0]["text"] for line in lines}
    assert all(set(answers) == set(TEST) for answers in found.values())
    return found


def graded(made, results, answers) -> dict[str, list]:
    """Cell → the grades of its queries, by the grader."""
    tiny = load_collection(made.args.collection)
    ids = [query.id for query in tiny.split("test")]
    found = {}
    for name, one in results["retrievers"].items():
        grader = Grader(tiny, load_retriever(one["spec"], tiny), load_formulation(FORMATIONS[name]))
        for expander in EXPANDERS:
            found[f"{expander}/{name}"] = grader.expanded([(key, answers[expander][key]) for key in ids])
    return found


def average(numbers) -> float:
    listed = list(numbers)
    return sum(listed) / len(listed)


def test_every_cell_is_what_the_grader_makes_of_the_same_answers(made, results, rows):
    assert list(rows) == [f"{expander}/{name}" for name in FORMATIONS for expander in EXPANDERS]
    grades = graded(made, results, written(made))
    scores = {name: [grade.ndcg_at_10 for grade in found] for name, found in grades.items()}
    assert len({round(average(values), 6) for values in scores.values()}) > 4, "nothing to tell the cells apart by"
    for name, row in rows.items():
        assert results["retrievers"][row["retriever"]]["formation"] == FORMATIONS[row["retriever"]]
        for measure in ("ndcg_at_10", "mrr_at_10", "recall_at_100"):
            assert row[measure] == pytest.approx(average(getattr(grade, measure) for grade in grades[name]))
        for compared, base in ((row["against"]["none/dense"], "none/dense"), (row["own"], f"none/{row['retriever']}")):
            deltas = [own - other for own, other in zip(scores[name], scores[base], strict=True)]
            assert compared["delta_ndcg_at_10"] == pytest.approx(average(deltas), abs=1e-12)
            assert compared["relative"] == pytest.approx(average(deltas) / average(scores[base]), abs=1e-12)
            assert compared["helped"] == average(delta > 1e-9 for delta in deltas)
            assert compared["hurt"] == average(delta < -1e-9 for delta in deltas)
            low, high = compared["delta_ci95"]
            assert low <= compared["delta_ndcg_at_10"] <= high
        assert row["search_ms_per_query"] > 0 and row["peak_mib"] > 1
        assert ("ms_per_query" in row) == (row.get("tokens_per_query", 0) > 0) == (row["expander"] != "none")


def test_what_a_prompt_shows_stands_beside_what_a_model_makes_of_it(made, tmp_path, monkeypatch):
    monkeypatch.setattr("builders.measures.significance.RESAMPLES", 999)
    grounded = {"prompt": "keywords-passages-zero-shot", "adapters": [], "retrievers": ["bm25=bm25s|q*2+e"]}
    settings = {**grounded, "reference": None, "against": ["passages alone/bm25"], "output_dir": str(tmp_path / "out")}
    args = replace(made.args, **settings)
    run_evaluation(args, MATRIX)
    results = json.loads((tmp_path / "out/matrix.json").read_text())
    assert [row["expander"] for row in results["rows"]] == [NONE, "passages alone", "base"]
    plan = make_matrix_plan(args)
    tiny, ids = plan.collection, [query.id for query in plan.queries]
    texts = plan.shown_texts()
    grader = Grader(tiny, load_retriever("bm25s", tiny), load_formulation("q*2+e"))
    found = grader.expanded(list(zip(ids, texts, strict=True)))
    shown = results["rows"][1]
    assert all(texts) and shown["ndcg_at_10"] == pytest.approx(average(grade.ndcg_at_10 for grade in found))
    assert shown["tokens_per_query"] == 0 and "identity" not in shown
    assert "`passages alone`: what the prompt shows" in (tmp_path / "out/matrix.md").read_text()


def test_a_dense_cell_by_hand(made, rows):
    """MRR@10 of (f(q) + f(e)) / 2 over parts of length 1, without a line of the kit's retrievers."""
    import numpy as np
    from sentence_transformers import SentenceTransformer

    tiny = load_collection(made.args.collection)
    model = SentenceTransformer(str(made.encoder), device="cpu")
    documents = dict(tiny.indexed_texts())
    vectors = model.encode(list(documents.values()), normalize_embeddings=True)
    queries = [query for query in tiny.split("test") if query.id in TEST]
    for expander, answers in written(made).items():
        found = []
        for query in queries:
            parts = [text for text in (query.text, answers[query.id]) if text.strip()]
            vector = np.mean(model.encode(parts, normalize_embeddings=True), axis=0)
            scores = dict(zip(documents, np.round(vectors @ vector, 6), strict=True))
            ranked = sorted(documents, key=lambda key: (-scores[key], key))
            rank = ranked.index(f"d{query.id[1:]}") + 1
            found.append(1 / rank if rank <= 10 else 0.0)
        assert rows[f"{expander}/dense"]["mrr_at_10"] == pytest.approx(average(found), abs=1e-6)


def test_p_values_are_corrected_over_their_own_family(results, rows):
    """Holm by hand: the smallest of n counts n times, the next n − 1 times, and none falls below the one before."""
    against = [row["against"]["base/bm25"] for name, row in rows.items() if name != "base/bm25"]
    to_reference = {name: row["against"]["none/dense"] for name, row in rows.items()}
    families = [
        [row for name, row in to_reference.items() if name != "none/dense"],
        [row["own"] for row in rows.values() if row["expander"] != "none"],
        against,
    ]
    assert [len(family) for family in families] == [8, 6, 8] and results["correction"]["tests"] == 8
    for family in families:
        before = 0.0
        for place, (p_value, corrected) in enumerate(sorted((row["p_value"], row["p_corrected"]) for row in family)):
            before = max(before, min(1.0, p_value * (len(family) - place)))
            assert corrected == pytest.approx(before)
    reference = to_reference["none/dense"]
    assert results["reference"] == "none/dense" and reference["relative"] == 0 and reference["delta_ci95"] == [0, 0]
    assert reference["p_value"] == reference["p_corrected"] == 1
    assert min(row["p_value"] for row in to_reference.values()) < 0.05
    assert set(rows["base/bm25"]["against"]) == {"none/dense"}
    assert rows["none/dense"]["against"]["base/bm25"]["delta_ndcg_at_10"] == pytest.approx(
        -to_reference["base/bm25"]["delta_ndcg_at_10"]
    )


def test_the_queries_behind_the_cells(made, rows):
    import pyarrow.parquet as parquet

    by_cell: dict[str, list[dict]] = {}
    for row in parquet.read_table(made.out / "per_query.parquet").to_pylist():
        assert row["system"] == f"{row['expander']}/{row['retriever']}"
        by_cell.setdefault(row["system"], []).append(row)
    assert list(by_cell) == list(rows)
    answers = written(made)
    for name, own in by_cell.items():
        assert {one["query_id"] for one in own} == set(TEST) and len(own) == len(TEST)
        assert average(one["ndcg_at_10"] for one in own) == pytest.approx(rows[name]["ndcg_at_10"])
        assert average(one["delta_ndcg_at_10"] for one in own) == pytest.approx(
            rows[name]["against"]["none/dense"]["delta_ndcg_at_10"], abs=1e-12
        )
        assert average(one["delta_own"] for one in own) == pytest.approx(
            rows[name]["own"]["delta_ndcg_at_10"], abs=1e-12
        )
        assert {one["query_id"]: one["expansion"] for one in own} == answers[rows[name]["expander"]]


def test_the_record_says_what_was_measured(made, results, rows):
    assert "identity" not in rows["none/dense"]
    assert rows["sft/dense"]["identity"]["adapter"].startswith("sft@sha256:") and rows["sft/dense"]["checks"]
    assert results["retrievers"]["dense"]["spec"] == f"dense:{made.encoder}"
    assert results["retrievers"]["dense"]["name"].startswith("dense(encoder,sha256:")
    assert results["queries"] == len(TEST) and results["split"] == "test" and results["collection"]["fingerprint"]
    assert set(results["timing"]) == {"finished", "generation_seconds", "searching_and_testing_seconds"}
    assert {"command", "code_version", "versions", "hardware"} < set(results)


def test_the_tables_show_what_the_json_holds(made, rows):
    text = (made.out / "matrix.md").read_text()
    lines = [line.replace("**", "") for line in text.splitlines()]
    for row in rows.values():
        start = f"| {row['retriever']} | {row['expander']} | {row['ndcg_at_10']:.4f} | {row['mrr_at_10']:.4f} |"
        assert sum(line.startswith(start) for line in lines) == 1, start
        assert sum(line.startswith(f"| {row['retriever']} | {row['expander']} |") for line in lines) == 3
    [reference] = [line for line in lines if "| reference |" in line]
    assert reference.startswith("| dense | none |") and "| Δ to base/bm25, relative, p |" in text
    assert text.count("**") == 2 * sum(
        row["ndcg_at_10"] == max(one["ndcg_at_10"] for one in rows.values() if one["retriever"] == row["retriever"])
        for row in rows.values()
    )
    assert (made.out / "matrix.png").read_bytes().startswith(b"\x89PNG")
    for expander in EXPANDERS:
        own = [rows[f"{expander}/{retriever}"] for retriever in FORMATIONS]
        cells = [
            f"{row['ndcg_at_10']:.4f}"
            + (
                f" ({100 * compared['relative']:+.1f} %{'*' if compared['p_corrected'] < 0.01 else ''})"
                if (expander, row["retriever"]) != ("none", "dense")
                else ""
            )
            for row, compared in ((row, row["against"]["none/dense"]) for row in own)
        ]
        assert f"| {expander} | {' | '.join(cells)} |" in lines, "the matrix at a glance"


@pytest.mark.slow
def test_answers_are_never_asked_twice(made, results, capfd):
    before = {path: path.read_bytes() for path in made.out.rglob("*") if path.is_file()}
    run_evaluation(made.args, MATRIX)
    assert "results up to date" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    (made.out / "matrix.json").unlink()
    path = max((made.out / "matrix.work").rglob("*.jsonl"))
    *whole, lost = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole) + lost[:-5])
    run_evaluation(made.args, MATRIX)
    assert path.read_bytes() == before[path]
    told = re.findall(r"(\d+) queries, (\d+) done before", capfd.readouterr().err)
    assert sorted(int(asked) - int(done) for asked, done in told) == [0, 1]
    again = json.loads((made.out / "matrix.json").read_text())
    timed = ("search_ms_per_query", "ms_per_query", "peak_mib", "peak_memory_mib")
    assert [{k: v for k, v in row.items() if k not in timed} for row in again["rows"]] == [
        {k: v for k, v in row.items() if k not in timed} for row in results["rows"]
    ]


def test_a_retriever_that_was_trained_again_is_another_one(made, tmp_path):
    """Its folder has the same name and other weights: results made with the old ones are not current."""
    shutil.copytree(made.encoder, tmp_path / "retriever")
    args = replace(made.args, retrievers=[f"dense=dense:{tmp_path / 'retriever'}"], against=[])
    first = make_matrix_plan(args).settings
    assert make_matrix_plan(args).settings == first
    config = tmp_path / "retriever/config_sentence_transformers.json"
    config.write_text(config.read_text() + "\n")
    assert make_matrix_plan(args).settings["retrievers"]["dense"]["name"] != first["retrievers"]["dense"]["name"]


def test_names_specifications_and_formations():
    assert load_searchers(
        ["t=dense:out/a=b/r@main|mean", "h=hybrid(bm25s,dense:package:x)|hybrid(q*5+e,mean)", "b=bm25s"]
    ) == [
        Searcher("t", "dense:out/a=b/r@main", "mean"),
        Searcher("h", "hybrid(bm25s,dense:package:x)", "hybrid(q*5+e,mean)"),
        Searcher("b", "bm25s", None),
    ]
    assert named_students(["out/r1/models/expander", "second=out/r2/models/expander", "owner/name"]) == {
        "base": None,
        "expander": "out/r1/models/expander",
        "second": "out/r2/models/expander",
        "name": "owner/name",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"retrievers": ["x=elastic"]}, "retriever 'x': no retriever 'elastic'"),
        ({"retrievers": ["bm25s"]}, "--retrievers 'bm25s': give NAME=RETRIEVER"),
        ({"retrievers": []}, "--retrievers: give at least one"),
        ({"retrievers": ["b=bm25s|q*2+e", "b=bm25s"]}, "--retrievers: b is there twice"),
        ({"retrievers": ["b=bm25s|mean"]}, "retriever 'b': formation 'mean' averages vectors"),
        ({"retrievers": ["t=dense:{folder}/out/retriever"]}, "retriever 't': unknown encoder"),
        ({"adapters": ["{adapter}", "{adapter}"]}, "--adapters: the name 'sft' is taken; give NAME=ADAPTER"),
        ({"adapters": ["none={adapter}"]}, "the name 'none' is taken"),
        (
            {"adapters": ["regression alone={adapter}"], "prompt": "keywords-regression-zero-shot"},
            "the name 'regression alone' is that of what the prompt shows",
        ),
        ({"adapters": ["other={other}"]}, "belongs to 'somebody/else', not to"),
        ({"reference": "sft/bm52"}, "--reference 'sft/bm52' is no cell of the matrix; there are none/bm25, base/bm25"),
        ({"against": ["dpo/bm25"]}, "--against 'dpo/bm25' is no cell"),
        ({"split": "exam"}, "unknown --split 'exam'"),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused_before_anything_is_written(made, tmp_path, change, message):
    known = {"adapter": made.args.adapters[0], "other": tmp_path / "other", "folder": tmp_path}
    shutil.copytree(known["adapter"], known["other"])
    config = json.loads((known["other"] / "adapter_config.json").read_text())
    (known["other"] / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": "somebody/else"})
    )
    change = {
        key: [one.format(**known) for one in value] if isinstance(value, list) else value
        for key, value in change.items()
    }
    small = {"reference": None, "against": [], "retrievers": ["bm25=bm25s"]}
    with pytest.raises(KitError) as caught:
        run_evaluation(replace(made.args, output_dir=str(tmp_path / "out"), **{**small, **change}), MATRIX)
    assert message in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_make_the_same_matrix(made, results, tmp_path):
    from tests.support.commands import launch

    recipe = {key: value for key, value in vars(made.args).items() if value is not None}
    (tmp_path / "recipe.yaml").write_text(json.dumps({**recipe, "output_dir": str(tmp_path / "out")}))
    done = launch(
        "train/matrix.py", "--config", tmp_path / "recipe.yaml", config="cpu_two_processes.yaml", OMP_NUM_THREADS="1"
    )
    assert done.returncode == 0, done.stderr
    assert len(list(Path(tmp_path / "out/matrix.work").iterdir())) == 2
    two = json.loads((tmp_path / "out/matrix.json").read_text())
    for own, other in zip(two["rows"], results["rows"], strict=True):
        assert own["ndcg_at_10"] == other["ndcg_at_10"] and own["own"]["p_corrected"] == other["own"]["p_corrected"]

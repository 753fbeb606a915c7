"""Grading what anyone has: recorded expansions and runs on any collection, by hand-worked and published values."""

import gzip
import json
from math import log2
from pathlib import Path

import pyarrow.parquet
import pytest

from builders.commands.grade import GradeArguments, grade, main
from builders.errors import KitError
from builders.grading.results_form import in_one_form, one_retriever
from builders.measures.trec_run import read_run
from tests.support.commands import ROOT, command_here, refused


SECOND = 1 / log2(3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """Twelve documents of words of their own. Test queries 0–3 name none of them, 4–7 name theirs."""
    folder = tmp_path_factory.mktemp("grade") / "tiny"
    (folder / "qrels").mkdir(parents=True)
    words = {n: " ".join(f"{letter}{n}x" for letter in "abcdefghij") for n in range(12)}
    lines = [json.dumps({"_id": f"d{n}", "title": "", "text": words[n]}) for n in words]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    texts = {f"q{n}": f"nothing{n}" if n < 4 else f"a{n}x" for n in range(8)} | {"t8": "a8x", "t9": "a9x"}
    lines = [json.dumps({"_id": query_id, "text": text}) for query_id, text in texts.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n")
    head = "query-id\tcorpus-id\tscore\n"
    (folder / "qrels/test.tsv").write_text(head + "".join(f"q{n}\td{n}\t1\n" for n in range(8)))
    (folder / "qrels/train.tsv").write_text(head + "t8\td8\t1\nt9\td9\t1\n")
    return folder


def document(number: int) -> str:
    return " ".join(f"{letter}{number}x" for letter in "abcdefghij")


# Helped: found at last. Hurt: nine words of another document outweigh the query. Unchanged, empty, missing.
WRITTEN = {"q0": document(0), "q1": document(1), "q2": "no such word", "q3": "", "q4": document(5), "q5": document(5)}


def jsonl(path: Path, rows: list[dict]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows(id_field="query_id", **attributes) -> list[dict]:
    return [{id_field: query_id, "expansion": text, **attributes} for query_id, text in WRITTEN.items()]


def graded(tiny: Path, *more: str | Path, capsys=None, tmp_path: Path | None = None) -> dict:
    main(["--collection", str(tiny), *map(str, more)])
    return json.loads(Path(more[list(map(str, more)).index("--out") + 1]).read_text())


def test_gain_and_harm_by_hand(tiny, tmp_path, capsys):
    source = jsonl(tmp_path / "teacher.jsonl.gz", rows(id_field="qid", model="m"))
    results = graded(tiny, "--expansions", source, "--out", tmp_path / "results.json")
    plain, teacher = results["systems"]["plain"], results["systems"]["teacher"]
    assert list(results["systems"]) == ["plain", "teacher"]
    # Plain: queries 4–7 find their document at the top.
    assert (plain["queries"], plain["ndcg_at_10"], plain["mrr_at_10"], plain["recall_at_100"]) == (8, 0.5, 0.5, 0.5)
    assert (plain["helped"], plain["hurt"], plain["unchanged"], plain["p_value"]) == (0, 0, 1, 1)
    assert teacher["ndcg_at_10"] == pytest.approx((2 + SECOND + 3) / 8)
    assert teacher["mrr_at_10"] == pytest.approx((2 + 1 / 2 + 3) / 8)
    assert teacher["recall_at_100"] == 6 / 8
    assert (teacher["helped"], teacher["hurt"], teacher["unchanged"]) == (2 / 8, 1 / 8, 5 / 8)
    assert teacher["delta_ndcg_at_10"] == pytest.approx(teacher["ndcg_at_10"] - 0.5)
    assert teacher["delta_ci95"][0] < teacher["delta_ndcg_at_10"] < teacher["delta_ci95"][1]
    assert (teacher["missing"], teacher["empty"]) == (2, 1)
    assert results["formation"] == "q*5+e" and results["retriever"].startswith("bm25s(")
    assert results["collection"]["name"] == "tiny" and results["settings"]["split"] == "test"
    printed = capsys.readouterr()
    assert "| teacher | 0.7039 |" in printed.out and "8 test queries of tiny" in printed.out
    assert "2 of 8 queries have no recorded expansion" in printed.err


def test_every_query_is_beside_the_results(tiny, tmp_path):
    source = jsonl(tmp_path / "teacher.jsonl", rows(id_field="_id"))
    results = graded(tiny, "--expansions", source, "--out", tmp_path / "r.json", "--system", "mine")
    table = pyarrow.parquet.read_table(tmp_path / "r.per_query.parquet").to_pylist()
    assert [(row["system"], row["query_id"]) for row in table] == [
        (s, f"q{n}") for s in ("plain", "mine") for n in range(8)
    ]
    for name, system in results["systems"].items():
        mine = [row for row in table if row["system"] == name]
        for measure in ("ndcg_at_10", "mrr_at_10", "recall_at_100", "delta_ndcg_at_10"):
            assert sum(row[measure] for row in mine) / len(mine) == pytest.approx(system[measure])
        assert sum(row["delta_ndcg_at_10"] < 0 for row in mine) / 8 == system["hurt"]
    (hurt,) = [row for row in table if row["delta_ndcg_at_10"] < 0]
    assert (hurt["query_id"], hurt["expansion"], hurt["gold_rank"]) == ("q4", document(5), 2)


def test_the_row_is_the_one_that_evaluation_writes(tiny, tmp_path):
    """Whoever reads results.json of `train/evaluate.py` reads this one too."""
    recorded = one_retriever(in_one_form(json.loads((ROOT / "benchmarks/results/demo.json").read_text())))
    results, _ = grade(GradeArguments(str(tiny), expansions=str(jsonl(tmp_path / "a.jsonl", rows()))))
    assert set(results["systems"]["plain"]) <= set(recorded["systems"]["plain"])
    assert {"code_version", "versions", "collection", "retriever", "formation", "depth", "seed"} <= set(results)
    assert results["collection"].keys() >= {"name", "language", "fingerprint", "source", "licence", "judgments"}


def test_without_expansions_it_is_the_plain_baseline(tiny, tmp_path, capsys):
    results = graded(tiny, "--out", tmp_path / "plain.json", "--split", "all")
    assert list(results["systems"]) == ["plain"] and results["systems"]["plain"]["ndcg_at_10"] == 6 / 10
    assert "10 judged queries of tiny" in capsys.readouterr().out


def test_the_same_again_is_the_same(tiny, tmp_path):
    source = jsonl(tmp_path / "teacher.jsonl", rows())
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        graded(tiny, "--expansions", source, "--out", tmp_path / name / "r.json")
    for file in ("r.json", "r.per_query.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_filters_in_one_flag_or_several(tiny, tmp_path):
    mixed = [row for mode in ("zs", "fs") for model in ("big", "small") for row in rows(mode=mode, model=model, k=5)]
    mixed = [row | {"expansion": row["expansion"] if row["mode"] == "zs" else ""} for row in mixed]
    source = jsonl(tmp_path / "mixed.jsonl", mixed)
    one = ["--where", "mode=zs", "model=big"]
    several = ["--where", "mode=zs", "--where", "model=big"]
    for number, flags in enumerate((one, several)):
        results = graded(tiny, "--expansions", source, *flags, "--out", tmp_path / f"{number}.json")
        assert list(results["systems"]) == ["plain", "zs-big"]
        assert results["systems"]["zs-big"]["helped"] == 2 / 8
        assert results["settings"]["where"] == ["mode=zs", "model=big"]
    results = graded(tiny, "--expansions", source, "--where", "mode=fs", "model=big", "--out", tmp_path / "fs.json")
    assert results["systems"]["fs-big"]["unchanged"] == 1


def test_the_text_may_lie_under_other_names(tiny, tmp_path):
    renamed = [{"query_id": row["query_id"], "pseudo_doc": row["expansion"]} for row in rows()]
    source = str(jsonl(tmp_path / "query2doc.jsonl", renamed))
    results, _ = grade(GradeArguments(str(tiny), expansions=source, text_fields=["pseudo_doc"]))
    assert results["systems"]["query2doc"]["ndcg_at_10"] == pytest.approx((2 + SECOND + 3) / 8)


def test_labels_and_reasoning_are_taken_out_and_counted(tiny, tmp_path, capsys):
    """As they are out of every answer: what stands in them would be searched for."""
    said = {"q0": f"**Passage:** {document(0)}", "q1": f"Answer: {document(1)}"}
    said["q4"] = f"<think>a9x</think>{document(5)}"
    told = [{**row, "expansion": said.get(row["query_id"], row["expansion"])} for row in rows()]
    found, per_query = grade(GradeArguments(str(tiny), expansions=str(jsonl(tmp_path / "teacher.jsonl", told))))
    assert "label taken out of 2 of 6 recorded expansions" in capsys.readouterr().err
    assert found["systems"]["teacher"]["stripped"] == {"label": 2, "reasoning": 1}
    assert {row["query_id"]: row["expansion"] for row in per_query if row["expansion"]} == {
        query_id: text for query_id, text in WRITTEN.items() if text
    }
    clean, same = grade(GradeArguments(str(tiny), expansions=str(jsonl(tmp_path / "teacher.jsonl", rows()))))
    assert per_query == same and "stripped" not in clean["systems"]["teacher"]


def test_several_expansions_of_a_query_are_not_guessed_at(tiny, tmp_path):
    mixed = [row for mode in ("zs", "fs") for model in ("a", "b", "c") for row in rows(mode=mode, model=model, k=5)]
    source = str(jsonl(tmp_path / "mixed.jsonl", mixed))
    with pytest.raises(KitError, match=r"6 expansions of query 'q0'.*mode \(zs, fs\), model \(a, b, c\)$"):
        grade(GradeArguments(str(tiny), expansions=source))
    with pytest.raises(KitError, match=r"2 expansions of query 'q0'.*by mode \(zs, fs\)$"):
        grade(GradeArguments(str(tiny), expansions=source, where=["model=b"]))
    twice = str(jsonl(tmp_path / "twice.jsonl", rows() + rows()))
    with pytest.raises(KitError, match="alike in every field, so keep one row"):
        grade(GradeArguments(str(tiny), expansions=twice))


def run_file(path: Path, hits: dict[str, list[str]], scores: list[float] | None = None) -> Path:
    lines = [
        f"{topic} Q0 {found} {rank} {(scores or list(range(100, 0, -1)))[rank - 1]} tag\n"
        for topic, ranking in hits.items()
        for rank, found in enumerate(ranking, start=1)
    ]
    path.write_text("".join(lines))
    return path


def test_runs_are_compared_with_the_first(tiny, tmp_path, capsys):
    ours = {f"q{n}": ["d11", f"d{n}"] for n in range(7)}
    base = run_file(tmp_path / "engine.plain.trec", ours)
    better = run_file(tmp_path / "engine.expanded.trec", ours | {"q0": ["d0"], "q1": ["d11", "d10"]})
    results = graded(tiny, "--run", base, better, "--out", tmp_path / "r.json")
    first, second = results["systems"].values()
    assert list(results["systems"]) == ["engine.plain", "engine.expanded"] and results["baseline"] == "engine.plain"
    assert first["ndcg_at_10"] == pytest.approx(7 * SECOND / 8) and first["missing"] == 1
    assert second["ndcg_at_10"] == pytest.approx((1 + 5 * SECOND) / 8)
    assert (second["helped"], second["hurt"], second["unchanged"]) == (1 / 8, 1 / 8, 6 / 8)
    assert results["retriever"] is None and results["formation"] is None
    assert "against `engine.plain`." in capsys.readouterr().out


def test_a_run_is_ordered_as_trec_eval_orders_it(tmp_path):
    run = run_file(tmp_path / "run", {"q": ["d1", "d2", "d3", "d4"]}, scores=[1.0, 2.5, 2.5, -3])
    assert read_run(run) == {"q": ["d3", "d2", "d1", "d4"]}


def test_a_run_of_ms_marco_names_ranks_alone(tmp_path):
    """Lines in any order; a rank of 10 stands behind one of 9."""
    run = tmp_path / "run.tsv"
    run.write_text("q\td10\t10\nq\td9\t9\nq\td1\t1\nr\td7\t1\n")
    assert read_run(run) == {"q": ["d1", "d9", "d10"], "r": ["d7"]}
    run.write_text("q\td10\tfirst\n")
    with pytest.raises(KitError, match="row 1: 3 columns where 6 are expected"):
        read_run(run)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 d1 1 2.5 tag\nq1 Q0 d2 2 1.5\n", "row 2: 5 columns where 6 are expected"),
        ("q1 Q0 d1 1 high tag\n", "row 1: score 'high' is not a number"),
        ("q1 Q0 d1 1 nan tag\n", "row 1: score 'nan' is not a number"),
        ("q1 Q0 d1 1 2 tag\nq1 Q0 d1 2 1 tag\n", "row 2: topic 'q1' names document 'd1' twice"),
        ("\n\n", "no hits in it"),
    ],
)
def test_a_malformed_run_is_refused_with_its_row(tmp_path, text, message):
    (tmp_path / "bad.trec").write_text(text)
    with pytest.raises(KitError, match=message) as error:
        read_run(tmp_path / "bad.trec")
    assert "bad.trec" in str(error.value)


def test_a_cut_off_run_is_refused(tmp_path):
    (tmp_path / "cut.trec.gz").write_bytes(
        gzip.compress(b"".join(b"q1 Q0 d%d 1 2.5 tag\n" % n for n in range(99)))[:-20]
    )
    with pytest.raises(KitError, match="cut off or damaged"):
        read_run(tmp_path / "cut.trec.gz")


def test_a_run_over_other_topics_or_documents_is_refused(tiny, tmp_path):
    cases = [
        ({"x1": ["d1"], "x2": ["d2"]}, "2 of its 2 topics are not in collection 'tiny', the first is 'x1'"),
        ({"q1": ["d1"], "q2": ["d2"]}, "it ranks documents for 2 of the 8 queries"),
        ({f"q{n}": [f"page{n}"] for n in range(8)}, "none of its documents is judged in 'tiny'"),
    ]
    for hits, message in cases:
        with pytest.raises(KitError, match=message):
            grade(GradeArguments(str(tiny), run=[str(run_file(tmp_path / "run", hits))]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expansions", "nowhere.jsonl"], "recorded expansions 'nowhere.jsonl': no such file"),
        (["--expansions", "FILE", "--where", "method=hyde"], "no row with method=hyde"),
        (["--expansions", "FILE", "--where", "model=gpt"], "no row with model=gpt; it has m"),
        (["--expansions", "FILE", "--where", "model"], "give field=value"),
        (["--expansions", "FILE", "--split", "train"], "it has expansions of 0 of the 2 queries"),
        (["--expansions", "FILE", "--split", "validation"], "no judged validation queries, but 2 train, 8 test"),
        (["--expansions", "FILE", "--split", "dev"], "unknown --split 'dev'"),
        (["--expansions", "FILE", "--run", "x.trec"], "--run and --expansions: give one of them"),
        (["--expansions", "FILE", "--system", "plain"], "'plain' is the query without expansion"),
        (["--expansions", "FILE", "--where", "kind=plain"], "'plain' is the query without expansion"),
        (["--expansions", "FILE", "--formation", "q+q"], "no formation 'q+q'"),
        (["--expansions", "FILE", "--retriever", "google"], "no retriever 'google'"),
        (["--expansions", "FILE", "--out", "."], "give the name of a .json file"),
        (["--where", "model=m"], "give --expansions too"),
        (["--text_fields", "hyde"], "give --expansions too"),
        (["--run", "x.trec"], "x.trec: no such file"),
        (["--run", "a/x.trec", "b/x.trec"], "two are alike"),
        (["--run", "a.trec", "b.trec", "--system", "mine"], "a single --run"),
    ],
)
def test_bad_input_is_one_clear_line(tiny, tmp_path, arguments, message):
    source = str(jsonl(tmp_path / "teacher.jsonl", rows(model="m", kind="plain")))
    with pytest.raises(KitError) as error:
        main(["--collection", str(tiny), *(source if word == "FILE" else word for word in arguments)])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_command_refuses_with_exit_code_2_and_writes_nothing(tiny, tmp_path):
    source = jsonl(tmp_path / "teacher.jsonl", [{"query": "q0", "expansion": "text"}])
    out = tmp_path / "out" / "results.json"
    line = refused(command_here("-m", "builders", "grade", "--collection", tiny, "--expansions", source, "--out", out))
    assert "teacher.jsonl, row 1:" in line and "query_id" in line and not out.parent.exists()


def test_the_command(tiny, tmp_path):
    source = jsonl(tmp_path / "teacher.jsonl", rows())
    out = tmp_path / "out" / "results.json"
    done = command_here("-m", "builders", "grade", "--collection", tiny, "--expansions", source, "--out", out)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert results["command"].startswith("python -m builders grade --collection ")
    assert done.stdout.startswith("8 test queries of tiny") and "| plain | 0.5000 |" in done.stdout
    assert sorted(path.name for path in out.parent.iterdir()) == ["results.json", "results.per_query.parquet"]

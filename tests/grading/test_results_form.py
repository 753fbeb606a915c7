"""Older results, as they were recorded, in the form of today: the same numbers under the names that readers use."""

import json

import pytest

from builders.errors import KitError
from builders.grading.results_form import NONE, in_one_form, one_retriever, read_results, rows_by_system
from tests.support.commands import ROOT


RECORDED = {path.stem: json.loads(path.read_text()) for path in (ROOT / "benchmarks/results").glob("*.json")}
EVALUATIONS = {name: results for name, results in RECORDED.items() if "systems" in results}
MATRICES = {name: results for name, results in RECORDED.items() if "expanders" in results}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_an_older_evaluation_keeps_its_systems(name):
    results = EVALUATIONS[name]
    found = one_retriever(in_one_form(results))
    assert list(found["systems"]) == list(results["systems"])
    for system, row in results["systems"].items():
        assert {key: found["systems"][system][key] for key in row} == row
    assert all(found[key] == results[key] for key in results if key != "systems")


@pytest.mark.parametrize("name", MATRICES)
def test_an_older_matrix_keeps_its_comparisons(name):
    results = MATRICES[name]
    found = rows_by_system(in_one_form(results))
    for row in results["rows"]:
        own = found[f"{row['expander']}/{row['retriever']}"]
        for compared, suffix in ((own["against"][results["reference"]], ""), (own["own"], "_own")):
            assert compared["delta_ndcg_at_10"] == row[f"delta{suffix}"]
            assert compared["delta_ci95"] == row[f"interval{suffix}"]
            assert [compared[key] for key in ("helped", "p_corrected")] == [
                row[f"{key}{suffix}"] for key in ("helped", "p_corrected")
            ]
        assert {other: one["p_value"] for other, one in own["against"].items() if other != results["reference"]} == {
            other: one["p"] for other, one in row["against"].items() if other != results["reference"]
        }
        assert own["ms_per_query"] == row["generation_ms_per_query"] and own.get("leakage") == row.get("leakage")


@pytest.mark.parametrize("name", MATRICES)
def test_one_retriever_of_a_matrix_reads_like_an_evaluation(name):
    results = in_one_form(MATRICES[name])
    for retriever, one in results["retrievers"].items():
        found = one_retriever(results, retriever)
        assert found["retriever"] == one["name"] and found["settings"]["retriever"] == one["spec"]
        rows = {row["expander"]: row for row in results["rows"] if row["retriever"] == retriever}
        assert list(found["systems"]) == ["plain" if expander == NONE else expander for expander in rows]
        for expander, row in rows.items():
            system = found["systems"]["plain" if expander == NONE else expander]
            assert system["delta_ndcg_at_10"] == row["own"]["delta_ndcg_at_10"]
            assert system["queries"] == results["queries"]


def test_the_form_of_today_is_left_as_it_is():
    for results in (*EVALUATIONS.values(), *MATRICES.values()):
        assert in_one_form(in_one_form(results)) == in_one_form(results)


@pytest.mark.parametrize("text", ["[]", "{}", '{"systems": {}}', '{"rows": [1]}', "{", "1"])
def test_what_is_no_results_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(KitError, match=r"broken, or no results of train/evaluate\.py") as caught:
        read_results(tmp_path / "results.json", "train/evaluate.py", one_retriever)
    assert "\n" not in str(caught.value)

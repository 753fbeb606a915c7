"""Preference pairs: read beside the results, kept, and shown as cards."""

import json

import pytest

from builders.errors import KitError
from space.pairs import MOST, MOST_CANDIDATES, PAIRS, Candidates, Pair, Pairs, read_pairs, to_json
from space.results import pairs_beside
from space.tabs.pairs_cards import pairs_html


def pair(query: str, margin: float, rule: str = "ndcg-margin") -> Pair:
    return Pair(query, "good <b>words</b>", "bad words", 0.5 + margin, 0.5, margin, rule, "train")


def test_pairs_are_kept_and_shown(tmp_path):
    candidates = {"<i>fit</i>": Candidates([(0.75, "good <b>words</b>"), (0.5, "bad words")], 9)}
    pairs = Pairs([pair("<i>fit</i>", 0.25), pair("save", 0.125, "Best")], 2, candidates)
    (tmp_path / PAIRS).write_text(to_json(pairs))
    assert read_pairs(tmp_path) == pairs
    page = pairs_html(pairs)
    assert page.count('<li class="qe-pair"') == 2 and "2 pairs: " in page and "largest margins" not in page
    assert page.count("<details>") == 1 and "9 candidates by nDCG@10, the best 2</summary>" in page
    assert "<li>0.750 · good &lt;b&gt;words&lt;/b&gt;</li>" in page
    assert "good &lt;b&gt;words" in page and "<i>fit" not in page and "margin 0.250" in page
    assert '<option value="best">Best</option>' in page and 'data-rule="best"' in page
    assert "The 2 with the largest margins are shown" in pairs_html(Pairs(pairs.shown, MOST))


def test_without_pairs_there_are_none(tmp_path):
    assert read_pairs(tmp_path) is None and pairs_beside(tmp_path) is None
    (tmp_path / PAIRS).write_text("{}")
    with pytest.raises(KitError, match="broken; run python -m space again"):
        read_pairs(tmp_path)


def test_pairs_beside_the_results_are_read(tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet as parquet

    monkeypatch.setattr("space.results.open_dataset", lambda folder, kind: {})
    rows = [
        {
            "query": f"query {number}",
            "chosen": [{"role": "assistant", "content": "good"}],
            "rejected": [{"role": "assistant", "content": "bad"}],
            "chosen_score": 1.0,
            "rejected_score": 1.0 - number / 1000,
            "margin": number / 1000,
            "rule": "ndcg-margin",
        }
        for number in range(MOST + 5)
    ]
    folder = tmp_path / "preferences" / "data" / "preference"
    folder.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train-00000-of-00001.parquet")
    assert pairs_beside(tmp_path).candidates == {}
    written = [{"query": "query 404", "candidate": f"text {n % 12}", "ndcg_at_10": n % 12 / 16} for n in range(24)]
    written += [{"query": "query 0", "candidate": "of no pair", "ndcg_at_10": 1.0}]
    folder = tmp_path / "expansions" / "data" / "raw"
    folder.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(written), folder / "train-00000-of-00001.parquet")
    found = pairs_beside(tmp_path)
    assert list(found.candidates) == ["query 404"] and found.candidates["query 404"].total == 12
    assert found.candidates["query 404"].best[0] == (0.6875, "text 11")
    assert len(found.candidates["query 404"].best) == MOST_CANDIDATES
    assert found.total == MOST + 5 and len(found.shown) == MOST and found.shown[0].query == f"query {MOST + 4}"
    assert (found.shown[0].chosen, found.shown[0].rejected, found.shown[0].split) == ("good", "bad", "train")
    assert json.loads(to_json(found))["total"] == MOST + 5

"""The drift guard: signals counted by hand, a rule that leaves alone what goes astray, and none where chance rules."""

import json
import random
from dataclasses import replace

import pytest

from builders.collections.collection import Collection, Document, Query
from builders.errors import KitError
from builders.expanders.expander import Expansion
from builders.guarding.guard import Guard, fit_guard
from builders.guarding.signals import TOP, Signals, compared, first_pass
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formation import load_formation
from builders.retrievers.retriever import Hit


def signals(overlap: float, **values: float | None) -> Signals:
    common = Signals(overlap, 1.0, second_gap=0.1, tenth_gap=0.5, new_terms=4.0, query_terms=3.0, mean_logprob=-1.5)
    return replace(common, **values)


def mean(deltas, kept):
    return sum(delta for delta, keep in zip(deltas, kept, strict=True) if keep) / len(deltas)


def drifting(queries: int, seed: int) -> tuple[list[Signals], list[float]]:
    """Expansions that keep three or fewer of the first ten documents hurt, those that keep seven or more help."""
    draw = random.Random(seed)
    made, deltas = [], []
    for _ in range(queries):
        overlap = draw.choice([0.0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0])
        made.append(signals(overlap, new_terms=float(draw.randrange(9)), mean_logprob=-draw.random()))
        deltas.append(0.1 if overlap >= 0.5 else -0.2)
    return made, deltas


def test_signals_are_those_counted_by_hand():
    documents = [Document("a", "", "sort array"), Document("b", "", "sort list"), Document("c", "", "merge frame")]
    queries = {"q": Query("q", "sort arrays", "test")}
    collection = Collection("t", "en", documents, queries, {"q": {"a": 1}}, "made up", "CC0", "made up", {}, {})
    retriever, formation = Bm25sRetriever(collection), load_formation("q*1+e")
    astray = Expansion("merge merge frames the sort", 9, 5, "stop", mean_logprob=-0.75)
    (blank, moved) = first_pass(retriever, formation, ["sort arrays"] * 2, [Expansion("", 9, 1, "stop"), astray])
    plain, expanded = retriever.search(["sort arrays", "sort arrays merge merge frames sort"], 10)
    assert [hit.document_id for hit in plain] == ["a", "b"] and expanded[0].document_id == "c"
    gap = (plain[0].score - plain[1].score) / plain[0].score
    # Eight of the ten places are empty: the tenth scores 0.
    assert blank == Signals(1.0, 1.0, gap, 1.0, new_terms=0.0, query_terms=2.0, mean_logprob=None)
    assert moved == Signals(1.0, 0.0, gap, 1.0, new_terms=2.0, query_terms=2.0, mean_logprob=-0.75)


def test_overlap_looks_at_the_first_ten_and_term_counts_need_terms():
    class Vectors:
        name = "dense"

        def search(self, queries, depth):
            raise NotImplementedError

    plain = [Hit(f"d{number}", 2.0 - number / 10) for number in range(20)]
    expanded = [Hit(f"d{number}", 1.0) for number in (0, 1, 2, *range(10, 27))]
    expansion = Expansion("x", 1, 1, "stop")
    found = compared(Vectors(), "q", expansion, plain, expanded)
    assert TOP == 10
    assert found == Signals(0.3, 1.0, pytest.approx(0.05), pytest.approx(0.45), None, None, None)
    none = compared(Vectors(), "q", expansion, [], [])
    assert (none.overlap, none.top_stays, none.second_gap, none.tenth_gap) == (1.0, 1.0, 0.0, 0.0)
    assert compared(Vectors(), "q", expansion, [], expanded).overlap == 0.0


def test_a_guard_leaves_alone_what_goes_astray():
    made, deltas = drifting(120, seed=1)
    guard = fit_guard(made, deltas, seed=0)
    assert guard.keeps == "above"
    assert guard.weights([signals(overlap) for overlap in (0.0, 0.2, 0.3, 0.7, 0.8, 1.0)]) == [False] * 3 + [True] * 3
    # All that hurts is left alone and all that helps is kept: the best that any rule could do.
    assert guard.fit.delta_on == pytest.approx(sum(delta for delta in deltas if delta > 0) / len(deltas))
    assert guard.fit.delta_off == pytest.approx(sum(deltas) / len(deltas))
    assert guard.fit.hurt_on == 0 and guard.fit.hurt_off == deltas.count(-0.2) / 120
    assert guard == fit_guard(made, deltas, seed=0)


@pytest.mark.parametrize("seed", range(6))
def test_signals_that_tell_nothing_change_next_to_nothing(seed):
    draw = random.Random(seed)
    made = [signals(draw.random(), second_gap=draw.random(), new_terms=draw.random() * 9) for _ in range(200)]
    deltas = [draw.choice([0.3, 0.1, 0.0, 0.0, 0.0, 0.0, -0.1]) for _ in made]
    guard = fit_guard(made, deltas, seed=0, max_hurt=None)
    kept = guard.weights(made)
    assert sum(kept) >= 0.9 * len(kept)
    assert mean(deltas, kept) >= sum(deltas) / len(deltas)


@pytest.mark.parametrize("seed", range(12))
def test_the_guard_is_never_worse_than_none_where_it_was_fitted(seed):
    draw = random.Random(100 + seed)
    made = [signals(draw.random(), tenth_gap=draw.random(), mean_logprob=-draw.random()) for _ in range(40)]
    deltas = [draw.gauss(0.02 * (seed % 3 - 1), 0.2) if draw.random() < 0.5 else 0.0 for _ in made]
    guard = fit_guard(made, deltas, seed=seed)
    assert mean(deltas, guard.weights(made)) >= sum(deltas) / len(deltas) - 1e-12


def test_where_expansions_only_hurt_none_is_kept_and_where_they_only_help_all_are():
    draw = random.Random(3)
    made = [signals(draw.random()) for _ in range(60)]
    worse = fit_guard(made, [-0.1 - draw.random() / 10 for _ in made], seed=0)
    assert worse.keeps == "none" and not any(worse.weights(made))
    better = fit_guard(made, [0.1 + draw.random() / 10 for _ in made], seed=0)
    assert better.keeps == "all" and all(better.weights(made))
    # What changes nothing is no use to search with.
    assert fit_guard(made, [0.0 for _ in made], seed=0).keeps == "none"


def test_of_thresholds_that_gain_those_within_the_limit_of_harm_go_first():
    """Middling overlaps win more than they lose, but hurt a third of their queries."""
    draw = random.Random(5)
    middle = [draw.uniform(0.3, 0.7) for _ in range(120)]
    made = [signals(overlap) for overlap in [0.0] * 60 + middle + [1.0] * 60]
    deltas = [-0.5] * 60 + [0.3, 0.3, -0.4] * 40 + [0.2] * 60
    free, strict = (fit_guard(made, deltas, seed=0, max_hurt=limit) for limit in (None, 0.05))
    assert free.fit.delta_on > strict.fit.delta_on > strict.fit.delta_off
    assert free.fit.hurt_on > 0.1 and strict.fit.hurt_on <= 0.05
    assert free.threshold < strict.threshold
    assert free.weights([signals(0.0), signals(0.5), signals(1.0)]) == [False, True, True]
    assert strict.weights([signals(0.0), signals(0.5), signals(1.0)]) == [False, False, True]


def test_a_missing_likelihood_is_left_out_and_said(tmp_path):
    made, deltas = drifting(60, seed=2)
    made[7] = replace(made[7], mean_logprob=None)
    guard = fit_guard(made, deltas, seed=0)
    assert guard.left_out == ("mean_logprob",) and "mean_logprob" not in guard.features
    assert "does not read mean_logprob" in str(guard) and "%" in str(guard)
    assert guard.weights([signals(0.9, mean_logprob=None), signals(0.1, mean_logprob=None)]) == [True, False]


def test_a_guard_is_saved_and_read_back_and_asks_for_what_it_reads(tmp_path):
    made, deltas = drifting(60, seed=2)
    guard, path = fit_guard(made, deltas, seed=0), tmp_path / "guard.json"
    guard.save(path)
    assert Guard.load(path) == guard
    assert Guard.load(path).weights(made) == guard.weights(made)
    assert "mean_logprob" in guard.features and not guard.left_out
    with pytest.raises(KitError, match="reads 'mean_logprob', which expansion 2 of 2 lacks"):
        guard.weights([made[0], replace(made[1], mean_logprob=None)])
    content = json.loads(path.read_text())
    content["features"][0] = "phase of the moon"
    for broken in ("", "{", "[]", "{}", json.dumps(content)):
        path.write_text(broken)
        with pytest.raises(KitError, match="guard.json"):
            Guard.load(path)
    with pytest.raises(KitError, match="no such guard"):
        Guard.load(tmp_path / "other.json")


def test_too_little_to_fit_on_is_said():
    with pytest.raises(KitError, match="cannot be fitted on 3 queries"):
        fit_guard([signals(0.5)] * 3, [0.1, 0.0, -0.1], seed=0)
    with pytest.raises(KitError, match="not a number"):
        fit_guard([signals(0.5)] * 20, [float("nan")] * 20, seed=0)

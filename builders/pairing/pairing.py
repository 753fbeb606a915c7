"""Choose which two candidates of a query teach what helps: rules score, the choice of pairs is common to all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from builders.artifacts.query_statistics import QueryStatistics
from builders.pairing.rule import Rule
from builders.prompts.output_check import is_silent


def usable_candidates(candidates: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The candidates of one query that passed their output check, the first of each text, in their order."""
    first: dict[str, dict[str, Any]] = {}
    for candidate in candidates:
        if candidate["check"] == "ok":
            first.setdefault(candidate["candidate"], candidate)
    return list(first.values())


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate, a row of config `raw`, with its score under the rule."""

    candidate: dict[str, Any]
    score: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two candidates (rows of config `raw`) of one query, with their scores under the rule."""

    chosen: dict[str, Any]
    rejected: dict[str, Any]
    chosen_score: float
    rejected_score: float

    @property
    def margin(self) -> float:
        """Difference of the scores; always positive."""
        return self.chosen_score - self.rejected_score


def _place(one: Scored) -> tuple[float, bool, int, str]:
    """Where a candidate stands among those of its query; what an echo scores, the query's own words have done."""
    row = one.candidate
    echo = bool(row["candidate"].strip()) and is_silent(row["candidate"], row["query"])
    return -one.score, echo, row["gold_rank"], row["candidate_id"]


@dataclass
class PairStatistics(QueryStatistics):
    """What became of the queries: queries in, pairs out, and one reason for every query that gave none."""

    queries_with_pairs: int = 0
    pairs: int = 0


@dataclass(frozen=True)
class Pairing:
    """How pairs are chosen once a rule has scored the candidates.

    Args:
        rule ([`Rule`]):
            Scores the candidates.
        min_margin (`float`):
            Pairs whose scores differ by less are dropped; equal scores always are.
        max_length_ratio (`float`):
            The longer of the two has at most so many times the tokens of the shorter, so that length cannot be the
            trick.
        pairs_per_query (`int`):
            At most so many pairs; no candidate stands in two.
    """

    rule: Rule
    min_margin: float
    max_length_ratio: float
    pairs_per_query: int

    def pairs(self, candidates: Sequence[dict[str, Any]], into: PairStatistics) -> list[Pair]:
        """The pairs of one query: best against worst, then second best against second worst, and so on.

        Of equal scores an echo of the query comes last; further ties are broken by the rank of the gold document, then
        by the candidate's id. `into` is updated with what was kept and why the rest was not.
        """
        into.take(candidates)
        usable = usable_candidates(candidates)
        if len(usable) < 2:
            return into.drop("fewer than two usable candidates")
        scores = self.rule.scores(usable)
        if isinstance(scores, str):
            return into.drop(scores)
        pool = [Scored(*one) for one in zip(usable, scores, strict=True)]
        pool.sort(key=_place)
        if pool[0].score == pool[-1].score:
            return into.drop("all candidates tie")
        if pool[0].score - pool[-1].score < self.min_margin:
            return into.drop("margin too small")
        pairs: list[Pair] = []
        while len(pairs) < self.pairs_per_query and (pair := self._best_pair(pool)):
            pairs.append(pair)
            pool = [one for one in pool if one.candidate is not pair.chosen and one.candidate is not pair.rejected]
        if not pairs:
            into.dropped_queries["length ratio too large"] += 1
        into.queries_with_pairs += bool(pairs)
        into.pairs += len(pairs)
        return pairs

    def by_margin(self, queries: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, float]]:
        """What each of the rule's margins would leave, everything else being equal.

        Args:
            queries (`Iterable`):
                The candidates of each query.
        """
        groups = list(queries)
        report = []
        for margin in self.rule.margins:
            counts = PairStatistics()
            for candidates in groups:
                replace(self, min_margin=margin).pairs(candidates, counts)
            report.append({"margin": margin, "pairs": counts.pairs, "queries_with_pairs": counts.queries_with_pairs})
        return report

    def _best_pair(self, pool: Sequence[Scored]) -> Pair | None:
        """The pair with the widest margin that both bounds allow; `pool` is sorted best first."""
        best: Pair | None = None
        for chosen in pool:
            for rejected in reversed(pool):
                pair = Pair(chosen.candidate, rejected.candidate, chosen.score, rejected.score)
                if pair.margin <= 0 or pair.margin < self.min_margin or (best and pair.margin <= best.margin):
                    break  # Further rejected candidates of this chosen one are better still.
                if self._similar_length(pair.chosen, pair.rejected):
                    best = pair
                    break
        return best

    def _similar_length(self, one: dict[str, Any], other: dict[str, Any]) -> bool:
        short, long = sorted((one["completion_tokens"], other["completion_tokens"]))
        return bool(long <= self.max_length_ratio * short)

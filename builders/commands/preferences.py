"""Stage 2: graded candidates → chosen/rejected pairs, published as config `preference`.

python -m builders preferences --expansions out/expansions --output_dir out/preferences
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import Rows, Tables
from builders.artifacts.ownership import paths
from builders.artifacts.query_statistics import all_dropped, counted
from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.cli import parse, say
from builders.commands.build import DerivedBuild, DerivedOptions
from builders.errors import KitError
from builders.pairing.load import RULES, load_rule, option_types, own_options, rules_help, search_rules
from builders.pairing.pairing import Pair, Pairing, PairStatistics
from builders.pairing.rule import RuleOptions
from builders.prompts.prompt import Message, Prompt


@dataclass
class PreferencesArguments(DerivedOptions):
    """Settings of `python -m builders preferences`."""

    rule: str = field(default=RULES[0].name, metadata={"help": "How candidates are scored: one of the rules above."})
    min_margin: float = field(
        default=0.05, metadata={"help": "Smallest difference of scores, as the rule gives them."}
    )
    max_length_ratio: float = field(default=3.0, metadata={"help": "Longer / shorter of a pair, in tokens, at most."})
    pairs_per_query: int = field(default=2, metadata={"help": "At most so many pairs per query."})
    with_plain: bool = field(
        default=False,
        metadata={"help": "The plain query is a candidate too: silence is preferred to what hurts, words to silence."},
    )
    student_prompt: str | None = field(
        default=None, metadata={"help": "Zero-shot prompt of the pairs; by default the expansions' own."}
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run stage 2 from the command line."""
    about = f"{(__doc__ or '').splitlines()[0]}\n\nrules:\n{rules_help()}"
    args, *options = parse((PreferencesArguments, *option_types()), argv, "python -m builders preferences", about)
    PreferencesBuild(args, options).run()


class PreferencesBuild(DerivedBuild[PreferencesArguments]):
    """Pairs the candidates of each query: what a rule scores higher is preferred.

    Args:
        args ([`PreferencesArguments`]):
            The command's arguments.
        options (`Sequence`, *optional*):
            Those of the rules, as they were parsed.
    """

    kind = "preferences"
    inherited = ("collection", "expander", "prompts", "sampling", "retriever", "formation", "grading_depth", "seed")

    def __init__(self, args: PreferencesArguments, options: Sequence[RuleOptions] = ()) -> None:
        super().__init__(args)
        self.options = options

    def _prepare(self) -> None:
        args = self.args
        if args.min_margin < 0 or args.max_length_ratio < 1 or args.pairs_per_query < 1:
            raise KitError("--min_margin must be ≥ 0, --max_length_ratio ≥ 1 and --pairs_per_query ≥ 1")
        self.rule = load_rule(args.rule)
        options = own_options(self.rule, self.options)
        if args.with_plain and not self.rule.grades_searches:
            raise KitError(f"--with_plain needs a rule that grades searches, {search_rules()}: silence has no vector")
        self.open_expansions(*(options.reads() if options else []), *paths(args.student_prompt))
        self.student = self.student_prompt(args.student_prompt)
        self.rule.prepare(options, self.source, self.expansions)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), **self.rule.settings, "prompt_sha256": self.student.sha256}

    def _tables(self) -> Tables:
        args, by_split = self.args, {split: self.candidates(split) for split in self.expansions["rows"]["raw"]}
        for queries in by_split.values():
            _require_same_condition(queries, self.student, self.source)
            for rows in queries.values() if args.with_plain else ():
                rows.append(_plain_candidate(rows[0]))
        self.rule.read({name: rows for queries in by_split.values() for name, rows in queries.items()})
        pairing = Pairing(self.rule, args.min_margin, args.max_length_ratio, args.pairs_per_query)
        self.statistics: dict[str, PairStatistics] = {}
        self.by_margin: dict[str, list[dict[str, float]]] = {}
        tables: dict[str, Rows] = {}
        for split, queries in by_split.items():
            statistics = self.statistics[split] = PairStatistics()
            pairs = [pair for rows in queries.values() for pair in pairing.pairs(rows, statistics)]
            tables[split] = [_preference_row(pair, self.student, self.rule.name) for pair in pairs]
            self.by_margin[split] = pairing.by_margin(queries.values())
            say(f"{split}: {_sentence(statistics)}; {_margins(self.by_margin[split])}")
        if not any(tables.values()):
            reasons = all_dropped(self.statistics.values()).most_common(3)
            said = "; ".join(f"{number} {reason}" for reason, number in reasons)
            raise KitError(
                f"{self.source}: no query gives a pair ({said}); lower --min_margin, draw more samples per query, or "
                "let expansions weigh more in the search (--formation of the expansions)"
            )
        return {"preference": tables}

    def _record(self, tables: Tables) -> dict[str, Any]:
        bounds = ("min_margin", "max_length_ratio", "pairs_per_query", "with_plain")
        return {
            **super()._record(tables),
            **self.rule.provenance,
            "student_prompt": self.student.id,
            "rule": self.rule.name,
            **{name: getattr(self.args, name) for name in bounds},
            "queries": {split: one.queries_with_pairs for split, one in self.statistics.items()},
            "yield": {split: one.as_dict() for split, one in self.statistics.items()},
            "yield_by_margin": self.by_margin,
        }

    def _report(self, tables: Tables, build: dict[str, Any]) -> list[str]:
        return [f"{self.folder}: {sum(map(len, tables['preference'].values()))} pairs"]


def _require_same_condition(candidates: dict[str, Rows], student: Prompt, source: Path) -> None:
    """Raise KitError where the student's prompt shows what the expansions lack, or has no place for what they show."""
    shows = any(row.get("grounding") for rows in candidates.values() for row in rows)
    if candidates and shows != (student.grounding is not None):
        raise KitError(
            f"{source}: its prompts {'show' if shows else 'do not show'} what the collection knows, and prompt "
            f"{student.id!r} {'has no place for it' if shows else 'must'}: build the expansions with that prompt, or "
            "give --student_prompt one of the same kind"
        )


def _plain_candidate(row: dict[str, Any]) -> dict[str, Any]:
    """The empty expansion of a query as a candidate: its grades are the plain query's, its one token is the end."""
    plain = {name: row[f"plain_{name}"] for name in ("ndcg_at_10", "reciprocal_rank", "gold_rank")}
    silent = {"candidate_id": f"{row['query_id']}#plain", "candidate": "", "completion_tokens": 1, "check": "ok"}
    return {**row, **silent, **plain}


def _preference_row(pair: Pair, student: Prompt, rule: str) -> dict[str, Any]:
    query = pair.chosen["query"]
    return {
        "prompt": student.messages(query, (), pair.chosen.get("grounding") or ""),
        "chosen": [Message(role="assistant", content=pair.chosen["candidate"])],
        "rejected": [Message(role="assistant", content=pair.rejected["candidate"])],
        "chat_template_kwargs": TEMPLATE_KWARGS,
        "query_id": pair.chosen["query_id"],
        "query": query,
        "chosen_id": pair.chosen["candidate_id"],
        "rejected_id": pair.rejected["candidate_id"],
        "rule": rule,
        "chosen_score": pair.chosen_score,
        "rejected_score": pair.rejected_score,
        "margin": pair.margin,
        "plain_ndcg_at_10": pair.chosen["plain_ndcg_at_10"],
    }


def _margins(report: list[dict[str, float]]) -> str:
    return "pairs by margin: " + ", ".join(f"{row['pairs']} at {row['margin']:g}" for row in report)


def _sentence(statistics: PairStatistics) -> str:
    return (
        f"{statistics.queries} queries in, {statistics.pairs} pairs out of {statistics.queries_with_pairs} queries; "
        f"queries dropped: {counted(statistics.dropped_queries)}"
    )

"""Stage 2: graded candidates → chosen/rejected pairs, published as config `preference`.

python -m builders preferences --expansions out/expansions --output_dir out/preferences
"""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import BUILD, Rows, is_current, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.ownership import DATASET, paths, require_own
from builders.artifacts.provenance import code_version, versions
from builders.artifacts.render import render_dataset, renew_card
from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.cli import parse, say
from builders.commands.build import PublishingOptions, build_and_publish
from builders.errors import KitError
from builders.pairing.load import REWARD, load_rule
from builders.pairing.pairing import Pair, Pairing, Rule, Yield
from builders.pairing.reward import Reward, RewardOptions
from builders.prompts.load import load_prompt
from builders.prompts.prompt import Message, Prompt, refuse_gold


# Carried over from the expansions, so that a preference dataset explains itself alone.
INHERITED = ("collection", "expander", "prompts", "sampling", "retriever", "formation", "grading_depth", "seed")
# Where things lie and go; they do not change a byte of the dataset. The reward says itself what does.
NOT_SETTINGS = {
    *("output_dir", "expansions", "push_to_hub", "repo_id"),
    *(field.name for field in fields(RewardOptions)),
}


@dataclass
class PreferencesArguments(RewardOptions, PublishingOptions):
    """Settings of `python -m builders preferences`."""

    output_dir: str = field(metadata={"help": "Folder to render; replaced as a whole when it is complete."})
    expansions: str = field(metadata={"help": "Folder made by `python -m builders expansions`."})
    rule: str = field(
        default="ndcg-margin", metadata={"help": "`ndcg-margin` (RFD), `gold-rank` (AQE) or `reward` (ExpandR)."}
    )
    min_margin: float = field(
        default=0.05, metadata={"help": "Smallest difference of scores: nDCG@10, places for gold-rank, or rewards."}
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
    (args,) = parse(PreferencesArguments, argv, "python -m builders preferences", (__doc__ or "").splitlines()[0])
    build_and_publish(args, build_preferences)


def build_preferences(args: PreferencesArguments) -> Path:
    """Build the dataset folder unless it is there already with the same settings; returns its path.

    Raises:
        KitError: the output folder is none of the kit's, the expansions cannot be read, a bound makes no sense, or no
            query gives a pair.
    """
    if args.min_margin < 0 or args.max_length_ratio < 1 or args.pairs_per_query < 1:
        raise KitError("--min_margin must be ≥ 0, --max_length_ratio ≥ 1 and --pairs_per_query ≥ 1")
    args.check(args.rule)
    if args.with_plain and args.rule == REWARD:
        raise KitError(
            "--with_plain needs a rule that grades searches, ndcg-margin or gold-rank: silence has no vector"
        )
    if args.rule != REWARD:
        load_rule(args.rule)  # An unknown one is refused before anything is read.
    started = time.time()
    folder, source = Path(args.output_dir), Path(args.expansions)
    read = (source, args.references, args.encoder, *paths(args.collection, args.student_prompt))
    require_own(folder, DATASET, *read)
    expansions = open_dataset(source, "expansions")
    student = load_prompt(args.student_prompt or expansions["student_prompt"])
    refuse_gold([student])
    reward = Reward(args, source, expansions) if args.rule == REWARD else None
    settings = {
        **{name: value for name, value in asdict(args).items() if name not in NOT_SETTINGS},
        **(reward.settings if reward is not None else {}),
        "expansions_sha256": file_hash(source / BUILD),
        "prompt_sha256": student.sha256,
    }
    if is_current(folder, settings):
        renew_card(folder, args.repo_id)
        say(f"{folder}: up to date")
        return folder

    by_split: dict[str, dict[str, Rows]] = {}
    for split in expansions["rows"]["raw"]:
        queries = by_split[split] = {}
        for row in read_rows(source, "raw", split):
            queries.setdefault(row["query_id"], []).append(row)
        _require_same_condition(queries, student, source)
        if args.with_plain:
            for rows in queries.values():
                rows.append(_plain_candidate(rows[0]))
    together = {name: rows for queries in by_split.values() for name, rows in queries.items()}
    rule: Rule = load_rule(args.rule) if reward is None else reward.rule(together)
    pairing = Pairing(rule, args.min_margin, args.max_length_ratio, args.pairs_per_query)
    yields: dict[str, Yield] = {}
    by_margin: dict[str, list[dict[str, float]]] = {}
    tables: dict[str, Rows] = {}
    for split, candidates in by_split.items():
        counts = yields[split] = Yield()
        pairs = [pair for rows in candidates.values() for pair in pairing.pairs(rows, counts)]
        tables[split] = [_preference_row(pair, student, rule.name) for pair in pairs]
        by_margin[split] = pairing.by_margin(candidates.values())
        say(f"{split}: {_sentence(counts)}; {_margins(by_margin[split])}")
    if not any(tables.values()):
        reasons = sum((counts.dropped_queries for counts in yields.values()), Counter[str]())
        said = "; ".join(f"{number} {reason}" for reason, number in reasons.most_common(3))
        raise KitError(f"{source}: no query gives a pair ({said}); lower --min_margin or draw more samples per query")

    build: dict[str, Any] = {
        "kind": "preferences",
        "settings": settings,
        "command": f"python -m builders preferences {shlex.join(sys.argv[2:])}".strip(),
        "code_version": code_version(),
        "versions": versions(),
        **{name: expansions[name] for name in INHERITED},
        "student_prompt": student.id,
        "expansions": {"build_sha256": settings["expansions_sha256"], "code_version": expansions["code_version"]},
        **(reward.provenance if reward is not None else {}),
        "rule": rule.name,
        "min_margin": args.min_margin,
        "max_length_ratio": args.max_length_ratio,
        "pairs_per_query": args.pairs_per_query,
        "with_plain": args.with_plain,
        "queries": dict(Counter({split: counts.queries_with_pairs for split, counts in yields.items()})),
        "yield": {split: counts.as_dict() for split, counts in yields.items()},
        "yield_by_margin": by_margin,
    }
    timing = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "total_seconds": round(time.time() - started, 1),
    }
    render_dataset(folder, {"preference": tables}, build, timing, args.repo_id)
    say(f"{folder}: {sum(len(rows) for rows in tables.values())} pairs")
    return folder


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


def _sentence(counts: Yield) -> str:
    drops = "; ".join(f"{number} {reason}" for reason, number in sorted(counts.dropped_queries.items())) or "none"
    return (
        f"{counts.queries} queries in, {counts.pairs} pairs out of {counts.queries_with_pairs} queries; "
        f"queries dropped: {drops}"
    )

"""Data for a dense retriever: queries, expansions, relevant documents and hard negatives, as config `retriever`.

python -m builders triplets --expansions out/expansions --output_dir out/triplets
"""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.dataset_folder import BUILD, Rows, is_current, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.ownership import DATASET, paths, require_own
from builders.artifacts.provenance import code_version, versions
from builders.artifacts.render import render_dataset, renew_card
from builders.cli import parse, say
from builders.collections.recorded_collection import load_recorded_collection
from builders.commands.build import PublishingOptions, build_and_publish
from builders.errors import KitError
from builders.hard_negatives.mining import CHOICES, Mining, TripletYield
from builders.hard_negatives.ranked import mine
from builders.hard_negatives.similarity import Likeness
from builders.retrievers.encoder import Encoder
from builders.retrievers.load import encoder_folders, load_retriever, retriever_help


if TYPE_CHECKING:
    from builders.collections.collection import Collection
    from builders.hard_negatives.mining import TripletYield
    from builders.retrievers.encoder import Encoder
    from builders.retrievers.retriever import Retriever


# Carried over from the expansions, so that the dataset explains itself alone.
INHERITED = (
    *("collection", "expander", "prompts", "student_prompt", "sampling"),
    *("retriever", "formation", "grading_depth"),
)
# Where things lie and go; what they hold is in the settings by its hash.
NOT_SETTINGS = ("output_dir", "expansions", "leave_out", "collection", "push_to_hub", "repo_id")


@dataclass
class TripletsArguments(PublishingOptions):
    """Settings of `python -m builders triplets`."""

    output_dir: str = field(metadata={"help": "Folder to render; replaced as a whole when it is complete."})
    expansions: str = field(metadata={"help": "Folder made by `python -m builders expansions`."})
    collection: str | None = field(
        default=None, metadata={"help": "Collection of these expansions, as they name it themselves by default."}
    )
    leave_out: str | None = field(
        default=None,
        metadata={"help": "Expansions folder whose queries give no rows: the retriever is to reward them unseen."},
    )
    rows_per_query: int = field(default=1, metadata={"help": "Rows of a query at most, each with another candidate."})
    miner: str = field(default="bm25s", metadata={"help": retriever_help("What finds negatives")})
    negatives: int = field(default=1, metadata={"help": "Hard negatives of a row."})
    skip_top: int = field(default=0, metadata={"help": "So many of the first ranks are left out."})
    depth: int = field(default=50, metadata={"help": "Last rank that a negative may have for the plain query."})
    choice: str = field(default="random", metadata={"help": "`random` negatives of those ranks, or the `top` ones."})
    filter_encoder: str | None = field(
        default=None,
        metadata={"help": "Encoder (Hub id, folder, package:…) that tells false negatives; by default none does."},
    )
    max_similarity_ratio: float = field(
        default=0.95, metadata={"help": "A negative's cosine stays below so much of the relevant document's."}
    )
    seed: int = field(default=0, metadata={"help": "Seeds the choice of candidates and of negatives."})


def main(argv: Sequence[str] | None = None) -> None:
    """Mine from the command line."""
    (args,) = parse(TripletsArguments, argv, "python -m builders triplets", (__doc__ or "").splitlines()[0])
    build_and_publish(args, build_triplets)


def build_triplets(args: TripletsArguments) -> Path:
    """Build the dataset folder unless it is there already with the same settings; returns its path.

    Raises:
        KitError: the expansions cannot be read, hold no candidates or are of another collection, an argument makes no
            sense, or no query gives a row.
    """
    _check(args)
    started = time.time()
    folder, source = Path(args.output_dir), Path(args.expansions)
    searched = (args.filter_encoder, *paths(args.collection), *encoder_folders(args.miner))
    require_own(folder, DATASET, source, args.leave_out, *searched)
    expansions = open_dataset(source, "expansions")
    if expansions["expander"]["model_id"] == "none":
        raise KitError(
            f"{source}: made with --expander none, so it holds no candidates: build expansions with another expander"
        )
    collection = load_recorded_collection(expansions, str(source), args.collection)
    left_out = _left_out(args.leave_out, expansions)
    miner = load_retriever(args.miner, collection)
    encoder = Encoder(args.filter_encoder) if args.filter_encoder else None
    settings = {
        **{name: value for name, value in asdict(args).items() if name not in NOT_SETTINGS},
        "expansions_sha256": file_hash(source / BUILD),
        "leave_out_sha256": file_hash(Path(args.leave_out) / BUILD) if args.leave_out else None,
        "miner": miner.name,
        "filter_encoder": _named(encoder),
    }
    if is_current(folder, settings):
        renew_card(folder, args.repo_id)
        say(f"{folder}: up to date")
        return folder

    yields: dict[str, TripletYield] = {}
    tables: dict[str, Rows] = {}
    for split in expansions["rows"]["raw"]:
        raw = read_rows(source, "raw", split)
        tables[split], yields[split] = _mined(args, collection, miner, encoder, raw, left_out)
        say(f"{split}: {_sentence(yields[split])}")
    if not any(tables.values()):
        dropped = sum((counts.dropped_queries for counts in yields.values()), Counter[str]())
        raise KitError(f"{source}: no query gives a row ({_counted(dropped)}): nothing to train a retriever on")

    build: dict[str, Any] = {
        "kind": "triplets",
        "settings": settings,
        "command": f"python -m builders triplets {shlex.join(sys.argv[2:])}".strip(),
        "code_version": code_version(),
        "versions": versions(),
        **{name: expansions[name] for name in INHERITED},
        "seed": args.seed,
        "expansions": {"build_sha256": settings["expansions_sha256"], "code_version": expansions["code_version"]},
        "leave_out_sha256": settings["leave_out_sha256"],
        **{name: settings[name] for name in ("miner", "filter_encoder", "max_similarity_ratio", "choice")},
        **{name: settings[name] for name in ("negatives", "skip_top", "depth", "rows_per_query")},
        "queries": {split: counts.queries_with_rows for split, counts in yields.items()},
        "yield": {split: counts.as_dict() for split, counts in yields.items()},
    }
    timing = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "total_seconds": round(time.time() - started, 1),
    }
    render_dataset(folder, {"retriever": tables}, build, timing, args.repo_id)
    say(f"{folder}: {sum(len(rows) for rows in tables.values())} rows")
    return folder


def _check(args: TripletsArguments) -> None:
    if args.choice not in CHOICES:
        raise KitError(f"--choice {args.choice!r}: give {' or '.join(CHOICES)}")
    if args.rows_per_query < 1 or args.negatives < 1 or args.skip_top < 0:
        raise KitError("--rows_per_query and --negatives must be at least 1, --skip_top at least 0")
    if args.depth - args.skip_top < args.negatives:
        raise KitError(
            f"--depth {args.depth}: ranks {args.skip_top + 1} to {args.depth} cannot give {args.negatives} negatives"
        )
    if not 0 < args.max_similarity_ratio <= 1:
        raise KitError("--max_similarity_ratio: give more than 0 and at most 1")


def _named(encoder: "Encoder | None") -> str | None:
    return f"{encoder.model_id}@{encoder.revision}" if encoder else None


def _left_out(folder: str | None, expansions: dict[str, Any]) -> set[str]:
    if folder is None:
        return set()
    other = open_dataset(Path(folder), "expansions")
    if other["collection"]["fingerprint"] != expansions["collection"]["fingerprint"]:
        raise KitError(f"--leave_out {folder}: of another collection, {other['collection']['name']!r}")
    return {row["query_id"] for split in other["rows"]["raw"] for row in read_rows(Path(folder), "raw", split)}


def _mined(
    args: TripletsArguments,
    collection: "Collection",
    miner: "Retriever",
    encoder: "Encoder | None",
    raw: Rows,
    left_out: set[str],
) -> "tuple[Rows, TripletYield]":
    """The rows of one split, queries in the order of the expansions."""
    candidates: dict[str, Rows] = {}
    counts = TripletYield()
    for row in raw:
        candidates.setdefault(row["query_id"], []).append(row)
    for query_id in candidates.keys() & left_out:
        del candidates[query_id]
        counts.queries += 1
        counts.dropped_queries["left out"] += 1
    queries = [collection.queries[query_id] for query_id in candidates]
    mining = Mining(
        collection=collection,
        pools=mine(collection, miner, queries, args.skip_top, args.depth),
        likeness=Likeness(collection, encoder, queries) if encoder else None,
        max_similarity_ratio=args.max_similarity_ratio,
        negatives=args.negatives,
        choice=CHOICES[CHOICES.index(args.choice)],  # type: ignore[arg-type]
        rows_per_query=args.rows_per_query,
        seed=args.seed,
    )
    return [row for query_id, rows in candidates.items() for row in mining.rows(query_id, rows, counts)], counts


def _sentence(counts: "TripletYield") -> str:
    return (
        f"{counts.queries} queries in, {counts.rows} rows out of {counts.queries_with_rows} queries; "
        f"queries dropped: {_counted(counts.dropped_queries)}; of {counts.pooled} documents found, kept from being "
        f"negatives: {_counted(counts.false_negatives)}"
    )


def _counted(reasons: Counter[str]) -> str:
    return "; ".join(f"{number} {reason}" for reason, number in sorted(reasons.items())) or "none"

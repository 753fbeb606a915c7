"""Data for a dense retriever: queries, expansions, relevant documents and hard negatives, as config `retriever`.

python -m builders triplets --expansions out/expansions --output_dir out/triplets
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import BUILD, Rows, Tables, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.ownership import paths
from builders.artifacts.query_statistics import all_dropped, counted
from builders.cli import parse, say
from builders.collections.recorded_collection import load_recorded_collection
from builders.commands.build import DerivedBuild, DerivedOptions
from builders.errors import KitError
from builders.hard_negatives.mining import CHOICES, Mining, TripletStatistics
from builders.hard_negatives.ranked import mine
from builders.hard_negatives.similarity import Similarity
from builders.retrievers.encoder import Encoder
from builders.retrievers.load import encoder_folders, load_retriever, retriever_help


@dataclass
class TripletsArguments(DerivedOptions):
    """Settings of `python -m builders triplets`."""

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
    TripletsBuild(args).run()


class TripletsBuild(DerivedBuild[TripletsArguments]):
    """Mines hard negatives for the queries of the expansions."""

    kind = "triplets"
    # What the folder of the queries left out holds is in the settings by its hash.
    not_settings = DerivedBuild.not_settings | {"leave_out"}
    inherited = (
        *("collection", "expander", "prompts", "student_prompt", "sampling"),
        *("retriever", "formation", "grading_depth"),
    )

    def _prepare(self) -> None:
        args = self.args
        _check(args)
        self.open_expansions(
            args.leave_out, args.filter_encoder, *paths(args.collection), *encoder_folders(args.miner)
        )
        if self.expansions["expander"]["model_id"] == "none":
            raise KitError(
                f"{self.source}: made with --expander none, so it holds no candidates: build expansions with another "
                "expander"
            )
        self.collection = load_recorded_collection(self.expansions, args.expansions, args.collection)
        self.left_out = _left_out(args.leave_out, self.expansions)
        self.miner = load_retriever(args.miner, self.collection)
        self.encoder = Encoder(args.filter_encoder) if args.filter_encoder else None

    def _settings(self) -> dict[str, Any]:
        args, encoder = self.args, self.encoder
        return {
            **super()._settings(),
            "leave_out_sha256": file_hash(Path(args.leave_out) / BUILD) if args.leave_out else None,
            "miner": self.miner.name,
            "filter_encoder": f"{encoder.model_id}@{encoder.revision}" if encoder else None,
        }

    def _tables(self) -> Tables:
        self.statistics: dict[str, TripletStatistics] = {}
        tables = {}
        for split in self.expansions["rows"]["raw"]:
            statistics = self.statistics[split] = TripletStatistics()
            tables[split] = self._mined(self.candidates(split), statistics)
            say(f"{split}: {_sentence(statistics)}")
        if not any(tables.values()):
            dropped = counted(all_dropped(self.statistics.values()))
            raise KitError(f"{self.source}: no query gives a row ({dropped}): nothing to train a retriever on")
        return {"retriever": tables}

    def _record(self, tables: Tables) -> dict[str, Any]:
        settings = self._settings()
        recorded = (
            *("seed", "leave_out_sha256", "miner", "filter_encoder", "max_similarity_ratio", "choice"),
            *("negatives", "skip_top", "depth", "rows_per_query"),
        )
        return {
            **super()._record(tables),
            **{name: settings[name] for name in recorded},
            "queries": {split: one.queries_with_rows for split, one in self.statistics.items()},
            "yield": {split: one.as_dict() for split, one in self.statistics.items()},
        }

    def _report(self, tables: Tables, build: dict[str, Any]) -> list[str]:
        return [f"{self.folder}: {sum(map(len, tables['retriever'].values()))} rows"]

    def _mined(self, candidates: dict[str, Rows], statistics: TripletStatistics) -> Rows:
        """The rows of one split, queries in the order of the expansions."""
        args = self.args
        for query_id in candidates.keys() & self.left_out:
            del candidates[query_id]
            statistics.queries += 1
            statistics.drop("left out")
        queries = [self.collection.queries[query_id] for query_id in candidates]
        mining = Mining(
            collection=self.collection,
            pools=mine(self.collection, self.miner, queries, args.skip_top, args.depth),
            similarity=Similarity(self.collection, self.encoder, queries) if self.encoder else None,
            max_similarity_ratio=args.max_similarity_ratio,
            negatives=args.negatives,
            choice=CHOICES[CHOICES.index(args.choice)],  # type: ignore[arg-type]
            rows_per_query=args.rows_per_query,
            seed=args.seed,
        )
        return [row for query_id, rows in candidates.items() for row in mining.rows(query_id, rows, statistics)]


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


def _left_out(folder: str | None, expansions: dict[str, Any]) -> set[str]:
    if folder is None:
        return set()
    other = open_dataset(Path(folder), "expansions")
    if other["collection"]["fingerprint"] != expansions["collection"]["fingerprint"]:
        raise KitError(f"--leave_out {folder}: of another collection, {other['collection']['name']!r}")
    return {row["query_id"] for split in other["rows"]["raw"] for row in read_rows(Path(folder), "raw", split)}


def _sentence(statistics: TripletStatistics) -> str:
    return (
        f"{statistics.queries} queries in, {statistics.rows} rows out of {statistics.queries_with_rows} queries; "
        f"queries dropped: {counted(statistics.dropped_queries)}; of {statistics.pooled} documents found, kept from "
        f"being negatives: {counted(statistics.false_negatives)}"
    )

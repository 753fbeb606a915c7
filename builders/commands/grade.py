"""Grade recorded expansions, or runs, on any collection: what they gain, and which queries they hurt.

    python -m builders grade --collection scifact --expansions teacher.jsonl.gz --where mode=zs --out results.json

Prints a table; --out keeps it as JSON and, beside that, every query in a Parquet file. Without --expansions the plain
queries are graded. With --run nothing is searched: runs of any engine are evaluated, and compared with the first.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_write
from builders.artifacts.provenance import made_by
from builders.cli import parse, say
from builders.collections.collection import SPLITS, Collection, Query, collection_provenance
from builders.collections.load import collection_help, load_collection
from builders.errors import KitError
from builders.expanders.recordings import parse_where, read_recorded
from builders.grading.comparison import (
    PLAIN,
    Row,
    legend,
    parquet_bytes,
    query_row,
    silence_row,
    subject,
    system_row,
    table_lines,
)
from builders.grading.grader import DEPTH, Grade, Grader, graded_rankings
from builders.grading.joining import join_expansions, join_run
from builders.retrievers.formulation import formulation_help, load_formulation
from builders.retrievers.load import load_retriever, retriever_help


# Queries searched together; the bar moves that often.
BLOCK = 256


@dataclass
class GradeArguments:
    """Settings of `python -m builders grade`."""

    collection: str = field(metadata={"help": collection_help()})
    split: str = field(default="test", metadata={"help": "train, validation, test, or `all` judged queries."})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    retriever: str = field(default="bm25s", metadata={"help": retriever_help()})
    formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    expansions: str | None = field(
        default=None, metadata={"help": "Recorded expansions: JSONL, TSV … file, dataset folder, or its Hub id."}
    )
    where: list[str] = field(
        default_factory=list,
        metadata={"action": "extend", "help": "Take only rows with FIELD=VALUE; may be given several times."},
    )
    text_fields: list[str] = field(
        default_factory=list, metadata={"help": "Fields that make up the text, if not expansion, candidate or text."}
    )
    run: list[str] = field(
        default_factory=list, metadata={"action": "extend", "help": "Evaluate these TREC run files instead."}
    )
    system: str | None = field(default=None, metadata={"help": "Name of the graded system in the table."})
    out: str | None = field(default=None, metadata={"help": "JSON file to write."})
    seed: int = field(default=0, metadata={"help": "Seeds the significance test."})


@dataclass(frozen=True)
class Graded:
    """One system: grades and expansions in the order of the queries, and what else its row says."""

    grades: Sequence[Grade]
    expansions: Sequence[str]
    notes: dict[str, Any] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> None:
    """Grade from the command line."""
    (args,) = parse(GradeArguments, argv, "python -m builders grade", __doc__ or "")
    results, rows = grade(args)
    if args.out:
        path = Path(args.out)
        # The rows first: results.json stands for both.
        atomic_write(path.with_suffix(".per_query.parquet"), parquet_bytes(rows))
        atomic_write(path, (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
    sys.stdout.write(markdown_table(results))


def grade(args: GradeArguments) -> tuple[dict[str, Any], list[Row]]:
    """The results, as `--out` holds them, and the rows of every query.

    Raises:
        KitError: an argument names nothing known, or a file does not fit the collection.
    """
    _refuse_contradictions(args)
    # Before the collection: a filter that matches nothing need not wait for a corpus.
    where = parse_where(args.where)
    recorded = read_recorded(args.expansions, where, args.text_fields) if args.expansions else []
    runs = _named_runs(args)
    collection = load_collection(args.collection, args.language)
    for remark in collection.remarks:
        say(remark)
    queries = _queries(collection, args.split, all_judged=bool(runs))
    searched: dict[str, Any] = {"retriever": None, "formation": None}
    if runs:
        if collection.leaves_out:
            say(
                f"{collection.name}: runs are measured as trec_eval does, with all that they hold; searches here "
                "leave out a query's own document and what the collection excludes"
            )
        systems = {name: _evaluated(path, collection, queries) for name, path in runs.items()}
    else:
        written = {PLAIN: [""] * len(queries)}
        notes: dict[str, Any] = {}
        if args.expansions:
            name = args.system or _name(args.expansions, where)
            if name == PLAIN:
                raise KitError(f"{PLAIN!r} is the query without expansion; give the system another name with --system")
            written[name], notes = join_expansions(args.expansions, recorded, collection, queries)
        grader = Grader(collection, load_retriever(args.retriever, collection), load_formulation(args.formation))
        searched = {"retriever": grader.retriever.name, "formation": grader.formation.name}
        systems = {
            name: Graded(
                _grades(grader, queries, texts, name),
                texts,
                {**notes, **silence_row(queries, texts)} if name != PLAIN else {},
            )
            for name, texts in written.items()
        }
    # An option that is younger than recorded results stands among the settings where it is given.
    unsaid = () if args.text_fields else ("text_fields",)
    baseline = next(iter(systems))
    base = systems[baseline].grades
    results = {
        "systems": {name: system_row(one.grades, base, args.seed) | one.notes for name, one in systems.items()},
        "baseline": baseline,
        "settings": {name: value for name, value in asdict(args).items() if name != "out" and name not in unsaid},
        **made_by("python -m builders grade", 2),
        "seed": args.seed,
        "collection": collection_provenance(collection),
        **searched,
        "depth": DEPTH,
    }
    rows = [
        query_row(name, query, expansion, own, plain)
        for name, one in systems.items()
        for query, expansion, own, plain in zip(queries, one.expansions, one.grades, base, strict=True)
    ]
    return results, rows


def markdown_table(results: dict[str, Any]) -> str:
    """The table, from the content of the JSON file alone."""
    baseline = results["baseline"]
    lines = [f"{subject(results)}.", "", *table_lines(results["systems"], baseline=baseline)]
    if len(results["systems"]) > 1:
        lines += ["", legend(baseline)]
    return "\n".join(lines) + "\n"


def _refuse_contradictions(args: GradeArguments) -> None:
    if args.run and args.expansions:
        raise KitError("--run and --expansions: give one of them; a run is evaluated as it is")
    if args.where and not args.expansions:
        raise KitError("--where filters recorded expansions: give --expansions too")
    if args.text_fields and not args.expansions:
        raise KitError("--text_fields names fields of recorded expansions: give --expansions too")
    if args.system and not args.expansions and len(args.run) != 1:
        raise KitError("--system names the one graded system: give it with --expansions or a single --run")
    if args.out and (Path(args.out).is_dir() or Path(args.out).suffix != ".json"):
        raise KitError(f"--out {args.out}: give the name of a .json file")


def _queries(collection: Collection, split: str, all_judged: bool) -> list[Query]:
    """The queries that are graded: those with a relevant document, or as in trec_eval all that are judged."""
    if split not in (*SPLITS, "all"):
        raise KitError(f"unknown --split {split!r}: give one of {', '.join(SPLITS)}, all")
    counts = {name: len(collection.split(name)) for name in SPLITS}
    of_split = collection.judged if all_judged else collection.split
    queries = [query for name in SPLITS if split in (name, "all") for query in of_split(name)]
    if not any(collection.relevant(query.id) for query in queries):
        there = ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none at all"
        raise KitError(
            f"collection {collection.name!r} has no judged {split} queries, but {there}: give another --split"
        )
    return queries


def _grades(grader: Grader, queries: Sequence[Query], texts: Sequence[str], name: str) -> list[Grade]:
    from tqdm import tqdm

    pairs = [(query.id, text) for query, text in zip(queries, texts, strict=True)]
    grades: list[Grade] = []
    with tqdm(total=len(pairs), unit="query", desc=name) as bar:
        for start in range(0, len(pairs), BLOCK):
            grades += grader.expanded(pairs[start : start + BLOCK])
            bar.update(len(grades) - start)
    return grades


def _name(source: str, where: Mapping[str, str]) -> str:
    """The filter's values tell what was taken of a file; without one the file's name does."""
    return (
        "-".join(value.split("/")[-1] for value in where.values()) or Path(Path(source).name.removesuffix(".gz")).stem
    )


def _named_runs(args: GradeArguments) -> dict[str, Path]:
    paths = [Path(name).expanduser() for name in args.run]
    named = {args.system or _name(path.name, {}): path for path in paths}
    if len(named) < len(paths):
        raise KitError(f"--run: systems are named after their files, and two are alike: {', '.join(args.run)}")
    return named


def _evaluated(path: Path, collection: Collection, queries: Sequence[Query]) -> Graded:
    rankings, notes = join_run(path, collection, queries)
    return Graded(graded_rankings(collection, [query.id for query in queries], rankings), [""] * len(queries), notes)

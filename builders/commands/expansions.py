"""Stage 1: queries → candidates graded by retrieval, published as configs `raw` and `distillation`.

    python -m builders expansions --output_dir out/expansions --num_train 48 --samples 4

Answers are kept one by one in `<output_dir>.work`; an interrupted command continues there. Several processes share the
generation: accelerate launch --config_file … -m builders expansions …
"""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from builders.artifacts.dataset_folder import Rows, is_current
from builders.artifacts.ownership import ANSWERS, DATASET, paths, require_own, require_own_work
from builders.artifacts.provenance import code_version, versions
from builders.artifacts.render import render_dataset, renew_card
from builders.cli import parse, say
from builders.collections.collection import Collection, Query, Split, collection_provenance
from builders.collections.load import collection_help, load_collection
from builders.collections.sampling import sample_queries
from builders.commands.build import PublishingOptions, build_and_publish
from builders.errors import KitError
from builders.expanders.expander import Expander, Sampling, joint_identity
from builders.expanders.generations import cost, has_answers, joint_sampling, sweep, write_answers
from builders.expanders.load import ExpanderOptions, load_expanders
from builders.grading.candidates import graded_candidates, summary
from builders.grading.grader import DEPTH, Grader
from builders.grading.selection import SELECTIONS, distillation_row
from builders.processes import join_processes
from builders.prompts.context.load import shown_texts
from builders.prompts.exemplars import draw_exemplars
from builders.prompts.load import load_prompt, require_language
from builders.prompts.prompt import Prompt
from builders.retrievers.formulation import formulation_help, load_formation
from builders.retrievers.load import encoder_folders, folder_revisions, load_retriever, retriever_help


# Where things lie and go; they do not change a byte of the dataset. Expanders say themselves what changes one.
NOT_SETTINGS = {"output_dir", "push_to_hub", "repo_id", *(field.name for field in fields(ExpanderOptions))}
# Choosing among few tokens is what makes sampling fast on a CPU; servers seldom know the setting.
LOCAL_TOP_K = 50


@dataclass
class ExpansionsArguments(ExpanderOptions, PublishingOptions):
    """Settings of `python -m builders expansions`."""

    output_dir: str = field(metadata={"help": "Folder to render; replaced as a whole when it is complete."})
    collection: str = field(default="pydocs", metadata={"help": collection_help()})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    num_train: int = field(default=48, metadata={"help": "Train queries to sample; -1 takes all."})
    num_validation: int = field(default=0, metadata={"help": "Validation queries to sample; -1 takes all."})
    prompts: list[str] = field(
        default_factory=lambda: ["api-docs-zero-shot", "api-docs-few-shot"],
        metadata={"help": "Prompt ids, YAML files or `querygym:ID`; the first zero-shot one is the student's."},
    )
    samples: int = field(default=4, metadata={"help": "Candidates per query, prompt and temperature."})
    temperature: list[float] = field(
        default_factory=lambda: [0.9], metadata={"help": "Sampling temperature, or several, each sampled by itself."}
    )
    top_p: float = field(default=1.0, metadata={"help": "Nucleus."})
    top_k: int | None = field(
        default=None, metadata={"help": "Most likely tokens to choose from; 0 is all (default: 50 if local, else 0)."}
    )
    max_new_tokens: int = field(default=32, metadata={"help": "Token limit of one expansion."})
    retriever: str = field(default="bm25s", metadata={"help": retriever_help("What grades")})
    formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    select: str = field(
        default="best",
        metadata={
            "help": "Candidates to imitate: `all` valid, `better` than plain, `harmless` ones, `best` per query."
        },
    )
    seed: int = field(default=0, metadata={"help": "Seeds the sample of queries, the exemplars and the generation."})

    def __post_init__(self) -> None:
        # A recipe may say `temperature: 0.9`.
        if not isinstance(self.temperature, list):
            self.temperature = [self.temperature]


def main(argv: Sequence[str] | None = None) -> None:
    """Run stage 1 from the command line."""
    (args,) = parse(ExpansionsArguments, argv, "python -m builders expansions", (__doc__ or "").splitlines()[0])
    build_and_publish(args, build_expansions)


def build_expansions(args: ExpansionsArguments) -> Path:
    """Build the dataset folder unless it is there already with the same settings; returns its path.

    Raises:
        KitError: the output folder is none of the kit's, an argument names nothing known, or the result would be
            empty.
    """
    # Here, so that --help need not wait for them.

    _check(args)
    started = time.time()
    folder = Path(args.output_dir)
    others = (*paths(args.collection, *args.prompts), *encoder_folders(args.retriever))
    read = (args.model, args.adapter, args.recorded, *others)
    require_own(folder, DATASET, *read)
    work = require_own_work(folder, ANSWERS, *read)
    prompts = [load_prompt(name) for name in args.prompts]
    student = next((prompt for prompt in prompts if prompt.condition == "zero-shot"), None)
    if student is None:
        raise KitError("--prompts: give at least one zero-shot prompt; it is the one that the student will see")
    collection = load_collection(args.collection, args.language)
    processes = join_processes()
    for remark in collection.remarks if processes.is_main else ():
        say(remark)
    require_language(prompts, collection.language, collection.name)
    expanders = load_expanders(args, collection, prompts, student, work)
    prompts = [prompt for prompt, _ in expanders]
    expander = expanders[0][1]
    samplings = sweep(_sampling(args), args.temperature)
    sampled = joint_sampling(expanders, samplings)
    settings = _settings(args, collection, expanders, samplings)
    if is_current(folder, settings):
        if processes.is_main:
            renew_card(folder, args.repo_id)
            say(f"{folder}: up to date")
        return folder

    queries = _sampled(args, collection, expanders)
    # Before anything is generated: a retriever that cannot be had, or asked so, must cost no answers.
    formation = load_formation(args.formation)
    grader = Grader(collection, load_retriever(args.retriever, collection), formation) if processes.is_main else None
    exemplars = {prompt.id: draw_exemplars(collection, prompt.exemplars, args.seed) for prompt in prompts}
    shown = shown_texts([*prompts, student], collection, args.retriever, queries)
    resumed = has_answers(work)
    answers = write_answers(queries, expanders, exemplars, shown, args.samples, samplings, work, processes)
    generated = time.time()
    if grader is None:
        return folder

    say(f"grading: {sum(map(len, answers.values()))} candidates with {args.retriever}")
    identities = {prompt.id: one.identity for prompt, one in expanders}
    raw = graded_candidates(queries, prompts, answers, grader, identities, shown[student.id])
    distillation = [distillation_row(row, student) for row in SELECTIONS[args.select](raw)]
    split_of = {query.id: query.split for query in queries}
    build = {
        "kind": "expansions",
        "settings": settings,
        "command": f"python -m builders expansions {shlex.join(sys.argv[2:])}".strip(),
        "code_version": code_version(),
        "versions": versions(),
        "seed": args.seed,
        "collection": collection_provenance(collection),
        "expander": asdict(joint_identity(list(identities.values()))),
        "prompts": [{"id": p.id, "version": p.version, "condition": p.condition, "sha256": p.sha256} for p in prompts],
        "student_prompt": student.id,
        "exemplar_queries": sorted({e.query_id for drawn in exemplars.values() for e in drawn}),
        "sampling": sampled,
        "retriever": grader.retriever.name,
        "formation": grader.formation.name,
        "grading_depth": DEPTH,
        "select": args.select,
        "queries": dict(Counter(split_of.values())),
        "yield": {**summary(raw), "distillation_rows": len(distillation)},
        "tokens": {
            "prompt": sum(row["prompt_tokens"] for row in raw),
            "completion": sum(row["completion_tokens"] for row in raw),
        },
        "cost": cost(answers, expander.prices),
    }
    timing: dict[str, Any] = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "generation_seconds": round(generated - started, 1),
        "resumed": resumed,  # Then the seconds are those of the last run.
        "total_seconds": round(time.time() - started, 1),
    }
    if expander.spent is not None:  # With what failed, was cut off or answered nothing: it differs from run to run.
        timing["spent"] = asdict(expander.spent)
    tables = {"raw": _by_split(raw, split_of)}
    if args.expander != "none":
        tables["distillation"] = _by_split(distillation, split_of)
    render_dataset(folder, tables, build, timing, args.repo_id)
    report(folder, build)
    if expander.spent is not None and expander.prices is not None:
        say(f"  paid so far: {expander.prices.bill(expander.spent)}")
    return folder


def _check(args: ExpansionsArguments) -> None:
    if args.select not in SELECTIONS:
        raise KitError(f"unknown --select {args.select!r}: give one of {', '.join(SELECTIONS)}")
    if args.samples < 1 or args.max_new_tokens < 1 or args.num_train == 0:
        raise KitError("--samples, --num_train and --max_new_tokens must be at least 1")


def _sampling(args: ExpansionsArguments) -> Sampling:
    """The sampling without its temperatures."""
    top_k = args.top_k if args.top_k is not None else LOCAL_TOP_K if args.expander == "local" else 0
    return Sampling(0.0, args.top_p, top_k, args.max_new_tokens, args.seed)


def _settings(
    args: ExpansionsArguments,
    collection: Collection,
    expanders: Sequence[tuple[Prompt, Expander]],
    samplings: Sequence[Sampling],
) -> dict[str, Any]:
    """All that decides the dataset's bytes: a folder with equal settings need not be made again."""
    expander, revisions = expanders[0][1], folder_revisions(args.retriever)
    return {
        **{name: value for name, value in asdict(args).items() if name not in NOT_SETTINGS},
        **({"retriever_revisions": revisions} if revisions else {}),
        **asdict(samplings[0]),
        **({"temperature": args.temperature} if len(samplings) > 1 else {}),
        "collection_fingerprint": collection.fingerprint,
        "expander": asdict(joint_identity([one.identity for _, one in expanders])),
        "expander_settings": [dict(one.settings) for _, one in expanders],
        "prices": None if expander.prices is None else asdict(expander.prices),
        "prompt_sha256": [prompt.sha256 for prompt, _ in expanders],
    }


def _sampled(
    args: ExpansionsArguments, collection: Collection, expanders: Sequence[tuple[Prompt, Expander]]
) -> list[Query]:
    """Train and validation queries, of those that can be asked."""
    known = [expander.query_ids for _, expander in expanders if expander.query_ids is not None]
    if known:
        recorded = set().union(*known)
        queries = {name: query for name, query in collection.queries.items() if name in recorded}
        collection = replace(collection, name=f"{collection.name} (as far as it is recorded)", queries=queries)
    wanted: dict[Split, int] = {"train": args.num_train, "validation": args.num_validation}
    return [q for split, number in wanted.items() for q in sample_queries(collection, split, number, args.seed)]


def _by_split(rows: Rows, split_of: dict[str, Any]) -> dict[str, Rows]:
    return {split: [row for row in rows if split_of[row["query_id"]] == split] for split in ("train", "validation")}


def report(folder: Path, build: dict[str, Any]) -> None:
    """Tell the person at the terminal what came of it."""
    counts = build["yield"]
    say(f"{folder}: {counts['queries']} queries, {counts['candidates']} candidates, checks {counts['checks']}")
    say(
        f"  nDCG@10: plain {counts['mean_plain_ndcg_at_10']}, candidates {counts['mean_ndcg_at_10']}, "
        f"best of each query {counts['mean_best_ndcg_at_10']}; {counts['distillation_rows']} rows to imitate"
    )

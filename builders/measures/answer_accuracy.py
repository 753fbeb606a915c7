"""Top-k accuracy: whether a passage among the first k holds an accepted answer (DPR, Karpukhin et al. 2020)."""

from collections.abc import Collection, Sequence


CUTS = (1, 5, 20, 100)


def answer_rank(ranking: Sequence[str], holding: Collection[str]) -> int | None:
    """The 1-based rank of the first passage that holds an answer, if there is one.

    Args:
        ranking (`Sequence[str]`):
            Ids of passages, best first.
        holding (`Collection[str]`):
            Ids of the passages that hold an accepted answer of the query.
    """
    return next((rank for rank, passage in enumerate(ranking, start=1) if passage in holding), None)


def top_k_accuracy(ranks: Sequence[int | None]) -> dict[str, float]:
    """The share of questions with an answer among the first k passages: `top_1_accuracy` to `top_100_accuracy`.

    Args:
        ranks (`Sequence`):
            [`answer_rank`] of each question.

    Raises:
        ValueError: there is no question.
    """
    if not ranks:
        raise ValueError("no questions to average over: give at least one with answers")
    found = [rank for rank in ranks if rank is not None]
    return {f"top_{cut}_accuracy": sum(rank <= cut for rank in found) / len(ranks) for cut in CUTS}

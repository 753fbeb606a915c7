"""Find a pairing rule by its name."""

from builders.errors import KitError
from builders.pairing.gold_rank import GoldRank
from builders.pairing.ndcg_margin import NdcgMargin
from builders.pairing.pairing import Rule


REWARD = "reward"


def load_rule(name: str) -> Rule:
    """The rule of that name, of those that read nothing but the candidates; [`Reward`] makes the other.

    Raises:
        KitError: there is none.
    """
    for rule in (NdcgMargin(), GoldRank()):
        if rule.name == name:
            return rule
    raise KitError(f"unknown pairing rule {name!r}: give ndcg-margin, gold-rank or {REWARD}")

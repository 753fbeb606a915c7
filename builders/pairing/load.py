"""The pairing rules, each found by its name. A new one is a file of its own and a line in `RULES`."""

from collections.abc import Iterable, Sequence
from dataclasses import fields

from builders.errors import KitError
from builders.pairing.expandr_reward import ExpandrReward
from builders.pairing.gold_rank import GoldRank
from builders.pairing.ndcg_margin import NdcgMargin
from builders.pairing.rule import Rule, RuleOptions


# The first is the default.
RULES: tuple[type[Rule], ...] = (NdcgMargin, GoldRank, ExpandrReward)


def load_rule(name: str) -> Rule:
    """The rule of that name, not yet prepared.

    Raises:
        KitError: there is none.
    """
    for rule in RULES:
        if rule.name == name:
            return rule()
    raise KitError(f"unknown pairing rule {name!r}: give {_one_of(RULES)}")


def option_types() -> list[type[RuleOptions]]:
    """The options of all rules that have any."""
    return [rule.Options for rule in RULES if rule.Options is not None]


def own_options(rule: Rule, given: Iterable[RuleOptions]) -> RuleOptions | None:
    """The options that are the rule's, checked.

    Args:
        rule ([`Rule`]):
            The rule that is asked for.
        given (`Iterable`):
            The options of every rule, as they were parsed.

    Raises:
        KitError: options of another rule are set, or the rule's own make no sense.
    """
    own = rule.Options() if rule.Options is not None else None
    for options in given:
        if type(options) is rule.Options:
            own = options
            continue
        owner = next(other.name for other in RULES if other.Options is type(options))
        for one in fields(options):
            if getattr(options, one.name) != getattr(type(options)(), one.name):
                raise KitError(
                    f"--{one.name} belongs to --rule {owner} and changes nothing for {rule.name}: leave it out"
                )
    if own is not None:
        own.check()
    return own


def search_rules() -> str:
    """The rules that score by the search alone, to choose from."""
    return _one_of([rule for rule in RULES if rule.grades_searches])


def rules_help() -> str:
    """The rules with what each does, a line for each."""
    return "\n".join(f"  {rule.name:<14}{(rule.__doc__ or '').splitlines()[0]}" for rule in RULES)


def _one_of(rules: Sequence[type[Rule]]) -> str:
    *others, last = [rule.name for rule in rules]
    return f"{', '.join(others)} or {last}" if others else last

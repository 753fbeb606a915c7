"""The release's section of a card: with which others this repository was published, each at its exact revision."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from builders.publishing.card_merge import CLOSE, Card
from builders.publishing.release_part import Part


def card_of_release(part: Part, parts: Sequence[Part], tag: str, commits: Mapping[str, str], collection: str) -> Card:
    """The card of a part with the section of its release.

    Args:
        part (`Part`), parts (`Sequence[Part]`):
            The part, and all of the release in their order.
        tag (`str`):
            The tag that all of them get. Tags are never moved, so it is exact even where the commit is yet to be made.
        commits (`Mapping[str, str]`):
            Repository → commit of what is published before it.
        collection (`str`):
            Title of the collection; may be empty.
    """
    lines = [f"## Release {tag}", ""]
    made = _made(part, tag, commits)
    if made:
        lines += [made, ""]
    if part.base:
        lines += [f"Base model: {part.base}.", ""]
    lines += ["| part | repository | revision |", "| --- | --- | --- |"]
    for other in parts:
        here = " (this one)" if other is part else ""
        lines.append(f"| {other.rendered.kind}{here} | {_name(other)} | {_revision(other, tag, commits)} |")
    together = f"The collection *{collection}* holds them all. " if collection else ""
    lines += ["", f"{together}A tag of a release is never moved."]
    generated = part.card.generated.removesuffix(CLOSE).rstrip()
    card = replace(part.card, generated="\n".join([generated, "", *lines, "", CLOSE]))
    return _linked(card, part)


def _made(part: Part, tag: str, commits: Mapping[str, str]) -> str:
    """One sentence on what it was made from; empty where the release does not hold that."""
    data, models = (", ".join(_link(source, tag, commits) for source in group) for group in _split(part.sources))
    if part.rendered.kind == "space":
        return f"Runs {models}." if models else ""
    if part.rendered.repo_type == "dataset":
        return f"Made from {data}." if data else ""
    if data:
        return f"Trained on {data}{f', going on with {models}' if models else ''}."
    return f"Goes on with {models}." if models else ""


def _split(sources: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Datasets, and models."""
    models = [source for source in sources if source.rendered.repo_type == "model"]
    return [source for source in sources if source not in models], models


def _name(part: Part) -> str:
    return f"[{part.id}]({part.repository.url})"


def _revision(part: Part, tag: str, commits: Mapping[str, str]) -> str:
    return f"`{tag}`" + (f", commit `{commits[part.id]}`" if part.id in commits else "")


def _link(part: Part, tag: str, commits: Mapping[str, str]) -> str:
    return f"{_name(part)} ({_revision(part, tag, commits)})"


def _linked(card: Card, part: Part) -> Card:
    """The front matter with the repositories that the Hub shows as this one's data and models."""
    if part.rendered.repo_type == "dataset":
        return card
    datasets, _ = _split(list(part.origins()))
    _, models = _split(part.sources)
    data = dict(card.data)
    # A model's own is its base, and the card says so already.
    for key, others in (("datasets", datasets), ("models", models if part.rendered.kind == "space" else [])):
        named = data.get(key) or []
        named = [named] if isinstance(named, str) else list(named)
        if others:
            data[key] = [*named, *(other.id for other in others if other.id not in named)]
    if data == card.data:
        return card
    from huggingface_hub.utils import yaml_dump

    return replace(card, front=f"---\n{yaml_dump(data, sort_keys=False)}---\n", data=data)

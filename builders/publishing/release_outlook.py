"""The outlook: what is to be done for one part of a release, and what forbids it, before anything is changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from builders.artifacts.dataset_folder import CARD
from builders.errors import KitError
from builders.publishing.plan import Plan, make_plan, published_id
from builders.publishing.release_part import Part
from builders.publishing.staging.staged import Rendered


@dataclass(frozen=True)
class Outlook:
    """What is to be done for a part.

    Args:
        part (`Part`), tag (`str`):
            What is to stand under which tag.
        is_new (`bool`):
            Whether there is no such repository yet.
        done (`str`, *optional*):
            The commit that the tag stands on already: nothing is to be done.
        plan ([`Plan`], *optional*):
            Else, the commit to be made.
    """

    part: Part
    tag: str
    is_new: bool
    done: str | None = None
    plan: Plan | None = None

    def lines(self) -> Iterator[str]:
        """Every file with its size in bytes, and the changes of the card."""
        title = f"{self.part.repository.url} ({self.part.rendered.kind}"
        if self.plan is None:
            yield f"{title}): up to date, {self.tag} is {self.done}"
            return
        yield f"{title}, {'new, private' if self.is_new else 'there'}), tag {self.tag}"
        yield from self.plan.lines()
        for name in self.part.rendered.left_out:
            yield f"  leave                 {name}"
        if self.plan.card_diff():
            yield self.plan.card_diff()


def look_at(part: Part, rendered: Rendered, tag: str, allow_shrink: bool) -> Outlook:
    """Compare a part with the Hub. Nothing is changed there.

    Args:
        part (`Part`), rendered (`Rendered`):
            The part, and its folder with the card as far as it can be written by now.
        tag (`str`), allow_shrink (`bool`):
            As the release wants it.

    Raises:
        KitError: the tag stands on something else, the repository holds something else, or the card is refused.
    """
    repository = part.repository
    state = repository.read()
    if state is None:
        other = repository.type_of_namesake()
        if other is not None:
            raise KitError(f"{part.id} is a {other} on the Hub, and {rendered.kind} goes there: give another name")
    else:
        commit = standing(part, rendered, tag)
        if commit is not None:
            return Outlook(part, tag, False, done=commit)
    plan = make_plan(rendered, repository, state, allow_shrink)
    errors = repository.card_errors(plan.card)
    if errors:
        raise KitError(f"{rendered.folder / CARD}: the Hub refuses the card: {'; '.join(errors)}")
    return Outlook(part, tag, state is None, plan=plan)


def standing(part: Part, rendered: Rendered, tag: str) -> str | None:
    """The commit that the tag stands on; `None` where there is no such tag.

    Raises:
        KitError: it stands on something else than this folder.
    """
    commit = part.repository.tags().get(tag)
    if commit is not None and published_id(part.repository, commit) != rendered.publish_id:
        raise KitError(
            f"{part.repository.url}: tag {tag!r} stands on another version ({commit[:12]}), and tags are never moved: "
            "give the release another --tag"
        )
    return commit

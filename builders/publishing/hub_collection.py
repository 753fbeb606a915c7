"""Write a collection on the Hub: a title in somebody's name, and repositories in an order, each with a note."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from builders.errors import KitError
from builders.masking import without_login
from builders.publishing.failure import Cause, Failure, NotSeen, Patience, Result, patiently
from builders.publishing.hub_client import use_bounded_client


if TYPE_CHECKING:
    from huggingface_hub import Collection, CollectionItem, HfApi

# The Hub's own limits, in characters.
LONGEST_TITLE, LONGEST_DESCRIPTION = 60, 150
# So many collections of an owner are looked through.
MOST = 1000


@dataclass(frozen=True)
class Item:
    """A repository in a collection: its type and id, and what is said of it there."""

    type: str
    id: str
    note: str


class HubCollection:
    """A collection, which may not exist yet. What else people put into it stays, and stays where it is.

    Args:
        api (`HfApi`):
            The client: address and token.
        owner (`str`), title (`str`):
            Together they tell which collection.
        description (`str`, *optional*):
            Shown below the title; `None` leaves it as it is.

    Raises:
        KitError: title or description are longer than the Hub allows.
    """

    def __init__(self, api: "HfApi", owner: str, title: str, description: str | None = None) -> None:
        for name, text, most in (
            ("--collection", title, LONGEST_TITLE),
            ("--description", description or "", LONGEST_DESCRIPTION),
        ):
            if len(text) > most:
                raise KitError(f"{name}: {len(text)} characters, the Hub allows {most}")
        use_bounded_client()
        self.api, self.owner, self.title, self.description = api, owner, title, description
        self._slug: str | None = None

    @property
    def name(self) -> str:
        """Where it will be found, as far as that is known before it is there."""
        return f"{without_login(self.api.endpoint)}/collections/{self.owner}: {self.title}"

    def read(self) -> "Collection | None":
        """The collection as it is now; `None` where there is none, or none that this token may see."""

        def look() -> "Collection | None":
            if self._slug is None:
                # A list, so that all pages are read before another request is made. It shows only some items of each.
                listed = list(islice(self.api.list_collections(owner=self.owner), MOST))
                self._slug = next((found.slug for found in listed if found.title == self.title), None)
                if self._slug is None and len(listed) == MOST:
                    raise KitError(f"{self.name}: not among the first {MOST} collections there; no other is made")
            return self.api.get_collection(self._slug) if self._slug is not None else None

        return self._ask(look)

    def lines(self, items: Sequence[Item]) -> Iterator[str]:
        """What writing these items would do."""
        there = self.read()
        yield f"{there.url if there else self.name} (collection, {'there' if there else 'new, private'})"
        for item in items:
            found = _find(there, item)
            word = "add" if found is None else "keep" if found.note == item.note else "note"
            yield f"  {word:<6}  {item.type:<7}  {item.id}  {item.note}"

    def write(self, items: Sequence[Item]) -> bool:
        """Create what is missing, and bring the notes up to date; returns whether anything was changed.

        Raises:
            KitError: the Hub refuses, or does not answer.
        """
        changed, patience = False, Patience()
        while not self._is_written(there := self.read(), items):
            if changed:
                patience.pause(Failure(Cause.LOST, f"{self.name}: was written, and does not hold all of it"))
            changed = True
            self._write(there, items)
        return changed

    def _is_written(self, there: "Collection | None", items: Sequence[Item]) -> bool:
        described = there is not None and self.description in (None, there.description)
        return described and holds(there, items)

    def _write(self, there: "Collection | None", items: Sequence[Item]) -> None:
        if there is None:
            of = {"namespace": self.owner, "description": self.description}
            there = self._ask(lambda: self.api.create_collection(self.title, private=True, exists_ok=True, **of))
        slug = self._slug = there.slug
        if self.description is not None and there.description != self.description:
            self._ask(lambda: self.api.update_collection_metadata(slug, description=self.description))
        for number, item in enumerate(items):
            found = _find(there, item)
            if found is None:
                there = self._add(slug, item, items[:number])
            elif found.note != item.note:
                self._update(slug, found, note=item.note)

    def make_public(self) -> None:
        """Let everybody see the collection, if it is there."""
        there = self.read()
        if there is not None and there.private:
            slug = there.slug

            def open_up() -> None:
                self.api.update_collection_metadata(slug, private=False)
                if self.api.get_collection(slug).private is not False:
                    raise NotSeen("was made public, and is private still")

            self._ask(open_up)

    def _add(self, slug: str, item: Item, before: Sequence[Item]) -> "Collection":
        """Add an item, behind the last one of those that stand before it."""
        kind: Any = item.type
        there = self._ask(lambda: self.api.add_collection_item(slug, item.id, kind, note=item.note, exists_ok=True))
        added = _find(there, item)
        neighbours = [found.position for other in before if (found := _find(there, other)) is not None]
        place = max(neighbours, default=-1) + 1
        if before and added is not None and added.position != place:
            self._update(slug, added, position=place)
            there = self._ask(lambda: self.api.get_collection(slug))
        return there

    def _update(self, slug: str, found: "CollectionItem", **changes: Any) -> None:
        self._ask(lambda: self.api.update_collection_item(slug, found.item_object_id, **changes))

    def _ask(self, call: Callable[[], Result]) -> Result:
        return patiently(call, self.name)


def holds(collection: "Collection | None", items: Sequence[Item]) -> bool:
    """Whether a collection has all of these, with these notes."""
    return all((found := _find(collection, item)) is not None and found.note == item.note for item in items)


def _find(collection: "Collection | None", item: Item) -> "CollectionItem | None":
    there = collection.items if collection is not None else []
    return next((found for found in there if (found.item_type, found.item_id) == (item.type, item.id)), None)
